//! `fentry_ringbuf_batch`: [`crate::fentry_ringbuf`], but a record wakes the reader if at least a
//! given number of records wait, itself included.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_ringbuf_batch";
/// Name of the map: an array of [`Slot`]s, one per possible CPU number of this host.
pub const SLOTS: &str = "BATCH_SLOTS";

/// The state of one CPU; written like [`crate::fentry_count::Slot`].
#[repr(C, align(128))]
pub struct Slot {
    /// Calls that the program saw but could not record.
    pub lost: u64,
    /// User space: the number of bytes in the ring, headers included, at which a record wakes the
    /// reader.
    pub wake_bytes: u64,
}
