//! `fentry_by_worker`: counts the calls of one kernel function by the vhost worker that makes them.
//!
//! Before the program is attached, user space enters each worker's thread id and the number of a
//! slot of its own into [`WORKERS`]. Calls of all other threads go to the slot of their CPU, as in
//! [`fentry_count`](crate::fentry_count): so all slots together are what that program would have
//! counted, whoever calls.
//!
//! The slots' map is that of `fentry_count`: the CPUs' slots first, the workers' behind them. A
//! worker's slot needs no lock either. One thread alone writes to it, which stays on its CPU as
//! long as the program runs and cannot nest there.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_by_worker";

/// Name of its map: an array of [`ENTRIES`] + [`PROBES`] [`Worker`]s. A thread stands at the place
/// that the lower bits of its id say, or close behind it where that was taken. (With one of the
/// kernel's hashes, a call would cost twice as much to count.)
pub const WORKERS: &str = "WORKERS";

/// Places that an id can say: a power of two.
pub const ENTRIES: u32 = 4096;

/// A thread stands less than so many places behind its own, and none is empty in between.
pub const PROBES: u32 = 8;

/// One worker.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Worker {
    /// Its thread id, as the initial PID namespace has it; 0 where the place is empty.
    pub thread: u32,
    /// Index of its slot.
    pub slot: u32,
}
