//! What differs between architectures, for kernels, images and machines.

use anyhow::{Result, anyhow};
use std::env::consts::ARCH;
use std::path::Path;

use crate::image::vmlinux;

/// An architecture whose machines are known.
#[derive(Debug)]
pub struct Architecture {
    /// Its name in Rust and `uname -m`.
    pub name: &'static str,
    /// Its name in Debian, with which the names of kernels end.
    pub(crate) debian: &'static str,
    /// Turns the image in Debian's package into one that QEMU boots directly: (from, to).
    pub(crate) unpack: fn(&Path, &Path) -> Result<()>,
    /// QEMU's program.
    pub qemu: &'static str,
    /// The Debian package of that program.
    pub qemu_package: &'static str,
    /// QEMU's machine type for the guests of an experiment, with the options that keep it small.
    pub guest_machine: &'static str,
    /// The kernel's name of the serial console.
    console: &'static str,
    /// Makes a kernel trust its clock and its timer, which it may otherwise give up under
    /// emulation.
    trusts_clock: &'static str,
    /// Makes the kernel of a KVM guest get its page faults at once. Page faults that KVM reports
    /// late make VMs less reliable when KVM is emulated (docs/src/guide/emulation.md).
    pub no_late_faults: &'static str,
    /// The emulated processor of a machine that runs VMs.
    pub(crate) nested_processor: &'static str,
    /// Its KVM module; the parameter `nested=0` keeps it from offering KVM to its guests.
    pub(crate) nested_module: &'static str,
    /// Kernel arguments that avoid what the emulation sometimes gets wrong.
    pub(crate) nested_words: &'static str,
    /// The numbers of the system calls that malloc makes: mmap, mprotect, munmap, brk, mremap,
    /// madvise and futex.
    pub malloc_calls: &'static str,
}

pub static X86_64: Architecture = Architecture {
    name: "x86_64",
    debian: "amd64",
    unpack: vmlinux::unpack,
    qemu: "qemu-system-x86_64",
    qemu_package: "qemu-system-x86",
    guest_machine: "pc,usb=off,vmport=off",
    console: "ttyS0",
    trusts_clock: "tsc=reliable no_timer_check",
    no_late_faults: "no-kvmapf",
    nested_processor: "EPYC,+svm,+npt",
    nested_module: "kvm_amd",
    nested_words: "kvm_amd.vgif=0 kvm_amd.vls=0",
    malloc_calls: "9 10 11 12 25 28 202",
};

/// All known architectures. A new one is a row here.
static KNOWN: [&Architecture; 1] = [&X86_64];

impl Architecture {
    /// The architecture of this machine. The error names those that are known.
    pub fn current() -> Result<&'static Self> {
        Self::named(ARCH)
    }

    fn named(name: &str) -> Result<&'static Self> {
        let found = KNOWN.into_iter().find(|known| known.name == name);
        found.ok_or_else(|| {
            anyhow!("machines of {name} cannot be booted: only {} is supported", Self::names())
        })
    }

    /// The names of all known architectures.
    pub fn names() -> String {
        KNOWN.map(|known| known.name).join(", ")
    }

    /// The first kernel arguments of a guest: the kernel prints little, and panics at the first
    /// failure. With -no-reboot QEMU then ends.
    pub fn kernel_words(&self) -> String {
        let Self { console, trusts_clock, .. } = self;
        format!("console={console} quiet panic=-1 oops=panic {trusts_clock}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_architecture_is_refused_with_those_that_are_known() {
        let refused = Architecture::named("riscv64").unwrap_err().to_string();
        assert!(refused.contains("riscv64") && refused.contains("x86_64"), "{refused}");
    }
}
