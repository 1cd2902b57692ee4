//! `fentry_count_percpu`: counts in the kernel's own per-CPU array.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_count_percpu";

/// Name of its map: a per-CPU array with one `u64`, the calls of its CPU.
pub const CALLS: &str = "PERCPU_CALLS";
