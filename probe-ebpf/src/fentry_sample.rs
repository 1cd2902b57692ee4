//! `fentry_sample`: counts each call, and writes a [`crate::ring::Call`] for some of them, drawn at
//! random.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_sample";

/// Name of the map of [`Slot`]s, one per possible CPU number of this host.
pub const SLOTS: &str = "SAMPLE_SLOTS";

/// One CPU's account; written like [`crate::fentry_count::Slot`].
#[repr(C, align(128))]
pub struct Slot {
    /// Calls.
    pub calls: u64,
    /// Calls that were drawn but found the ring full.
    pub lost: u64,
    /// A call is drawn with probability `threshold / 2^32`. User space writes it before the program
    /// is attached.
    pub threshold: u64,
}
