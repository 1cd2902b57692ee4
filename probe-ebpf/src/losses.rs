//! Records that programs could not write, per CPU.

/// Name of the map: an array of [`Slot`]s, one per possible CPU number of this host.
pub const LOSSES: &str = "LOSSES";

/// The losses of one CPU; written like [`crate::fentry_count::Slot`].
#[repr(C, align(128))]
pub struct Slot {
    /// Calls that the program saw but could not record.
    pub lost: u64,
}
