//! perf_event_open(2).

pub mod ring;
pub mod sample;

use self::sample::SampleProfiler;
use super::registry::Entry;

/// All methods of this family.
pub const METHODS: &[Entry] = &[Entry::kind(sample::PATTERN, "perf-sample-999", |options| {
    Ok(Box::new(SampleProfiler::of(options)?))
})];
