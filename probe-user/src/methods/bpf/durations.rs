//! `bpf-fexit-latency`, `bpf-kretprobe-latency`: count each call and its duration, in the kernel.
//!
//! A start time must be matched with its call: a task can be preempted and migrated between entry
//! and exit, interrupts can call the same function on its stack, and functions can call themselves.
//! So neither a slot per CPU nor one per task works:
//! - on a trampoline the key of a start time is the frame in which the trampoline runs the
//!   function: both programs see it, and no other call has the same one before this call has ended;
//! - on a kprobe and a kretprobe the key is the thread, as in scripts for bpftrace, or the CPU for
//!   an idle task. If calls of a function nest in a thread, or in an interrupt of it, the inner
//!   call takes the place of the outer one, which is then not timed.

use std::{mem::offset_of, os::fd::AsFd as _};

use probe_core::{
    error::{Error, Result},
    model::{bounds, item::ItemId, method::Class, observation::Durations, target::Target},
};
use probe_ebpf::{
    durations::{self, BUCKETS, DURATIONS, STARTS},
    fentry_count::{SLOTS, Slot},
};
use serde_json::json;

use super::session::{Account, Design, Details, MethodKind, Part, Programmed, Traced};
use crate::{
    kernel::bpf::{
        loader::{Loader, Spot},
        object::Map,
        probe::Probe,
        slots::Slots,
    },
    methods::{Method, Sink, entry::Entry, options::Options},
    sys::bpf::maps,
};

/// On trampolines.
pub(super) const FEXIT: Entry = Entry::plain("bpf-fexit-latency", |options| {
    make(options, Way::Trampoline, "fentry and fexit programs time each call", "frame")
});
/// On kprobes.
pub(super) const KRETPROBE: Entry = Entry::plain("bpf-kretprobe-latency", |options| {
    make(options, Way::Kprobes, "programs on kprobes and kretprobes time each call", "thread")
});

/// bpftrace's default limit.
const MAX_KEYS: u32 = 4096;

/// How the two programs are attached, and so what identifies a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The function's trampoline; the frame in which it runs the function.
    Trampoline,
    /// A kprobe and a kretprobe; the thread.
    Kprobes,
}

fn make(options: &mut Options, way: Way, summary: &str, key: &str) -> Result<Box<dyn Method>> {
    let max_keys = options.number("max_keys", MAX_KEYS, &bounds::MAX_KEYS)?;
    let summary = format!("{summary}; log2 histograms in the kernel, keyed by {key}");
    let parameters = Details::from([
        ("max_keys".into(), json!(max_keys)),
        ("key".into(), json!(key)),
        ("clock".into(), json!("monotonic")),
    ]);
    let kind = MethodKind { durations: true, parameters, ..MethodKind::new(Class::Exact, summary) };
    Ok(Programmed::make(options, kind, Timing { way, max_keys }))
}

#[derive(Debug)]
struct Timing {
    way: Way,
    /// Number of calls of one function that can be in progress at the same time.
    max_keys: u32,
}

impl Design for Timing {
    type Part = Timer;

    /// The exits; each also has an entry.
    fn spots<'t>(&self, target: &'t Target) -> Vec<Spot<'t>> {
        let exit = match self.way {
            Way::Trampoline => Spot::Fexit,
            Way::Kprobes => Spot::Kretprobe,
        };
        target.functions.iter().map(exit).collect()
    }

    fn load(&self, loader: &mut Loader, exit: Spot<'_>) -> Result<Traced<Timer>> {
        let (entry, [enter, leave]) = match exit {
            Spot::Fexit(function) => {
                (Spot::Fentry(function), [durations::FENTRY, durations::FEXIT])
            }
            Spot::Kretprobe(function) => {
                (Spot::Kprobe(function), [durations::KPROBE, durations::KRETPROBE])
            }
            other => (other, [durations::KPROBE, durations::KRETPROBE]),
        };
        let maps = [(SLOTS, loader.cpus()), (STARTS, self.max_keys)];
        let enter = loader.load(enter, &maps, entry)?;
        let maps = [(DURATIONS, loader.cpus())];
        let leave = loader.load_beside(Some(&enter), leave, &maps, exit)?;
        let part = Timer {
            calls: enter.slots::<Slot>(SLOTS, 1)?,
            starts: Map::clone(enter.map(STARTS)?),
            durations: leave.slots::<durations::Durations>(DURATIONS, 1)?,
            reads: 0,
        };
        Ok(Traced { probes: vec![enter, leave], part })
    }
}

/// Times the calls of one function.
#[derive(Debug)]
struct Timer {
    calls: Slots,
    /// The start times of calls that have not ended.
    starts: Map,
    durations: Slots,
    /// How often the calls were read.
    reads: u64,
}

impl Timer {
    /// Number of calls that have started, read without a system call.
    fn calls(&self) -> u64 {
        self.calls.sum(offset_of!(Slot, calls))
    }
}

impl Part for Timer {
    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        sink.count(item, self.calls());
        self.reads += 1;
        Ok(())
    }

    fn account(&mut self, _: &[Probe]) -> Result<Account> {
        // After detach: calls that were running then, and calls whose exit was missed.
        let left = maps::count_keys::<8>(self.starts.fd().as_fd())
            .map_err(|e| Error::call("bpf(BPF_MAP_GET_NEXT_KEY)", STARTS, e))?;
        let of = |offset| self.durations.sum(offset);
        let first = offset_of!(durations::Durations, log2_ns);
        let log2_ns = (0..BUCKETS).map(|bucket| of(first + bucket * size_of::<u64>())).collect();
        let details = Details::from([
            // Exits that found no start time.
            (
                "untimed_exits_per_function".into(),
                json!(of(offset_of!(durations::Durations, untimed))),
            ),
            ("starts_left_at_detach_per_function".into(), json!(left)),
            // Exits that could not remove their start time from the map.
            (
                "starts_not_removed_per_function".into(),
                json!(of(offset_of!(durations::Durations, kept))),
            ),
        ]);
        let bytes = self.reads * (self.calls.cpus() * size_of::<u64>()) as u64;
        let durations = Some(Durations { log2_ns });
        Ok(Account { durations, details, ..Account::new(Some(self.calls()), bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_what_the_timers_ask_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        for program in
            [durations::FENTRY, durations::FEXIT, durations::KPROBE, durations::KRETPROBE]
        {
            assert!(object.programs.contains_key(program), "{program}");
        }
        let durations = &object.maps[DURATIONS];
        assert_eq!(durations.value_size() as usize, size_of::<durations::Durations>());
        assert_eq!(object.maps[STARTS].key_size(), 8);
    }
}
