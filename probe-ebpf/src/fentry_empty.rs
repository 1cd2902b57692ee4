//! `fentry_empty`: does nothing. Its cost is that of the hook.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_empty";
