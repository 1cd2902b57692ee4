//! `perf-kprobe-count`, `perf-tracepoint-count`: the kernel counts the hits, like `perf stat -a -e
//! EVENT`.
//!
//! One event per place and CPU, those of a CPU in one group: a reading takes one read(2) per CPU,
//! and interrupts that CPU once. Counts of software events are not available in a shared page
//! (`rdpmc` is only for hardware).

use std::collections::BTreeMap;

use probe_core::{
    error::Result,
    model::{
        item::ItemId,
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::Target,
    },
};

use super::{
    attached::{Attached, hits},
    points::PointSource,
};
use crate::{
    kernel::known::Known,
    methods::{AttachContext, Cadence, Detection, Method, Session, Sink, options::Options},
    sys::perf::SampleRate,
};

/// Id of the counter of calls.
pub const KPROBE: &str = "perf-kprobe-count";
/// Id of the counter of tracepoint hits.
pub const TRACEPOINT: &str = "perf-tracepoint-count";

/// The method.
#[derive(Debug)]
pub struct Counter {
    descriptor: Descriptor,
    source: PointSource,
}

impl Counter {
    /// The method that `options` name; it has no parameters.
    pub fn of(options: &Options) -> Self {
        let (source, what) = match options.base() {
            TRACEPOINT => (PointSource::Tracepoints, "each tracepoint's hits"),
            _ => (PointSource::Kprobes, "each function's calls, by a kprobe,"),
        };
        let descriptor = Descriptor {
            id: options.id(options.base()),
            family: Family::Perf,
            class: Class::Exact,
            unit: SeriesUnit::Calls { factor: 1.0 },
            durations: false,
            summary: format!("{what} are counted per CPU by perf events"),
            parameters: BTreeMap::new(),
        };
        Self { descriptor, source }
    }
}

impl Method for Counter {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        Attached::try_out(self.source, target, known).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let attached = Attached::open(self.source, target, context.run, SampleRate::Never, None)?;
        let items = attached.items();
        Ok(Box::new(Counting { attached, items }))
    }
}

#[derive(Debug)]
struct Counting {
    attached: Attached,
    /// The item at each place.
    items: Vec<ItemId>,
}

impl Session for Counting {
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn start(&mut self) -> Result<()> {
        self.attached.start()
    }

    fn attached(&self, target: &Target) -> Result<Vec<String>> {
        Ok(self.attached.lines(target))
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let totals = hits(&self.attached.events.read()?, self.items.len());
        for (&item, total) in self.items.iter().zip(totals) {
            sink.count(item, total);
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.attached.stop()
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        let ended = self.attached.close(noted)?;
        let recorded = ended.by_item(ended.counted.iter().copied());
        // A count needs no ring.
        Ok(Observation { recorded, lost: Loss::NONE, ..ended.observation })
    }
}
