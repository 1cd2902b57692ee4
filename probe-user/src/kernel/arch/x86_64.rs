//! x86-64, and whether the time of such a processor is that of hardware.
//!
//! A platform is `native` only if that is known: an x86-64 processor of a known vendor that reports
//! no hypervisor. What a hypervisor's owner can name freely (the model, the firmware's vendor)
//! proves nothing, and can only raise doubt. A VM inside an emulated machine looks like one on
//! hardware; nothing inside it distinguishes the two.

use std::{arch::x86_64::__cpuid, env::consts::ARCH, fs};

use probe_core::model::{campaign::Processor, figure::Platform};

use super::Architecture;

pub(super) const X86_64: Architecture = Architecture {
    machines: &probe_vm::arch::X86_64,
    processor: read,
    platform: judge,
    hypervisor,
    // `local` and `x86-tsc` are both the TSC.
    trace_clocks: &["mono", "local", "x86-tsc"],
    clocksource: "tsc",
    kvm_modules: "kvm_amd (kvm_intel on a processor of Intel's)",
};

/// Vendors of x86 processors (arch/x86/kernel/cpu/).
const VENDORS: [&str; 5] =
    ["GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls", "  Shanghai  "];

/// The signature of QEMU's emulator (`TCG_FEATURES` in target/i386/cpu.c).
const EMULATOR: &str = "TCGTCGTCGTCG";

/// Signatures of hypervisors that run a guest's instructions on the processor itself, and their
/// names (arch/x86/kernel/cpu/hypervisor.c lists the kernel's detectors).
const HYPERVISORS: [(&str, &str); 12] = [
    ("KVMKVMKVM", "KVM"),
    ("Linux KVM Hv", "KVM"),
    ("Microsoft Hv", "Hyper-V"),
    ("VMwareVMware", "VMware"),
    ("XenVMMXenVMM", "Xen"),
    ("VBoxVBoxVBox", "VirtualBox"),
    ("bhyve bhyve ", "bhyve"),
    ("ACRNACRNACRN", "ACRN"),
    ("Jailhouse", "Jailhouse"),
    (" prl hyperv ", "Parallels"),
    (" lrpepyh  vr", "Parallels"),
    ("QNXQVMBSQG", "QNX"),
];

/// Makers of virtual machines, as named by firmware.
const MACHINES: [&str; 7] = ["QEMU", "Bochs", "KVM", "Xen", "VMware", "innotek", "Parallels"];

/// Reads what the processor, the kernel and the firmware report.
fn read(model: &str) -> Processor {
    let line = |path| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let mut processor = Processor {
        architecture: ARCH.into(),
        hypervisor_of_kernel: line("/sys/hypervisor/type"),
        machine: line("/sys/class/dmi/id/sys_vendor"),
        ..Processor::default()
    };
    ask(&mut processor);
    processor.doubt = judge(&processor, model).err();
    processor
}

/// Reads CPUID.
fn ask(processor: &mut Processor) {
    let text = |registers: [u32; 3]| {
        let bytes: Vec<u8> = registers.into_iter().flat_map(u32::to_le_bytes).collect();
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_end_matches('\0').to_owned()).filter(|text| !text.is_empty())
    };
    let vendor = __cpuid(0);
    processor.vendor = text([vendor.ebx, vendor.edx, vendor.ecx]);
    processor.hypervisor_bit = __cpuid(1).ecx >> 31 == 1;
    if processor.hypervisor_bit {
        let leaf = __cpuid(0x4000_0000);
        processor.hypervisor_signature = text([leaf.ebx, leaf.ecx, leaf.edx]);
    }
}

/// The platform of this processor's wall clock; the error says why it is unknown.
fn judge(processor: &Processor, model: &str) -> Result<Platform, String> {
    let Processor { vendor, machine, .. } = processor;
    if let Some(signature) = &processor.hypervisor_signature {
        return match signature.as_str() {
            EMULATOR => Ok(Platform::Emulated),
            known if name(known).is_some() => Ok(Platform::Virtual),
            other => Err(format!("a hypervisor is present, with the unknown signature `{other}`")),
        };
    }
    if processor.hypervisor_bit {
        return Err("a hypervisor is present that does not say which".into());
    }
    if processor.hypervisor_of_kernel.is_some() {
        // The CPUID of a Xen PV guest may be that of the processor.
        return Ok(Platform::Virtual);
    }
    match vendor.as_deref() {
        Some(vendor) if VENDORS.contains(&vendor) => {}
        Some(other) => return Err(format!("the processor's vendor `{other}` is unknown")),
        None => return Err("the processor names no vendor".into()),
    }
    if model.contains("QEMU") || model.contains("TCG") {
        return Err(format!("no hypervisor is present, and the processor is called `{model}`"));
    }
    match machine.as_deref().filter(|name| MACHINES.iter().any(|maker| name.starts_with(maker))) {
        Some(maker) => {
            Err(format!("no hypervisor is present, and the machine's vendor is `{maker}`"))
        }
        None => Ok(Platform::Native),
    }
}

