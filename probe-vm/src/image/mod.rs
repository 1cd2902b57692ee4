//! The image that kvm guests boot.
//!
//! A stock Debian kernel, unpacked so that a guest need not do it (that takes seconds if KVM itself
//! is emulated), and an initramfs with only what a guest of an experiment runs: busybox, iperf3,
//! the virtio drivers.

pub(crate) mod vmlinux;

use crate::Architecture;
use crate::externals::IPERF3;
use crate::install::{self, Installer};
use crate::kernels::{self, Kernel};
use crate::libraries;
use crate::machine;
use crate::modules::ModuleTree;
use crate::newc::Cpio;
use crate::store;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Modules that the init script loads, in this order.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_console", "virtio_net"];

/// The guests' default kernel, whatever kernel is below them: only the latter is compared.
pub const SERIES: &str = kernels::DEFAULT;

/// The folder of the image, with its `kernel` and `initramfs`. Builds it if it is missing or if
/// another version built it.
pub fn ready(series: &str, install: &Installer) -> Result<PathBuf> {
    let arch = Architecture::current()?;
    // QEMU is not installed: a host that serves VMs has its own, and any version will do here.
    install.ensure(&[IPERF3, kernels::KMOD])?;
    let busybox = machine::busybox(install)?;
    let kernel = Kernel::get(series, install)?;
    let dir = store::folder("image")?.join(&kernel.version);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = File::create(dir.join("lock"))?;
    lock.lock()?;
    if !dir.join("kernel").exists() {
        whole(&dir, "kernel", |part| (arch.unpack)(&kernel.image, part))?;
    }
    // Building it takes less time than checking whether it is still right.
    whole(&dir, "initramfs", |part| initramfs(arch, &kernel, &busybox, part))?;
    Ok(dir)
}

/// Makes a file that appears under its name only when it is complete, so that guests can boot from
/// the old one meanwhile.
fn whole(dir: &Path, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = dir.join(format!("{name}.part"));
    make(&part)?;
    fs::rename(&part, dir.join(name)).with_context(|| format!("cannot rename {}", part.display()))
}

fn initramfs(arch: &Architecture, kernel: &Kernel, busybox: &Path, path: &Path) -> Result<()> {
    let tree = ModuleTree::open(&kernel.modules)?;
    let files = tree.closure(MODULES)?;
    let mut cpio = Cpio::create(path)?;
    cpio.file("init", include_bytes!("init.sh"))?;
    let malloc_calls = format!("malloc_calls='{}'\n", arch.malloc_calls);
    cpio.file("orders.sh", (malloc_calls + include_str!("orders.sh")).as_bytes())?;
    cpio.file("bin/busybox", &fs::read(busybox)?)?;
    tree.pack(&kernel.version, &files, &mut cpio)?;
    let iperf3 = install::program("iperf3").context("iperf3 is missing")?;
    cpio.file("bin/iperf3", &fs::read(&iperf3)?)?;
    libraries::pack(&libraries::of(&iperf3)?, &mut cpio)?;
    cpio.finish()
}
