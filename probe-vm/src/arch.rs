//! What differs between architectures, for kernels, images and machines.

use anyhow::{Result, anyhow};
use std::env::consts::ARCH;
use std::path::Path;

use crate::image::vmlinux;

/// An architecture whose machines are known.
#[derive(Debug)]
pub struct Architecture {
    /// As Rust and `uname -m` call it.
    pub name: &'static str,
    /// As Debian calls it, at the end of the names of its kernels.
    pub(crate) debian: &'static str,
    /// Makes what QEMU boots at once from the image in Debian's package: (from, to).
    pub(crate) unpack: fn(&Path, &Path) -> Result<()>,
    /// QEMU's program.
    pub qemu: &'static str,
    /// Debian's package that has it.
    pub qemu_package: &'static str,
    /// QEMU's machine for the guests of an experiment, with what keeps it small.
    pub guest_machine: &'static str,
    /// The serial console, as the kernel calls it.
    console: &'static str,
    /// Has a kernel trust its clock and its timer, which it may give up under emulation.
    trusts_clock: &'static str,
    /// Has the kernel of a guest of KVM get its page faults at once. Those that KVM reports late
    /// make VMs less reliable where KVM is emulated (docs/src/guide/emulation.md).
    pub no_late_faults: &'static str,
    /// The emulated processor of a machine that runs VMs.
    pub(crate) nested_processor: &'static str,
    /// The module of its KVM; the parameter `nested=0` keeps it from offering KVM in turn.
    pub(crate) nested_module: &'static str,
    /// Words for its kernel: without what the emulation gets wrong now and then.
    pub(crate) nested_words: &'static str,
    /// The numbers of the system calls that malloc makes: mmap, mprotect, munmap, brk, mremap,
    /// madvise and futex.
    pub malloc_calls: &'static str,
}

/// x86-64.
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

/// All of them. A new one is a row here.
static KNOWN: [&Architecture; 1] = [&X86_64];

impl Architecture {
    /// That of this machine. The error says which are known.
    pub fn current() -> Result<&'static Self> {
        Self::named(ARCH)
    }

    fn named(name: &str) -> Result<&'static Self> {
        let found = KNOWN.into_iter().find(|known| known.name == name);
        found.ok_or_else(|| {
            anyhow!("no machine of {name} can be booted: only those of {} are known", Self::names())
        })
    }

    /// The names of all.
    pub fn names() -> String {
        KNOWN.map(|known| known.name).join(", ")
    }

    /// The first words of a guest's kernel: it says little, and gives up for good at the first
    /// failure. With -no-reboot QEMU ends then.
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