/// The hypervisor's name, if one is present.
fn hypervisor(processor: &Processor) -> Option<String> {
    let signature = processor.hypervisor_signature.as_deref();
    let of_signature = signature.map(|signature| match signature {
        EMULATOR => "QEMU TCG".to_owned(),
        other => name(other).unwrap_or(other).to_owned(),
    });
    let unnamed = || processor.hypervisor_bit.then(|| "unknown".to_owned());
    of_signature.or_else(|| processor.hypervisor_of_kernel.clone()).or_else(unnamed)
}

fn name(signature: &str) -> Option<&'static str> {
    HYPERVISORS.iter().find(|(known, _)| *known == signature).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x86(vendor: &str) -> Processor {
        Processor {
            architecture: "x86_64".into(),
            vendor: Some(vendor.into()),
            ..Processor::default()
        }
    }

    fn under(signature: Option<&str>) -> Processor {
        let hypervisor_signature = signature.map(str::to_owned);
        Processor { hypervisor_bit: true, hypervisor_signature, ..x86("AuthenticAMD") }
    }

    #[test]
    fn native_is_only_what_is_known_to_be() {
        let intel = || x86("GenuineIntel");
        let machine = |name: &str| Processor { machine: Some(name.into()), ..intel() };
        let xen_pv = Processor { hypervisor_of_kernel: Some("xen".into()), ..intel() };
        let silent = Processor { architecture: "x86_64".into(), ..Processor::default() };
        let model = "Intel(R) Xeon(R) Gold 6330";
        let cases = [
            (intel(), model, Some(Platform::Native)),
            (machine("Dell Inc."), model, Some(Platform::Native)),
            (x86("AuthenticAMD"), "AMD EPYC 7763", Some(Platform::Native)),
            (x86("HygonGenuine"), "Hygon C86", Some(Platform::Native)),
            (under(Some("KVMKVMKVM")), model, Some(Platform::Virtual)),
            // A cloud may name its processors and machines freely.
            (under(Some("KVMKVMKVM")), "QEMU TCG CPU version 2.5+", Some(Platform::Virtual)),
            (
                Processor { machine: Some("QEMU".into()), ..under(Some("Microsoft Hv")) },
                "",
                Some(Platform::Virtual),
            ),
            (under(Some("VMwareVMware")), model, Some(Platform::Virtual)),
            (under(Some("XenVMMXenVMM")), model, Some(Platform::Virtual)),
            (xen_pv, model, Some(Platform::Virtual)),
            (under(Some("TCGTCGTCGTCG")), "AMD EPYC Processor", Some(Platform::Emulated)),
            (under(Some("SomethingNew")), model, None),
            (under(None), model, None),
            // `-cpu max,-hypervisor`, and the same with the name of a real processor.
            (x86("AuthenticAMD"), "QEMU TCG CPU version 2.5+", None),
            (machine("QEMU"), "AMD EPYC Processor", None),
            (machine("VMware, Inc."), model, None),
            (x86("VirtualApple"), "VirtualApple @ 2.50GHz", None),
            (silent, model, None),
        ];
        for (processor, model, expected) in cases {
            let found = judge(&processor, model);
            assert_eq!(found.clone().ok(), expected, "{processor:?}, {model}: {found:?}");
            assert!(found.err().is_none_or(|why| !why.is_empty()));
        }
    }

    #[test]
    fn a_hypervisor_is_called_by_its_name() {
        let called = |signature| hypervisor(&under(signature));
        assert_eq!(called(Some("KVMKVMKVM")).as_deref(), Some("KVM"));
        assert_eq!(called(Some("TCGTCGTCGTCG")).as_deref(), Some("QEMU TCG"));
        assert_eq!(called(Some("SomethingNew")).as_deref(), Some("SomethingNew"));
        assert_eq!(called(None).as_deref(), Some("unknown"));
        assert_eq!(hypervisor(&x86("GenuineIntel")), None);
    }

    #[test]
    fn this_processor_says_what_it_is() {
        let processor = read("");
        assert_eq!(processor.architecture, X86_64.machines.name);
        assert_eq!(processor.hypervisor_bit, flag("hypervisor"));
        assert!(processor.vendor.is_some_and(|vendor| vendor.len() == 12));
    }

    /// The kernel read the same leaf when it started.
    fn flag(name: &str) -> bool {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap();
        text.split_whitespace().any(|word| word == name)
    }
}
