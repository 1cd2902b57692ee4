//! `fentry_empty`: does nothing. What it costs is the price of the hook.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_empty";
