//! The clock of every time stamp.

use rustix::time::{ClockId, clock_gettime};

use probe_core::model::units::Nanos;

/// Reads `clock`, which must start at zero and never run backwards.
pub fn read(clock: ClockId) -> Nanos {
    let time = clock_gettime(clock);
    Nanos(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}

/// `CLOCK_MONOTONIC`, the clock of every time stamp in a result.
pub fn now() -> Nanos {
    read(ClockId::Monotonic)
}
