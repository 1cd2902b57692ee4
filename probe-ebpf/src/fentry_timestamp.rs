//! `fentry_timestamp`: reads the clock and discards the result.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_timestamp";
