//! Blocks, trials, the bin clock, the witness and the journal.
