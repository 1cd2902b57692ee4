//! `fentry_by_worker`: counts the calls of one kernel function by calling vhost worker.
//!
//! Before the program is attached, user space enters each worker's thread id and the number of its
//! own slot into [`WORKERS`]. Calls of all other threads go to the slot of their CPU, as in
//! [`fentry_count`](crate::fentry_count), so the sum of all slots is what that program would count.
//!
//! The slots' map is that of `fentry_count`: the CPUs' slots first, then the workers'. A worker's
//! slot needs no lock either. Only one thread writes to it, which stays on its CPU while the
//! program runs and cannot nest there.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_by_worker";

/// Name of its map: an array of [`ENTRIES`] + [`PROBES`] [`Worker`]s. A thread is at the index
/// given by the lower bits of its id, or shortly after it if that was occupied. (With one of the
/// kernel's hashes, counting a call would cost twice as much.)
pub const WORKERS: &str = "WORKERS";

/// Number of indices that an id can give: a power of two.
pub const ENTRIES: u32 = 4096;

/// A thread is less than this many places after its own index, and no place in between is empty.
pub const PROBES: u32 = 8;

/// One worker.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Worker {
    /// Its thread id in the initial PID namespace; 0 if the place is empty.
    pub thread: u32,
    /// Index of its slot.
    pub slot: u32,
}
