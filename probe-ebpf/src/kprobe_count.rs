//! `kprobe_count`: counts the calls of one kernel function, through a kprobe.
//!
//! Its map is that of [`fentry_count`](crate::fentry_count).

/// Name of the program in the object.
pub const PROGRAM: &str = "kprobe_count";
