//! The ring for programs' records, which user space maps.

/// Name of the map, a `BPF_MAP_TYPE_RINGBUF`. The loader sets its size in bytes.
pub const RING: &str = "RING";

/// A call.
#[repr(C)]
pub struct Call {
    /// The time, in ns of `CLOCK_MONOTONIC`.
    pub at: u64,
}

/// A call that represents several.
#[repr(C)]
pub struct Drawn {
    /// The time, in ns of `CLOCK_MONOTONIC`.
    pub at: u64,
    /// It was recorded with probability `threshold / 2^32`.
    pub threshold: u64,
}
