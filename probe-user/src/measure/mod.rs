//! Blocks, trials, the bin clock, the witness and the journal.

pub mod clock;
pub mod collector;
pub mod journal;
pub mod witness;
