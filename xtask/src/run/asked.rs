//! What a scenario asks of the machines that measure it, as tracetoll itself reads it.

use anyhow::{Context, Result, bail};
use probe_vm::externals;
use probe_vm::machine::ClockName;
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Size of the pages that VMs' memory stands in, in MiB.
const HUGE_PAGE_MIB: u64 = 2;

/// What a VM takes of its machine's memory beyond its own, in MiB: QEMU and the kernel's tables.
const VM_OVERHEAD_MIB: u64 = 64;

/// The machine's own memory, in MiB.
const MACHINE_MIB: u64 = 2048;

/// The needs of one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// As in the scenario: `blast`, `bridge`, `kvm`, `existing`.
    guests: String,
    count: u64,
    memory_mib: u64,
    load_cpus: u32,
    /// As in the scenario: `bridge`, `ovs`, `direct`.
    switch: String,
    /// Whether the toll is measured too.
    pub(crate) toll: bool,
}

impl Asked {
    /// Asks `tracetoll` about the scenario that the arguments of `tracetoll run` name, with what
    /// they make otherwise.
    ///
    /// # Errors
    /// tracetoll refuses the scenario: the text is its own.
    pub(crate) fn ask(tracetoll: &Path, arguments: &[OsString]) -> Result<Self> {
        const OVERRIDES: [&str; 3] = ["--guests", "--switch", "--time-scale"];
        let name = externals::values(arguments, "--scenario").pop();
        let mut command = Command::new(tracetoll);
        command.args(["scenarios", "--format", "json", "--print"]);
        command.arg(name.as_deref().unwrap_or("quick"));
        for flag in OVERRIDES {
            if let Some(value) = externals::values(arguments, flag).pop() {
                command.args([flag, &value]);
            }
        }
        let out = command.output().with_context(|| format!("cannot run {command:?}"))?;
        if !out.status.success() {
            bail!("{}", String::from_utf8_lossy(&out.stderr).trim().trim_start_matches("error: "));
        }
        Self::read(&serde_json::from_slice(&out.stdout)?)
    }

    fn read(scenario: &Value) -> Result<Self> {
        let text = |at: &str| scenario.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let number = |at: &str| scenario.pointer(at).and_then(Value::as_u64);
        let asked = || {
            Some(Self {
                guests: text("/guests/kind")?,
                count: number("/guests/count")?,
                memory_mib: number("/guests/memory_mib")?,
                load_cpus: number("/load_cpus")?.try_into().ok()?,
                switch: text("/network/switch")?,
                toll: scenario.get("toll").is_some_and(|toll| !toll.is_null()),
            })
        };
        asked()
            .with_context(|| format!("tracetoll prints a scenario that lacks a field: {scenario}"))
    }

    /// Eight guests of this kind behind a bridge.
    #[cfg(test)]
    pub(crate) fn of(guests: &str, toll: bool) -> Self {
        let (guests, switch) = (guests.to_owned(), "bridge".to_owned());
        Self { guests, count: 8, memory_mib: 192, load_cpus: 1, switch, toll }
    }

    /// Whether the guests are VMs.
    pub(crate) fn kvm(&self) -> bool {
        self.guests == "kvm"
    }

    /// The clock of the machines, given what was asked for.
    ///
    /// # Errors
    /// They cannot have that: their guests are VMs.
    pub(crate) fn clock(&self, asked_for: Option<ClockName>) -> Result<ClockName> {
        match (self.kvm(), asked_for) {
            (true, Some(ClockName::Counted)) => bail!(
                "a machine whose guests are VMs cannot count instructions, as none of them would boot in time: \
                 leave --clock counted out, or measure with --guests bridge"
            ),
            (true, _) => Ok(ClockName::Wall),
            (false, asked_for) => Ok(asked_for.unwrap_or(ClockName::Counted)),
        }
    }

    /// Whether programs of the host take part in the load, so that its root must be there.
    pub(crate) fn programs(&self) -> bool {
        self.guests != "blast" || self.switch == "ovs"
    }

    /// One for the sink beside those of the load.
    pub(crate) fn cpus(&self) -> u32 {
        self.load_cpus + 1
    }

    /// Pages of 2 MiB for all VMs.
    pub(super) fn huge_pages(&self) -> u64 {
        if self.kvm() { self.count * self.memory_mib.div_ceil(HUGE_PAGE_MIB) } else { 0 }
    }

    /// As QEMU's `-m` takes it.
    pub(crate) fn memory(&self) -> String {
        let guests = if self.kvm() { self.count * (self.memory_mib + VM_OVERHEAD_MIB) } else { 0 };
        format!("{}M", MACHINE_MIB + guests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scenario_of_vms_asks_for_their_memory_and_a_cpu_for_the_sink() {
        let scenario = json!({
            "load_cpus": 2,
            "guests": { "kind": "kvm", "count": 8, "memory_mib": 192 },
            "network": { "switch": "ovs" },
        });
        let asked = Asked::read(&scenario).unwrap();
        assert!(asked.kvm() && asked.programs() && !asked.toll);
        assert_eq!((asked.cpus(), asked.memory()), (3, "4096M".to_owned()));
        assert_eq!(asked.huge_pages(), 768);
        assert!(asked.clock(Some(ClockName::Counted)).is_err());
        assert_eq!(asked.clock(None).unwrap(), ClockName::Wall);
        assert!(Asked::read(&json!({ "load_cpus": 2 })).is_err());
    }

    #[test]
    fn blast_guests_behind_a_bridge_need_no_programs() {
        let scenario = json!({
            "load_cpus": 1,
            "guests": { "kind": "blast", "count": 8, "memory_mib": 192 },
            "network": { "switch": "bridge" },
            "toll": {},
        });
        let asked = Asked::read(&scenario).unwrap();
        assert!(!asked.programs() && asked.toll);
        assert_eq!(asked.clock(None).unwrap(), ClockName::Counted);
        assert_eq!(asked.clock(Some(ClockName::Wall)).unwrap(), ClockName::Wall);
        assert_eq!((asked.cpus(), asked.memory()), (2, "2048M".to_owned()));
        assert_eq!(asked.huge_pages(), 0);
    }
}
