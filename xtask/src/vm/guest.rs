//! What a guest boots into: an initramfs written for one run.
//!
//! With boot `9p` it only finds its way to the machine's own root; with boot `initramfs` it is all the
//! guest ever sees, so that nothing outside it can make two runs differ.

use super::modules::ModuleTree;
use super::{Boot, Machine, PORTS, Tools};
use anyhow::{Context, Result};
use cpio::newc::{Builder, trailer};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Loaded before anything else: the ports, and the way to a 9p root.
const PORT_MODULES: [&str; 2] = ["virtio_pci", "virtio_console"];
const ROOT_MODULES: [&str; 3] = ["9pnet_virtio", "9p", "overlay"];
/// Loaded before the command runs: the subject of the measurements.
const SUBJECTS: [&str; 4] = ["vhost_net", "tun", "veth", "bridge"];
/// Carried by a self-contained guest where the kernel has them, and loaded on demand.
const ON_DEMAND: [&str; 13] = [
    "tap",
    "sch_htb",
    "sch_ingress",
    "sch_netem",
    "sch_fq",
    "cls_u32",
    "act_mirred",
    "inet_diag",
    "tcp_diag",
    "dummy",
    "kvm_amd",
    "openvswitch",
    "af_packet",
];

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;

/// Writes the initramfs of `machine` to `path`.
pub(super) fn write(machine: &Machine, path: &Path, tools: &Tools) -> Result<()> {
    let tree = ModuleTree::open(&machine.kernel.modules)?;
    let boot: Vec<&str> = match machine.boot {
        Boot::NineP => PORT_MODULES.into_iter().chain(ROOT_MODULES).collect(),
        Boot::Initramfs => PORT_MODULES.to_vec(),
    };
    let mut files = tree.closure(boot.iter().copied())?;
    if machine.boot == Boot::Initramfs {
        files.extend(tree.closure(SUBJECTS)?);
        files.extend(tree.closure(ON_DEMAND.into_iter().filter(|module| tree.has(module)))?);
    }
    let mut cpio = Cpio::create(path)?;
    cpio.file("init", include_bytes!("init.sh"))?;
    cpio.file("bin/busybox", &fs::read(&tools.busybox)?)?;
    cpio.file("run/vm/stage2", include_bytes!("stage2.sh"))?;
    cpio.file("run/vm/settings", &settings(machine, &boot))?;
    cpio.file("run/vm/command", &command(machine)?)?;
    let modules = format!("lib/modules/{}", machine.kernel.version);
    cpio.file(&format!("{modules}/modules.dep"), tree.dependencies(&files).as_bytes())?;
    cpio.file(&format!("{modules}/modules.alias"), tree.aliases(&files)?.as_bytes())?;
    cpio.file(&format!("{modules}/modules.builtin"), tree.builtin().as_bytes())?;
    for file in &files {
        let (name, bytes) = tree.read(file)?;
        cpio.file(&format!("{modules}/{name}"), &bytes)?;
    }
    for (from, to) in &machine.files {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        cpio.file(to.trim_start_matches('/'), &bytes)?;
    }
    cpio.finish()
}

/// What the two stages need to know, as shell assignments.
fn settings(machine: &Machine, boot_modules: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut set = |name: &str, value: &OsStr| {
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend(quoted(value));
        text.push(b'\n');
    };
    set("boot", OsStr::new(machine.boot.as_str()));
    set("ports", OsStr::new(&PORTS.join(" ")));
    set("boot_modules", OsStr::new(&boot_modules.join(" ")));
    set("modules", OsStr::new(&SUBJECTS.join(" ")));
    if machine.boot == Boot::NineP {
        // Paths of this machine; a self-contained guest must not depend on them.
        set("kernel_modules", machine.kernel.modules.as_os_str());
        set("results", machine.results.as_ref().map(|dir| dir.as_os_str()).unwrap_or_default());
    }
    set("shell", OsStr::new(if machine.shell { "yes" } else { "no" }));
    text
}

/// The script that becomes the command.
fn command(machine: &Machine) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let nine_p = machine.boot == Boot::NineP;
    let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let path = match std::env::var("PATH") {
        Ok(own) if nine_p => format!("{own}:{system}"),
        _ => system.to_owned(),
    };
    let fixed =
        [("PATH", path.as_str()), ("HOME", "/root"), ("TERM", "dumb"), ("TRACETOLL_GUEST", "1")];
    let given = machine.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in fixed.into_iter().chain(given) {
        text.extend(format!("export {name}=").into_bytes());
        text.extend(quoted(OsStr::new(value)));
        text.push(b'\n');
    }
    let folder = if nine_p { std::env::current_dir()? } else { PathBuf::from("/") };
    text.extend(b"cd ");
    text.extend(quoted(folder.as_os_str()));
    text.extend(b" || exit 126\nexec");
    for word in &machine.command {
        text.push(b' ');
        text.extend(quoted(word));
    }
    text.push(b'\n');
    Ok(text)
}

/// One word for a POSIX shell.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut text = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => text.extend(b"'\\''"),
            other => text.push(*other),
        }
    }
    text.push(b'\'');
    text
}

/// A newc archive whose bytes depend on nothing but its files: no times, no owners.
struct Cpio {
    out: BufWriter<File>,
    inode: u32,
    dirs: BTreeSet<String>,
}

impl Cpio {
    fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { out: BufWriter::new(file), inode: 0, dirs: BTreeSet::new() })
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let slashes = name.match_indices('/').map(|(at, _)| &name[..at]);
        for dir in slashes {
            if self.dirs.insert(dir.to_owned()) {
                self.entry(dir, DIRECTORY, &[])?;
            }
        }
        self.entry(name, EXECUTABLE, bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(bytes.len()).context("a file of an initramfs is below 4 GiB")?;
        let mut writer = Builder::new(name).ino(self.inode).mode(mode).write(&mut self.out, size);
        writer.write_all(bytes)?;
        writer.finish()?;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        trailer(&mut self.out)?;
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_survives_the_shell() {
        for word in ["plain", "two words", "it's", "$HOME `x` \\ \"", "", "a\nb"] {
            let mut script = b"printf %s ".to_vec();
            script.extend(quoted(OsStr::new(word)));
            let script = OsStr::from_bytes(&script);
            let out = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }

    #[test]
    fn an_archive_has_each_folder_once_and_before_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cpio");
        let mut cpio = Cpio::create(&path).unwrap();
        cpio.file("a/b/one", b"1").unwrap();
        cpio.file("a/two", b"2").unwrap();
        cpio.finish().unwrap();
        let mut names = Vec::new();
        let mut input = File::open(&path).unwrap();
        loop {
            let reader = cpio::NewcReader::new(input).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            names.push(reader.entry().name().to_owned());
            input = reader.finish().unwrap();
        }
        assert_eq!(names, ["a", "a/b", "a/b/one", "a/two"]);
    }
}
