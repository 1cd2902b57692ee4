//! `fentry_by_worker`: counts the calls of one kernel function by the vhost worker that makes them.
//!
//! Before the program is attached, user space enters the thread id of each worker into [`WORKERS`] with the number of a
//! slot of its own. Calls of all other threads go to the slot of their CPU, as in
//! [`fentry_count`](crate::fentry_count): so all slots together are what that program would have counted, whoever calls.
//!
//! The map is that of `fentry_count`: the CPUs' slots first, the workers' behind them. A worker's slot needs no lock
//! either. One thread alone writes to it, which stays on its CPU as long as the program runs and cannot nest there.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_by_worker";

/// Name of its map: a hash from a thread id (as the initial PID namespace has it) to the index of the slot, both `u32`.
pub const WORKERS: &str = "WORKERS";
