//! How long the calls of one kernel function take: a program at its entry, one at its exit, and
//! what they share.
//!
//! The entry counts the call in a slot of [`fentry_count`](crate::fentry_count) and notes the time
//! under a key; the exit takes that time back. What the key is differs:
//! - [`FENTRY`] and [`FEXIT`]: the address of the frame in which the trampoline runs the function.
//!   Both programs are called from that one frame, and no other call can have it meanwhile: so
//!   calls are told apart whatever preempts or migrates the task, and however they nest.
//! - [`KPROBE`] and [`KRETPROBE`]: the id of the thread, as scripts for bpftrace have it; of an
//!   idle task, whose id is 0 on every CPU, [`IDLE`] and the CPU. A call inside a call of the same
//!   function in the same thread, or in an interrupt of it, overwrites the outer call's time.

/// Name of the program at a function's entry that keys by frame.
pub const FENTRY: &str = "durations_fentry";
/// Name of the program at its exit.
pub const FEXIT: &str = "durations_fexit";
/// Name of the program on a kprobe that keys by thread.
pub const KPROBE: &str = "durations_kprobe";
/// Name of the program on its kretprobe.
pub const KRETPROBE: &str = "durations_kretprobe";

/// Name of the map of calls in flight: a hash from key to time (`CLOCK_MONOTONIC`, ns).
pub const STARTS: &str = "STARTS";

/// What keys of idle tasks have beside the number of their CPU.
pub const IDLE: u64 = 1 << 63;

/// Name of the map of durations: an array of [`Durations`], one for each CPU number that this host
/// can have.
pub const DURATIONS: &str = "DURATIONS";

/// Buckets of a histogram: one for each bit of a duration.
pub const BUCKETS: usize = 64;

/// The calls that ended on one CPU; written by the program at the exit alone, as
/// [`Slot`](crate::fentry_count::Slot) is by the one at the entry.
#[repr(C, align(128))]
pub struct Durations {
    /// Calls of `[2^i, 2^(i+1))` ns; the first holds 0 ns too.
    pub log2_ns: [u64; BUCKETS],
    /// Exits whose entry had left no time: it was missed, came before the program, or found the map
    /// of starts full.
    pub untimed: u64,
    /// Exits whose entry's time the map did not give up: it takes room until the key comes again.
    pub kept: u64,
}
