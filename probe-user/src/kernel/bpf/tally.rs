//! Exact counters on places other than a function's trampoline: the program counts the hits of its
//! place in slots of its own, as [`counter`](super::counter) does.

use std::mem::offset_of;

use probe_core::{
    error::{Error, Result},
    model::target::{Function, Tracepoint},
};
use probe_ebpf::{
    fentry_count::{SLOTS, Slot},
    kprobe_count, kprobe_multi_count, rawtp_count, tracepoint_count,
};

use super::{
    attachable::Attachable,
    object::{Object, Plan},
    percpu::PerCpu,
    place::Place,
};
use crate::{kernel::cpus, sys::bpf::Kind};

/// Makes tallies.
#[derive(Debug)]
pub struct Tallies {
    object: Object,
    cpus: u32,
    /// What the kernel calls the programs.
    name: String,
}

/// Counts the hits of one function, of one tracepoint, or of several functions each, while it is
/// attached.
#[derive(Debug)]
pub struct Tally {
    /// The program.
    pub program: Attachable,
    slots: PerCpu,
    items: usize,
}

/// What a tally is made of.
struct Recipe {
    program: &'static str,
    kind: Kind<'static>,
    place: Place,
    subject: String,
    items: usize,
}

impl Tallies {
    /// Reads the object; the kernel shall call the programs `name`.
    ///
    /// # Errors
    /// The kernel refuses its types; not root.
    pub fn new(name: String) -> Result<Self> {
        Ok(Self { object: Object::open()?, cpus: cpus::slots()?, name })
    }

    /// A tally of `function`, by a kprobe, not yet attached.
    ///
    /// # Errors
    /// The kernel offers no kprobes to perf, or the verifier refuses the program.
    pub fn kprobe(&self, function: &Function) -> Result<Tally> {
        self.make(Recipe {
            program: kprobe_count::PROGRAM,
            kind: Kind::Kprobe,
            place: Place::kprobe(function, false)?,
            subject: function.name.clone(),
            items: 1,
        })
    }

    /// One for all `functions`, by one fprobe; its items are the functions.
    ///
    /// # Errors
    /// The verifier refuses the program; the kernel may yet refuse to attach it.
    pub fn kprobe_multi(&self, functions: &[Function]) -> Result<Tally> {
        let cpus = u64::from(self.cpus);
        let cookies = (0..functions.len() as u64).map(|item| item * cpus).collect();
        self.make(Recipe {
            program: kprobe_multi_count::PROGRAM,
            kind: Kind::KprobeMulti,
            place: Place::kprobe_multi(functions, cookies)?,
            subject: functions.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
            items: functions.len(),
        })
    }

    /// One of `tracepoint`, before its record is made.
    ///
    /// # Errors
    /// The verifier refuses the program.
    pub fn raw_tracepoint(&self, tracepoint: &Tracepoint) -> Result<Tally> {
        self.make(Recipe {
            program: rawtp_count::PROGRAM,
            kind: Kind::RawTracepoint,
            place: Place::RawTracepoint(tracepoint.name.clone()),
            subject: tracepoint.to_string(),
            items: 1,
        })
    }

    /// One of `tracepoint`, with its record.
    ///
    /// # Errors
    /// There is no such tracepoint, or the verifier refuses the program.
    pub fn tracepoint(&self, tracepoint: &Tracepoint) -> Result<Tally> {
        self.make(Recipe {
            program: tracepoint_count::PROGRAM,
            kind: Kind::Tracepoint,
            place: Place::tracepoint(tracepoint)?,
            subject: tracepoint.to_string(),
            items: 1,
        })
    }

    fn make(&self, recipe: Recipe) -> Result<Tally> {
        let Recipe { program, kind, place, subject, items } = recipe;
        let entries = u32::try_from(items).ok().and_then(|items| items.checked_mul(self.cpus));
        let entries = entries.ok_or_else(|| {
            Error::unsupported(&subject, "no map has that many slots", "Trace fewer functions")
        })?;
        let instance = self.object.load(&Plan {
            program,
            name: &self.name,
            maps: &[(SLOTS, entries)],
            partner: None,
            kind,
            subject: &subject,
        })?;
        let slots = PerCpu::new::<Slot>(&instance, SLOTS, items, &subject)?;
        Ok(Tally { program: Attachable::new(subject, place, instance), slots, items })
    }
}

impl Tally {
    /// Hits of each item since it was loaded, without a system call.
    pub fn hits(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.items).map(|item| self.slots.sum(item, offset_of!(Slot, calls)))
    }

    /// Words that [`Tally::hits`] reads.
    pub fn words(&self) -> usize {
        self.items * self.slots.cpus()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_what_the_tallies_ask_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        for program in [
            kprobe_count::PROGRAM,
            kprobe_multi_count::PROGRAM,
            rawtp_count::PROGRAM,
            tracepoint_count::PROGRAM,
        ] {
            assert!(object.programs.contains_key(program), "{program}");
        }
    }
}
