//! `fentry_bins`: counts calls by their time.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_bins";

/// Name of the map of [`Slot`]s, one per possible CPU number of this host.
pub const SLOTS: &str = "BIN_SLOTS";

/// Name of the map of counts: one row of `u64` per CPU. The loader sets its size.
pub const BINS: &str = "BINS";

/// How one CPU counts. User space writes it before the program is attached.
#[repr(C, align(128))]
pub struct Slot {
    /// Start of the first bin, in ns of `CLOCK_MONOTONIC`.
    pub start: u64,
    /// Width of a bin in ns.
    pub width: u64,
    /// Offset of the CPU's row in the map of counts.
    pub row: u64,
    /// The row's last bin, which also counts all later calls.
    pub last: u64,
}
