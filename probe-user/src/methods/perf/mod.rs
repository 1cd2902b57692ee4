//! perf_event_open(2).

mod account;
mod attached;
pub mod count;
mod events;
mod points;
pub mod record;
pub mod ring;
pub mod sample;

use probe_core::error::Result;

use self::{count::Counter, record::Recorder, sample::SampleProfiler};
use super::{Method, entry::Entry, options::Options};

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::kind(sample::OWN, "perf-sample-999", sampler),
    Entry::kind(sample::CALLCHAIN, "perf-sample-999-callchain", sampler),
    Entry::plain(record::KPROBE, recorder),
    Entry::kind(record::KPROBE_N, "perf-kprobe-record-100", recorder),
    Entry::plain(record::TRACEPOINT, recorder),
    Entry::plain(count::KPROBE, counter),
    Entry::plain(count::TRACEPOINT, counter),
];

fn sampler(options: &mut Options) -> Result<Box<dyn Method>> {
    Ok(Box::new(SampleProfiler::of(options)?))
}

fn recorder(options: &mut Options) -> Result<Box<dyn Method>> {
    Ok(Box::new(Recorder::of(options)?))
}

#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
fn counter(options: &mut Options) -> Result<Box<dyn Method>> {
    Ok(Box::new(Counter::of(options)))
}
