//! What the harness needs on this machine, prepared before the first guest.

use super::accel::{AccelArg, Tried};
use crate::Architecture;
use crate::apt::Archive;
use crate::install::{self, Installer, Need};
use crate::protocol::Accel;
use crate::{kernels, store};
use anyhow::Result;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Proof that guests can be booted.
#[derive(Debug)]
pub struct Tools {
    arch: &'static Architecture,
    busybox: PathBuf,
    accel: Accel,
    tried: Tried,
}

impl Tools {
    /// Installs what is missing.
    pub fn ready(install: &Installer) -> Result<Self> {
        let arch = Architecture::current()?;
        install.ensure(&[qemu(arch), SETPRIV, STRIP, kernels::KMOD])?;
        Ok(Self { arch, busybox: busybox(install)?, accel: Accel::Tcg, tried: Tried::default() })
    }

    /// Runs machines with this accelerator, instead of emulating all.
    pub fn accelerated(self, by: AccelArg) -> Self {
        Self { accel: by.accel, ..self }
    }

    pub(crate) fn arch(&self) -> &'static Architecture {
        self.arch
    }

    pub(crate) fn accel(&self) -> Accel {
        self.accel
    }

    pub(crate) fn tried(&self) -> &Tried {
        &self.tried
    }

    /// A busybox that needs no libraries.
    pub fn busybox(&self) -> &Path {
        &self.busybox
    }
}

/// The first major version of QEMU that works: 7.2 crashes guests when ftrace or kprobes are
/// attached under load, and hangs with -icount.
const OLDEST: u32 = 10;

fn qemu(arch: &Architecture) -> Need {
    Need {
        package: arch.qemu_package,
        why: "to boot the guests; older ones crash a guest that is traced under load",
        at_least: Some("1:10"),
        present: || version().is_some_and(|major| major >= OLDEST),
    }
}

const SETPRIV: Need = Need {
    package: "util-linux",
    why: "so that QEMU ends with what started it, however that ends (setpriv)",
    at_least: None,
    present: || install::program("setpriv").is_some(),
};

const STRIP: Need = Need {
    package: "binutils",
    why: "so that programs go into guests without their debug information (strip)",
    at_least: None,
    present: || install::program("strip").is_some(),
};

/// The major version of the QEMU on PATH.
fn version() -> Option<u32> {
    let out = Command::new(Architecture::current().ok()?.qemu).arg("--version").output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    text.split("version ").nth(1)?.split('.').next()?.parse().ok()
}

/// Debian's static busybox, unpacked and not installed: installing it would replace the machine's
/// own.
pub(crate) fn busybox(install: &Installer) -> Result<PathBuf> {
    let tree = store::folder("busybox")?;
    let lock = File::create(tree.join("lock"))?;
    lock.lock()?;
    let places = ["bin/busybox", "usr/bin/busybox"].map(|place| tree.join(place));
    let found = || places.iter().find(|place| place.exists()).cloned();
    if let Some(path) = found() {
        return Ok(path);
    }
    install.may_fetch("busybox, which machines boot into,")?;
    let archive = Archive::release()?;
    archive.update()?;
    archive.unpack(&["busybox-static".to_owned()], &tree)?;
    found().ok_or_else(|| anyhow::anyhow!("package busybox-static holds no busybox"))
}
