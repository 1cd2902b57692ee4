//! `kprobe_multi_count`: counts the calls of many kernel functions, with one program on all of
//! them.
//!
//! Its map is that of [`fentry_count`](crate::fentry_count), with one slot per function and
//! possible CPU number of this host. A function's cookie is the index of its first slot, so the
//! program adds where it would otherwise multiply.

/// Name of the program in the object.
pub const PROGRAM: &str = "kprobe_multi_count";
