//! `rawtp_count`: counts the hits of one tracepoint, as a raw tracepoint program.
//!
//! Its map is that of [`fentry_count`](crate::fentry_count).

/// Name of the program in the object.
pub const PROGRAM: &str = "rawtp_count";
