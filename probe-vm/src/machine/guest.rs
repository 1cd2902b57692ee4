//! The initramfs that a guest boots into, written for one run.
//!
//! With boot `9p` it only mounts the machine's own root. With boot `initramfs` it is all that the
//! guest ever sees, so that nothing outside it can make two runs differ.

use super::{Boot, Machine, Tools};
use crate::Architecture;
use crate::modules::ModuleTree;
use crate::newc::Cpio;
use crate::protocol::PORTS;
use crate::{apt, libraries};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Loaded first: modules for the ports, and for a 9p root.
const PORT_MODULES: [&str; 2] = ["virtio_pci", "virtio_console"];
const ROOT_MODULES: [&str; 3] = ["9pnet_virtio", "9p", "overlay"];
/// Loaded before the command runs: the modules that are measured.
const SUBJECTS: [&str; 4] = ["vhost_net", "tun", "veth", "bridge"];
/// Packed into a self-contained guest if the kernel has them, and loaded on demand.
const ON_DEMAND: [&str; 12] = [
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
    "openvswitch",
    "af_packet",
];

/// Writes the initramfs of `machine` to `path`.
pub(crate) fn write(machine: &Machine, path: &Path, tools: &Tools) -> Result<()> {
    let tree = ModuleTree::open(&machine.kernel.modules)?;
    let boot: Vec<&str> = match machine.boot {
        Boot::NineP => PORT_MODULES.into_iter().chain(ROOT_MODULES).collect(),
        Boot::Initramfs => PORT_MODULES.to_vec(),
    };
    let mut files = tree.closure(boot.iter().copied())?;
    if machine.boot == Boot::Initramfs {
        files.extend(tree.closure(SUBJECTS)?);
        let on_demand = ON_DEMAND.into_iter().chain([tools.arch().nested_module]);
        files.extend(tree.closure(on_demand.filter(|module| tree.has(module)))?);
    }
    let mut cpio = Cpio::create(path)?;
    cpio.file("init", include_bytes!("init.sh"))?;
    cpio.file("bin/busybox", &fs::read(tools.busybox())?)?;
    cpio.file("run/vm/stage2", include_bytes!("stage2.sh"))?;
    cpio.file("run/vm/settings", &settings(machine, &boot, tools.arch()))?;
    cpio.file("run/vm/command", &command(machine)?)?;
    tree.pack(&machine.kernel.version, &files, &mut cpio)?;
    carry(&machine.files, path, &mut cpio)?;
    cpio.finish()
}

/// Puts the files of a self-contained guest into its archive: programs without their debug
/// information, which would only be tens of megabytes to unpack, and with their shared libraries.
fn carry(files: &[(PathBuf, String)], path: &Path, cpio: &mut Cpio) -> Result<()> {
    let mut libraries = BTreeSet::new();
    for (from, to) in files {
        let read =
            |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        let mut bytes = read(from)?;
        if bytes.starts_with(ELF) && is_executable(from)? {
            libraries.append(&mut libraries::of(from)?);
            let stripped = path.with_extension("stripped");
            apt::run(Command::new("strip").arg("-g").arg("-o").arg(&stripped).arg(from))?;
            bytes = read(&stripped)?;
            fs::remove_file(&stripped)?;
        }
        cpio.file(to.trim_start_matches('/'), &bytes)?;
    }
    libraries::pack(&libraries, cpio)
}

/// How program files begin; so do objects of kernel programs, which nobody executes.
const ELF: &[u8] = b"\x7fELF";

fn is_executable(file: &Path) -> Result<bool> {
    Ok(fs::metadata(file)?.permissions().mode() & 0o111 != 0)
}

/// The settings of the two stages, as shell assignments.
fn settings(machine: &Machine, boot_modules: &[&str], arch: &Architecture) -> Vec<u8> {
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
    set("nested", OsStr::new(if machine.nested { arch.nested_module } else { "" }));
    if machine.boot == Boot::NineP {
        // Paths of this machine; a self-contained guest must not depend on them.
        set("kernel_modules", machine.kernel.modules.as_os_str());
        set("results", machine.results.as_ref().map(|dir| dir.as_os_str()).unwrap_or_default());
    }
    set("shell", OsStr::new(if machine.shell { "yes" } else { "no" }));
    text
}

/// The script that runs the command.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_survives_the_shell() {
        for word in ["plain", "two words", "it's", "$HOME `x` \\ \"", "", "a\nb"] {
            let mut script = b"printf %s ".to_vec();
            script.extend(quoted(OsStr::new(word)));
            let script = OsStr::from_bytes(&script);
            let out = Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
