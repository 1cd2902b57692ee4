//! perf_event_open(2).

pub mod ring;
pub mod sample;
