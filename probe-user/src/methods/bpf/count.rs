//! Methods that count each hit in the kernel and read the counts from shared memory:
//! `bpf-fentry-count`, and the same at other attach points than a trampoline.
//!
//! They share one program. It has one slot per CPU that nobody else writes to, so the increment is
//! a plain add. It calls no helper except the one that returns the CPU (and, if one program is
//! attached to many functions, the one that identifies the function). So the difference between two
//! of these methods is the cost of the path to the program. Reading needs no system call. They do
//! not give the time of a hit within a bin.

use probe_core::{
    error::Result,
    model::{item::ItemId, method::Class, target::Target},
};

use super::session::{Account, Design, MethodKind, Part, Programmed, Traced};
use crate::{
    kernel::bpf::{
        counter::{Counter, HitCounts},
        loader::{Loader, Spot},
        probe::Probe,
    },
    methods::{Method, Sink, entry::Entry, options::Options},
};

type Spots = for<'t> fn(&'t Target) -> Vec<Spot<'t>>;

/// One of these methods; `TRACEPOINTS` says that it sees tracepoints, not functions.
#[derive(Debug)]
struct Count<const TRACEPOINTS: bool> {
    spots: Spots,
}

/// On function entries.
pub(super) const FENTRY: Entry = Entry::plain("bpf-fentry-count", |options| {
    let summary = "fentry programs count each call per CPU; read from shared memory";
    count::<false>(options, summary, |target| target.functions.iter().map(Spot::Fentry).collect())
});

/// On kprobes.
pub(super) const KPROBE: Entry = Entry::plain("bpf-kprobe-count", |options| {
    let summary = "programs on kprobes count each call per CPU; read from shared memory";
    count::<false>(options, summary, |target| target.functions.iter().map(Spot::Kprobe).collect())
});

/// On one fprobe.
pub(super) const KPROBE_MULTI: Entry = Entry::plain("bpf-kprobe-multi-count", |options| {
    let summary = "one program on an fprobe of all functions counts each call per CPU; read from \
                   shared memory";
    count::<false>(options, summary, |target| vec![Spot::KprobeMulti(&target.functions)])
});

/// On tracepoints themselves.
pub(super) const RAW_TRACEPOINT: Entry = Entry::plain("bpf-rawtp-count", |options| {
    let summary = "raw tracepoint programs count each hit per CPU; read from shared memory";
    count::<true>(options, summary, |target| {
        target.tracepoints.iter().map(Spot::RawTracepoint).collect()
    })
});

/// On the perf events of tracepoints.
pub(super) const TRACEPOINT: Entry = Entry::plain("bpf-tracepoint-count", |options| {
    let summary = "tracepoint programs count each hit per CPU; read from shared memory";
    count::<true>(options, summary, |target| {
        target.tracepoints.iter().map(Spot::Tracepoint).collect()
    })
});

#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
fn count<const TRACEPOINTS: bool>(
    options: &Options,
    summary: &str,
    spots: Spots,
) -> Result<Box<dyn Method>> {
    let kind = MethodKind::new(Class::Exact, summary);
    Ok(Programmed::make(options, kind, Count::<TRACEPOINTS> { spots }))
}

#[derive(Debug)]
struct Counting {
    counts: HitCounts,
    /// Times that it was read.
    reads: u64,
}

impl<const TRACEPOINTS: bool> Design for Count<TRACEPOINTS> {
    type Part = Counting;

    const SEES_TRACEPOINTS: bool = TRACEPOINTS;

    fn spots<'t>(&self, target: &'t Target) -> Vec<Spot<'t>> {
        (self.spots)(target)
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Counting>> {
        let Counter { probe, counts } = Counter::load(loader, spot)?;
        Ok(Traced::new(probe, Counting { counts, reads: 0 }))
    }
}

impl Part for Counting {
    fn items(&self) -> usize {
        self.counts.items()
    }

    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        self.reads += 1;
        item.onward().zip(self.counts.each()).for_each(|(item, hits)| sink.count(item, hits));
        Ok(())
    }

    fn account(&mut self, _: &[Probe]) -> Result<Account> {
        let recorded = self.counts.each().collect();
        Ok(Account { recorded, ..Account::new(None, self.reads * self.counts.bytes()) })
    }
}
