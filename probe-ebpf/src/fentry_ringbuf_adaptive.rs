//! `fentry_ringbuf_adaptive`: [`crate::fentry_ringbuf`], but a record wakes the reader if it had
//! read everything before it, as the kernel does by default.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_ringbuf_adaptive";
