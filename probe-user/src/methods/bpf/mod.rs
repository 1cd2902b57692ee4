//! Methods that run programs in the kernel.

pub mod count;
mod counting;
mod estimate;
mod fentry_bins;
mod fentry_budget;
mod fentry_count;
mod fentry_count_percpu;
mod fentry_nothing;
mod fentry_perfbuf;
mod fentry_ringbuf;
mod fentry_sample;
pub mod latency;
mod prices;
pub mod sample;
mod session;

use probe_core::error::Result;

use self::{
    count::{Count, Kind},
    latency::Latency,
    sample::Sampling,
};
use super::{Method, entry::Entry};
use crate::kernel::bpf::latency::Way;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain(fentry_nothing::EMPTY, fentry_nothing::empty),
    Entry::plain(fentry_nothing::TIMESTAMP, fentry_nothing::timestamp),
    Entry::plain(fentry_count::ID, fentry_count::make),
    Entry::plain(fentry_count_percpu::PERCPU, fentry_count_percpu::percpu),
    Entry::plain(fentry_count_percpu::HASH, fentry_count_percpu::hash),
    Entry::plain(fentry_ringbuf::ID, fentry_ringbuf::make),
    Entry::plain(fentry_perfbuf::ID, fentry_perfbuf::make),
    Entry::plain(fentry_bins::ID, fentry_bins::make),
    Entry::kind(fentry_sample::PATTERN, fentry_sample::EXAMPLE, fentry_sample::make),
    Entry::plain(fentry_budget::ID, fentry_budget::make),
    Entry::plain(Kind::KPROBE.id, |_| count(Kind::KPROBE)),
    Entry::plain(Kind::KPROBE_MULTI.id, |_| count(Kind::KPROBE_MULTI)),
    Entry::plain(Kind::RAW_TRACEPOINT.id, |_| count(Kind::RAW_TRACEPOINT)),
    Entry::plain(Kind::TRACEPOINT.id, |_| count(Kind::TRACEPOINT)),
    Entry::plain(latency::FEXIT, |options| Ok(Box::new(Latency::of(options, Way::Trampoline)?))),
    Entry::plain(latency::KRETPROBE, |options| Ok(Box::new(Latency::of(options, Way::Kprobes)?))),
    Entry::kind(sample::PATTERN, "bpf-sample-999", |options| Ok(Box::new(Sampling::of(options)?))),
];

#[expect(clippy::unnecessary_wraps, reason = "what the registry calls may fail")]
fn count(kind: Kind) -> Result<Box<dyn Method>> {
    Ok(Box::new(Count::new(kind)))
}
