//! `tracepoint_count`: counts the hits of one tracepoint, with a tracepoint program, which gets the
//! tracepoint's record.
//!
//! Its map is that of [`fentry_count`](crate::fentry_count).

/// Name of the program in the object.
pub const PROGRAM: &str = "tracepoint_count";
