//! What programs that write records could not write, per CPU.

/// Name of the map: an array of [`Slot`]s, one for each CPU number that this host can have.
pub const LOSSES: &str = "LOSSES";

/// The losses of one CPU; written as [`crate::fentry_count::Slot`] is.
#[repr(C, align(128))]
pub struct Slot {
    /// Calls that the program saw and could not write down.
    pub lost: u64,
}
