//! Methods that run programs in the kernel.

mod count;
mod durations;
mod estimate;
mod fentry_bins;
mod fentry_budget;
mod fentry_count_percpu;
mod fentry_nothing;
mod fentry_perfbuf;
mod fentry_ringbuf;
mod fentry_sample;
mod prices;
mod rates;
pub mod sample;
mod session;

use self::sample::Sampling;
use super::entry::Entry;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain(fentry_nothing::EMPTY, fentry_nothing::empty),
    Entry::plain(fentry_nothing::TIMESTAMP, fentry_nothing::timestamp),
    count::FENTRY,
    Entry::plain(fentry_count_percpu::PERCPU, fentry_count_percpu::percpu),
    Entry::plain(fentry_count_percpu::HASH, fentry_count_percpu::hash),
    Entry::plain(fentry_ringbuf::ID, fentry_ringbuf::make),
    Entry::plain(fentry_ringbuf::ADAPTIVE, fentry_ringbuf::make),
    Entry::plain(fentry_perfbuf::ID, fentry_perfbuf::make),
    Entry::plain(fentry_perfbuf::WOKEN, fentry_perfbuf::make),
    Entry::plain(fentry_bins::ID, fentry_bins::make),
    Entry::kind(fentry_sample::PATTERN, fentry_sample::EXAMPLE, fentry_sample::make),
    Entry::plain(fentry_budget::ID, fentry_budget::make),
    count::KPROBE,
    count::KPROBE_MULTI,
    count::RAW_TRACEPOINT,
    count::TRACEPOINT,
    durations::FEXIT,
    durations::KRETPROBE,
    Entry::kind(sample::PATTERN, "bpf-sample-999", |options| Ok(Box::new(Sampling::of(options)?))),
];
