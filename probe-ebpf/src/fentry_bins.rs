//! `fentry_bins`: counts calls by the time at which they were made.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_bins";

/// Name of the map of [`Slot`]s, one for each CPU number that this host can have.
pub const SLOTS: &str = "BIN_SLOTS";

/// Name of the map of counts: a row of `u64` for each CPU. The loader sets its size.
pub const BINS: &str = "BINS";

/// How one CPU counts. User space writes it before the program is attached.
#[repr(C, align(128))]
pub struct Slot {
    /// Start of the first bin, in ns of `CLOCK_MONOTONIC`.
    pub start: u64,
    /// Width of a bin in ns.
    pub width: u64,
    /// Where the CPU's row starts in the map of counts.
    pub row: u64,
    /// The row's last bin, which counts all later calls too.
    pub last: u64,
}
