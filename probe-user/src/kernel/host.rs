//! The machine on which a run measures.

use std::fs;

use probe_core::{
    error::{Error, Result},
    model::{
        campaign::{self, Environment, Host, Processor},
        figure::Platform,
    },
};
use probe_vm::protocol::{self, Accel, ClockName};

use crate::kernel::{arch::Architecture, cpus};

/// Reads the host's facts.
///
/// # Errors
/// Its architecture is unknown, or /proc cannot be read.
pub fn read() -> Result<Host> {
    let arch = Architecture::current()?;
    let cpuinfo = read_proc("/proc/cpuinfo")?;
    let meminfo = read_proc("/proc/meminfo")?;
    let cpu = field(&cpuinfo, "model name").unwrap_or("unknown").to_owned();
    let processor = (arch.processor)(&cpu);
    Ok(Host {
        cpus: cpus::online()?.len(),
        memory_kib: field(&meminfo, "MemTotal")
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| Error::malformed("/proc/meminfo", "no MemTotal"))?,
        kernel_version: read_proc("/proc/version")?.trim_end().to_owned(),
        kernel_command_line: read_proc("/proc/cmdline")?.trim_end().to_owned(),
        hypervisor: (arch.hypervisor)(&processor),
        processor: Some(processor),
        cpu,
    })
}

/// The kernel's release, as `uname -r` prints it.
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The clock of this host's times.
pub fn platform(host: &Host) -> Platform {
    if let Some((ClockName::Counted, _)) = protocol::machine(&host.kernel_command_line) {
        return Platform::Counted;
    }
    let judged = |processor: &Processor| {
        let arch = Architecture::named(&processor.architecture).ok()?;
        (arch.platform)(processor, &host.cpu).ok()
    };
    host.processor.as_ref().and_then(judged).unwrap_or(Platform::Unknown)
}

/// The clock and accelerator of this machine, if tracetoll booted it.
///
/// # Errors
/// /proc cannot be read.
pub fn machine() -> Result<Option<(ClockName, Accel)>> {
    Ok(protocol::machine(&read_proc("/proc/cmdline")?))
}

/// The environment of a run on this host.
pub fn environment(host: &Host) -> Environment {
    let Some((clock, accel)) = protocol::machine(&host.kernel_command_line) else {
        return Environment::Host;
    };
    Environment::Vm {
        kernel: release(),
        accel: match accel {
            Accel::Kvm => campaign::Accel::Kvm,
            Accel::Auto | Accel::Tcg => campaign::Accel::Tcg,
        },
        clock: match clock {
            ClockName::Wall => campaign::Clock::Wall,
            ClockName::Counted => campaign::Clock::Counted,
        },
    }
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

/// Whether this process sees all processes of the kernel: whether its PID namespace is the first
/// one (`PROC_PID_INIT_INO` in include/linux/proc_ns.h).
pub fn is_first_pid_namespace() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counted_clock_is_named_by_the_kernel_command_line() {
        let mut host = read().unwrap();
        host.kernel_command_line = "quiet tracetoll.clock=counted".into();
        assert_eq!(platform(&host), Platform::Counted);
        let (accel, clock) = (campaign::Accel::Tcg, campaign::Clock::Counted);
        assert_eq!(environment(&host), Environment::Vm { kernel: release(), accel, clock });
        host.kernel_command_line = "quiet".into();
        assert_ne!(platform(&host), Platform::Counted);
        assert_eq!(environment(&host), Environment::Host);
        if let Some(processor) = &mut host.processor {
            processor.architecture = "aarch64".into();
        }
        assert_eq!(platform(&host), Platform::Unknown);
        host.processor = None;
        assert_eq!(platform(&host), Platform::Unknown);
    }
}
