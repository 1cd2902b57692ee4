//! Exact counters of the hits of one place, or of each of several functions: one copy of the
//! program that counts there, with its own slots.
//!
//! Exact means: counted hits + hits that the kernel skipped ([`Probe::missed`]) = all hits while
//! the link was attached.

use std::mem::offset_of;

use probe_core::error::{Error, Result};
use probe_ebpf::{
    fentry_count::{self, SLOTS, Slot},
    kprobe_count, kprobe_multi_count, rawtp_count, tracepoint_count,
};

use super::{
    loader::{Loader, Spot},
    probe::Probe,
    slots::Slots,
};

/// Counts while its program is attached.
#[derive(Debug)]
pub struct Counter {
    /// The program.
    pub probe: Probe,
    /// What it has counted.
    pub counts: HitCounts,
}

/// The counts since the counter was loaded, readable without a system call.
#[derive(Debug)]
pub struct HitCounts {
    slots: Slots,
    items: usize,
}

impl Counter {
    /// Loads a counter for `spot`, not yet attached.
    ///
    /// # Errors
    /// The kernel has no such place, or rejects the program there.
    pub fn load(loader: &mut Loader, spot: Spot<'_>) -> Result<Self> {
        let program = match spot {
            Spot::Fentry(_) | Spot::Fexit(_) => fentry_count::PROGRAM,
            Spot::Kprobe(_) | Spot::Kretprobe(_) => kprobe_count::PROGRAM,
            Spot::KprobeMulti(_) => kprobe_multi_count::PROGRAM,
            Spot::RawTracepoint(_) => rawtp_count::PROGRAM,
            Spot::Tracepoint(_) => tracepoint_count::PROGRAM,
        };
        let items = spot.items();
        let entries = u32::try_from(items).ok().and_then(|n| n.checked_mul(loader.cpus()));
        let entries = entries.ok_or_else(|| {
            let subject = spot.subject();
            Error::unsupported(subject, "no map has that many slots", "Trace fewer functions")
        })?;
        let probe = loader.load(program, &[(SLOTS, entries)], spot)?;
        let slots = probe.slots::<Slot>(SLOTS, items)?;
        Ok(Self { probe, counts: HitCounts { slots, items } })
    }

    /// Hits of all items while it was attached: counted plus missed.
    ///
    /// # Errors
    /// The kernel does not report what was missed.
    pub fn made(&self) -> Result<u64> {
        Ok(self.counts.all() + self.probe.missed_exactly()?)
    }
}

impl HitCounts {
    /// The hits of each item.
    pub fn each(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.items).map(|item| self.slots.sum_of(item, offset_of!(Slot, calls)))
    }

    /// The hits of all items.
    pub fn all(&self) -> u64 {
        self.each().sum()
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Bytes of one reading of all counts.
    pub fn bytes(&self) -> u64 {
        (self.items * self.slots.cpus() * size_of::<u64>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_what_the_counter_asks_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        for program in [
            fentry_count::PROGRAM,
            kprobe_count::PROGRAM,
            kprobe_multi_count::PROGRAM,
            rawtp_count::PROGRAM,
            tracepoint_count::PROGRAM,
        ] {
            assert!(object.programs.contains_key(program), "{program}");
        }
        let slots = &object.maps[SLOTS];
        assert_eq!(slots.value_size() as usize, size_of::<Slot>());
        assert_eq!(slots.map_flags(), aya_obj::generated::BPF_F_MMAPABLE);
        assert_eq!(object.license.as_c_str(), c"Dual MIT/GPL");
    }
}
