//! What differs between architectures: one [`Architecture`] each, in its own file.

#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::env::consts::ARCH;

use probe_core::{
    error::{Error, Result},
    model::{campaign::Processor, figure::Platform},
};

/// An architecture that tracetoll measures on.
#[derive(Debug)]
pub struct Architecture {
    /// Its machines: its name, and what QEMU needs.
    pub machines: &'static probe_vm::Architecture,
    /// Reads what the processor, the kernel and the firmware report about the machine; the argument
    /// is the processor's model.
    pub processor: fn(&str) -> Processor,
    /// The platform of this processor's wall clock; the error says why it is unknown.
    pub platform: fn(&Processor, &str) -> std::result::Result<Platform, String>,
    /// The hypervisor's name, if one is present.
    pub hypervisor: fn(&Processor) -> Option<String>,
    /// The trace clocks that a recording may use; the first is the default and that of the bin
    /// edges.
    pub trace_clocks: &'static [&'static str],
    /// If the kernel uses this clocksource, it guarantees that the other clocks agree on all CPUs.
    pub clocksource: &'static str,
    /// The modules to load for KVM.
    pub kvm_modules: &'static str,
}

/// The architectures for which this program is built: each has its own instructions.
static KNOWN: &[Architecture] = &[
    #[cfg(target_arch = "x86_64")]
    x86_64::X86_64,
];

impl Architecture {
    /// The architecture of this host.
    ///
    /// # Errors
    /// It is not known.
    pub fn current() -> Result<&'static Self> {
        Self::named(ARCH)
    }

    /// The architecture with this name.
    ///
    /// # Errors
    /// It is not known.
    pub fn named(name: &str) -> Result<&'static Self> {
        KNOWN.iter().find(|known| known.machines.name == name).ok_or_else(|| {
            Error::unsupported(
                format!("the architecture {name}"),
                "tracetoll knows neither its clocks, nor how to tell a real processor from an \
                 emulated one",
                format!(
                    "Measure on a host of {}; `tracetoll report` and `tracetoll compare` read its \
                     results here",
                    probe_vm::Architecture::names()
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_architecture_is_refused_with_a_reason_and_what_helps() {
        let refused = Architecture::named("riscv64").unwrap_err().to_string();
        assert!(
            refused.starts_with("the architecture riscv64: tracetoll knows neither"),
            "{refused}"
        );
        assert!(refused.contains("on a host of x86_64"), "{refused}");
    }

    #[test]
    fn each_is_one_whose_machines_are_known() {
        let names = probe_vm::Architecture::names();
        for known in KNOWN {
            assert!(names.split(", ").any(|name| name == known.machines.name), "{names}");
        }
        assert!(std::ptr::eq(
            Architecture::current().unwrap().machines,
            probe_vm::Architecture::current().unwrap()
        ));
    }
}
