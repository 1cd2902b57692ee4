//! perf_event_open(2).

pub mod ring;
pub mod sample;
mod ticker;

use self::sample::SampleProfiler;
use super::{Method, options::Options, registry::Entry};
use crate::error::Result;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::kind(sample::OWN, "perf-sample-999", sampler),
    Entry::kind(sample::CALLCHAIN, "perf-sample-999-callchain", sampler),
];

fn sampler(options: &mut Options) -> Result<Box<dyn Method>> {
    Ok(Box::new(SampleProfiler::of(options)?))
}
