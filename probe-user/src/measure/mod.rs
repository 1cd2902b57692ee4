//! Blocks, trials, the bin clock, the reference counter and the journal.

pub mod ahead;
mod arrivals;
pub mod bench;
mod calibration;
pub mod campaign;
pub mod clock;
pub mod collector;
mod cpu;
pub mod doctor;
pub mod guard;
mod guests;
pub mod hook;
mod input;
pub mod journal;
mod latency;
pub mod leftovers;
pub mod output;
pub mod plan;
pub mod reader;
pub mod reference;
mod steady;
mod stopwatch;
pub mod store;
mod timeline;
mod trial;
mod truth;
mod watch;
