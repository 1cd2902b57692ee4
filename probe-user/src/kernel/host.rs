//! The machine that a run runs on.

use std::fs;

use crate::{
    error::{Error, Result},
    kernel::cpus,
    model::{campaign::Host, figure::Platform},
};

/// The kernel argument by which the VM harness says that time is counted instructions.
const COUNTED: &str = "tracetoll.clock=counted";

/// Reads the host's facts.
///
/// # Errors
/// /proc cannot be read.
pub fn read() -> Result<Host> {
    let cpuinfo = read_proc("/proc/cpuinfo")?;
    let meminfo = read_proc("/proc/meminfo")?;
    Ok(Host {
        cpu: field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
        cpus: cpus::online()?.len(),
        memory_kib: field(&meminfo, "MemTotal")
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| Error::malformed("/proc/meminfo", "no MemTotal"))?,
        kernel_version: read_proc("/proc/version")?.trim_end().to_owned(),
        kernel_command_line: read_proc("/proc/cmdline")?.trim_end().to_owned(),
        hypervisor: hypervisor(&cpuinfo),
    })
}

/// The kernel's release, as `uname -r` prints it.
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The clock that this host's times are in.
///
/// An emulated CPU is recognised by its vendor or model: QEMU's TCG calls itself so in both, unless told otherwise;
/// hardware virtualisation runs the real instructions and counts as native.
pub fn platform(host: &Host) -> Platform {
    if host.kernel_command_line.split_whitespace().any(|argument| argument == COUNTED) {
        Platform::Counted
    } else if host.hypervisor.as_deref() == Some(TCG) {
        Platform::Emulated
    } else {
        Platform::Native
    }
}

/// What an emulated CPU is called here.
const TCG: &str = "QEMU TCG";

fn hypervisor(cpuinfo: &str) -> Option<String> {
    let flags = field(cpuinfo, "flags")?;
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return None;
    }
    let model = field(cpuinfo, "model name").unwrap_or_default();
    let vendor = fs::read_to_string("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    // kvm-clock is offered by KVM and by nothing else that runs the guest's instructions on the real CPU under QEMU.
    let clocks = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
    let under_kvm = fs::read_to_string(clocks).is_ok_and(|list| list.contains("kvm-clock"));
    if model.contains("TCG") || (vendor.trim() == "QEMU" && !under_kvm) {
        return Some(TCG.to_owned());
    }
    let vendor = vendor.trim();
    Some(if vendor.is_empty() { "unknown".to_owned() } else { vendor.to_owned() })
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text
        .lines()
        .find(|line| line.split_once(':').is_some_and(|(key, _)| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim())
}

fn read_proc(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::file("read", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counted_clock_is_named_by_the_kernel_command_line() {
        let mut host = read().unwrap();
        host.kernel_command_line = "quiet tracetoll.clock=counted".into();
        assert_eq!(platform(&host), Platform::Counted);
        host.kernel_command_line = "quiet".into();
        host.hypervisor = Some(TCG.into());
        assert_eq!(platform(&host), Platform::Emulated);
        host.hypervisor = None;
        assert_eq!(platform(&host), Platform::Native);
    }
}
