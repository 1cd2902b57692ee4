//! `fentry_timestamp`: reads the clock and drops what it read.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_timestamp";
