//! `fentry_perfbuf`: writes a [`crate::ring::Call`] for each call to its CPU's perf ring, and
//! counts in [`crate::losses`] those that the ring refused.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_perfbuf";

/// Name of its map: perf events (`PERF_COUNT_SW_BPF_OUTPUT`) by CPU.
pub const EVENTS: &str = "PERF_EVENTS";
