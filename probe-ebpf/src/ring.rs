//! The ring that programs write records to, for user space to map.

/// Name of the map, a `BPF_MAP_TYPE_RINGBUF`. The loader sets its size in bytes.
pub const RING: &str = "RING";

/// A call.
#[repr(C)]
pub struct Call {
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub at: u64,
}

/// A call that stands for others.
#[repr(C)]
pub struct Drawn {
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub at: u64,
    /// It was recorded with probability `threshold / 2^32`.
    pub threshold: u64,
}
