//! `fentry_ringbuf`: writes a [`crate::ring::Call`] for each call, and counts in [`crate::losses`]
//! those that find the ring full.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_ringbuf";
