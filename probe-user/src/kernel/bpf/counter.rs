//! The exact call counter of one function: one copy of `fentry_count` with a map of its own.
//!
//! Exact means: calls that were counted + hits that the kernel skipped (`recursion_misses`) = calls
//! that were made while the link was in place.

use std::mem::offset_of;

use probe_core::{
    error::{Error, Result},
    model::{loss::Loss, target::Function},
};
use probe_ebpf::fentry_count::{PROGRAM, SLOTS, Slot};

use super::{
    probe::{Probe, Probes},
    slots::Slots,
};

/// Makes counters.
#[derive(Debug)]
pub struct Counters(Probes);

/// Counts the calls of one function while it is attached.
#[derive(Debug)]
pub struct Counter {
    probe: Probe,
    calls: Calls,
}

/// What a counter has counted, readable without a system call.
#[derive(Debug)]
pub struct Calls(Slots);

impl Counters {
    /// Reads the object and the kernel's types.
    ///
    /// # Errors
    /// The kernel has no BTF or refuses ours; not root.
    pub fn new() -> Result<Self> {
        Ok(Self(Probes::new()?))
    }

    /// Loads a counter for `function`, not yet attached. `name` is the program's name in the
    /// kernel.
    ///
    /// # Errors
    /// The function has no type, or the verifier refuses the program on it.
    pub fn load(&mut self, function: &Function, name: &str) -> Result<Counter> {
        let (probe, calls) = load(&mut self.0, function, name)?;
        Ok(Counter { probe, calls })
    }
}

/// The two parts of a counter.
///
/// # Errors
/// The function has no type, or the verifier refuses the program on it.
pub fn load(probes: &mut Probes, function: &Function, name: &str) -> Result<(Probe, Calls)> {
    let cpus = probes.cpus();
    let probe = probes.load(PROGRAM, name, &[(SLOTS, cpus)], function)?;
    let calls = Calls(Slots::of::<Slot>(&probe, SLOTS)?);
    Ok((probe, calls))
}

impl Calls {
    /// Calls counted since the counter was loaded.
    pub fn get(&self) -> u64 {
        self.0.sum(offset_of!(Slot, calls))
    }

    /// Words that [`Calls::get`] reads.
    pub fn words(&self) -> u64 {
        self.0.cpus() as u64
    }
}

impl Counter {
    /// The function that it counts.
    pub fn function(&self) -> &str {
        self.probe.function()
    }

    /// Starts counting.
    ///
    /// # Errors
    /// The function cannot be patched, or something else holds it.
    pub fn attach(&mut self) -> Result<()> {
        self.probe.attach()
    }

    /// Stops counting; what was counted stays readable. Nothing to do where it is not attached.
    ///
    /// # Errors
    /// The program is still attached.
    pub fn detach(&mut self) -> Result<()> {
        self.probe.detach()
    }

    /// Calls counted since the counter was loaded, without a system call.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Calls at which the program did not run, since it was loaded.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn missed(&self) -> Result<Loss> {
        self.probe.missed()
    }

    /// Calls that were made while the counter was attached: those it counted and those it missed.
    ///
    /// # Errors
    /// The kernel does not tell what was missed.
    pub fn made(&self) -> Result<u64> {
        let missed = self.missed()?.exact().ok_or_else(|| {
            Error::unsupported(
                format!("exact count of {}", self.function()),
                "this kernel does not tell how often a BPF program was skipped",
                "Use Linux 5.12 or newer",
            )
        })?;
        Ok(self.calls() + missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_what_the_counter_asks_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        assert!(object.programs.contains_key(PROGRAM));
        let slots = &object.maps[SLOTS];
        assert_eq!(slots.value_size() as usize, size_of::<Slot>());
        assert_eq!(slots.map_flags(), aya_obj::generated::BPF_F_MMAPABLE);
        assert_eq!(object.license.as_c_str(), c"Dual MIT/GPL");
    }
}
