//! How long the calls of one kernel function take: a program at its entry, one at its exit, and
//! what they share.
//!
//! The entry counts the call in a slot of [`fentry_count`](crate::fentry_count) and stores the time
//! under a key; the exit removes that time. The key depends on the programs:
//! - [`FENTRY`] and [`FEXIT`]: the address of the frame in which the trampoline runs the function.
//!   Both programs are called from this frame, and no other call can have the same one meanwhile.
//!   So calls are distinguished whatever preempts or migrates the task, and however they nest.
//! - [`KPROBE`] and [`KRETPROBE`]: the id of the thread, as in scripts for bpftrace; for an idle
//!   task, whose id is 0 on every CPU, [`IDLE`] and the CPU. A call inside a call of the same
//!   function in the same thread, or in an interrupt of it, overwrites the outer call's time.

/// Name of the program at a function's entry that keys by frame.
pub const FENTRY: &str = "durations_fentry";
/// Name of the program at its exit.
pub const FEXIT: &str = "durations_fexit";
/// Name of the program on a kprobe that keys by thread.
pub const KPROBE: &str = "durations_kprobe";
/// Name of the program on its kretprobe.
pub const KRETPROBE: &str = "durations_kretprobe";

/// Name of the map of calls in progress: a hash from key to time (`CLOCK_MONOTONIC`, ns).
pub const STARTS: &str = "STARTS";

/// Set in keys of idle tasks, in addition to the number of their CPU.
pub const IDLE: u64 = 1 << 63;

/// Name of the map of durations: an array of [`Durations`], one per possible CPU number of this
/// host.
pub const DURATIONS: &str = "DURATIONS";

/// Buckets of a histogram: one for each bit of a duration.
pub const BUCKETS: usize = 64;

/// The calls that ended on one CPU; written only by the program at the exit, as
/// [`Slot`](crate::fentry_count::Slot) is by the one at the entry.
#[repr(C, align(128))]
pub struct Durations {
    /// Calls of `[2^i, 2^(i+1))` ns; the first bucket includes 0 ns.
    pub log2_ns: [u64; BUCKETS],
    /// Exits whose entry left no time: it was missed, came before the program was attached, or
    /// found the map of starts full.
    pub untimed: u64,
    /// Exits that could not remove their entry's time from the map: it takes space until the key is
    /// reused.
    pub kept: u64,
}
