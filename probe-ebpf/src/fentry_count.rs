//! `fentry_count`: counts the calls of one kernel function, per CPU, without locks.
//!
//! One copy of the program is loaded for each function, with its own map: the map that the loader
//! gave to the copy determines which function it counts. So the hot path needs no constant, no
//! cookie and no key but the CPU, and no two copies ever write to the same slot.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_count";

/// Name of its map: an array of [`Slot`]s, one per possible CPU number of this host. The loader
/// sets its size.
pub const SLOTS: &str = "SLOTS";

/// The count of one CPU.
///
/// Written only by one program on one CPU, with a plain load, add and store: a fentry program
/// neither nests nor migrates (the trampoline disables migration and skips a nested hit, which
/// `recursion_misses` counts). Two cache lines wide, since x86 prefetches lines in pairs: no store
/// ever touches a line that another CPU fetches.
#[repr(C, align(128))]
pub struct Slot {
    /// Calls since the map was created.
    pub calls: u64,
}
