//! Other programs on this host: where they are, whether they work, and the package that contains
//! them.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use probe_core::error::{Error, Result};
use rustix::process::{Pid, Signal, kill_process_group};

pub use probe_vm::install::program as find;

use crate::sys::child::{self, ChildPlace};

/// How long a program may take to show that it works.
const WITHIN: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(5);

/// Debian's name of a package, and those of Ubuntu, Fedora and openSUSE if they differ.
const RENAMED: [(&str, [&str; 3]); 3] = [
    ("linux-perf", ["linux-tools-$(uname -r)", "perf", "perf"]),
    ("openvswitch-switch", ["openvswitch-switch", "openvswitch", "openvswitch"]),
    ("qemu-system-x86", ["qemu-system-x86", "qemu-system-x86", "qemu-x86"]),
];

/// The error for a missing program, with how to install it. `package` is Debian's name.
pub fn missing(program: &str, package: &str) -> Error {
    let hint = format!("Install it: `{}`", install(package, &os_release()));
    Error::unsupported(program, "there is no such program", hint)
}

fn os_release() -> String {
    fs::read_to_string("/etc/os-release").unwrap_or_default()
}

/// The command that installs a package on the system described by this os-release(5).
fn install(package: &str, os_release: &str) -> String {
    let field = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let systems = format!("{} {}", field("ID="), field("ID_LIKE="));
    let is = |names: &[&str]| systems.split_whitespace().any(|one| names.contains(&one));
    let (manager, other) = if is(&["ubuntu"]) {
        ("apt", Some(0))
    } else if is(&["fedora", "rhel", "centos"]) {
        ("dnf", Some(1))
    } else if is(&["suse", "opensuse"]) {
        ("zypper", Some(2))
    } else {
        ("apt", None)
    };
    let renamed = RENAMED.iter().find(|(name, _)| *name == package);
    let package = renamed.zip(other).map_or(package, |((_, names), other)| names[other]);
    format!("{manager} install {package}")
}

/// Runs `program` in `place` with these arguments and this input: they prove that it works, and
/// change nothing on the host. It ends with the calling thread at the latest.
///
/// # Errors
/// It cannot be started, fails, or does not end in time: the error has its output, and the package
/// to check.
pub fn works(
    program: &Path,
    words: &[String],
    input: &[u8],
    package: &str,
    place: ChildPlace,
) -> Result<()> {
    works_within(program, words, input, package, (place, WITHIN))
}

fn works_within(
    program: &Path,
    words: &[String],
    input: &[u8],
    package: &str,
    (place, limit): (ChildPlace, Duration),
) -> Result<()> {
    let line = format!("{} {}", program.display(), words.join(" "));
    let refuse = |why: String| {
        let install = install(package, &os_release());
        let hint = format!("Make that command work; to install its package: `{install}`");
        Error::unsupported(line.trim_end(), why, hint)
    };
    let file = |e| Error::file("create", env::temp_dir(), e);
    let mut said = tempfile::NamedTempFile::new().map_err(file)?;
    let [out, err] = [said.reopen().map_err(file)?, said.reopen().map_err(file)?];
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(out).stderr(err);
    let mut child =
        child::start(command, place).map_err(|e| refuse(format!("it does not start: {e}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ends without reading the input, its status says so. The input is short: the pipe
        // holds it.
        let _ = stdin.write_all(input);
    }
    let began = Instant::now();
    let failed = |e| Error::call("waitpid", line.as_str(), e);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if began.elapsed() > limit {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
            return Err(refuse(format!("it does not end within {limit:?}")));
        }
        thread::sleep(LOOK);
    };
    if status.success() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    let _ = said.as_file_mut().read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().take(300).collect();
    Err(refuse(format!("it fails ({status}): {words}")))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

    use super::*;

    /// A script with this name, in its own folder.
    fn script(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_package_is_named_as_the_system_calls_it() {
        let debian = "ID=debian\n";
        let ubuntu = "ID=ubuntu\nID_LIKE=debian\n";
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";
        let leap = "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n";
        assert_eq!(install("linux-perf", debian), "apt install linux-perf");
        assert_eq!(install("linux-perf", ubuntu), "apt install linux-tools-$(uname -r)");
        assert_eq!(install("linux-perf", rocky), "dnf install perf");
        assert_eq!(install("qemu-system-x86", leap), "zypper install qemu-x86");
        assert_eq!(install("bpftrace", "ID=fedora\n"), "dnf install bpftrace");
        assert_eq!(install("bpftrace", ""), "apt install bpftrace");
    }

    #[test]
    fn a_program_that_cannot_work_says_why() {
        let limit = Duration::from_millis(500);
        let ask = |text: &str| {
            let (_folder, path) = script("perf", text);
            works_within(
                &path,
                &["--version".into()],
                &[],
                "linux-perf",
                (ChildPlace::default(), limit),
            )
            .map_err(|e| e.to_string())
        };
        ask("echo perf version 6.12").unwrap();
        // Ubuntu's wrapper without the tools for its kernel.
        let wrapper = "echo WARNING: perf not found for kernel 6.8.0-31 >&2; exit 2";
        let error = ask(wrapper).unwrap_err();
        assert!(
            error.contains("perf not found for kernel") && error.contains("install"),
            "{error}"
        );
        let error = ask("kill -SEGV $$").unwrap_err();
        assert!(error.contains("signal: 11"), "{error}");
        let error = ask("sleep 1000; true").unwrap_err();
        assert!(error.contains("does not end within"), "{error}");
    }

    #[test]
    fn a_program_proves_that_it_may_write_where_its_trials_do() {
        let folder = tempfile::tempdir().unwrap();
        let out = |name: &str| folder.path().join(name).display().to_string();
        let (_script, path) = script("tcpdump", "cat > \"$2\" || exit 1; [ -s \"$2\" ]");
        let ask = |out: String, input: &[u8]| {
            let words = ["-w".to_owned(), out];
            works(&path, &words, input, "tcpdump", ChildPlace::default()).map_err(|e| e.to_string())
        };
        ask(out("out.pcap"), b"header").unwrap();
        assert_eq!(fs::read(out("out.pcap")).unwrap(), b"header");
        assert!(ask(out("empty"), b"").is_err());
        // As under a profile that forbids the folder.
        let error = ask(out("no/such/out.pcap"), b"header").unwrap_err();
        assert!(error.contains("it fails") && error.contains("no/such/out.pcap"), "{error}");
    }
}
