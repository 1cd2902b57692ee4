//! Converts the time of day, with which the kernel stamps frames, to the clock of the bin edges.

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
use rustix::time::ClockId;

use crate::kernel::clock;

/// How far `CLOCK_REALTIME` was ahead of `CLOCK_MONOTONIC` at one moment. NTP adjusts the rate of
/// both alike; only a step of the time of day changes the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// In ns.
    ahead: i64,
    /// Its possible error.
    uncertain: u64,
}

impl Offset {
    /// Reads both clocks: the best of a few tries, since an interrupt may come between.
    pub fn read() -> Self {
        let tries = (0..5).map(|_| {
            let before = clock::now();
            let real = clock::read(ClockId::Realtime);
            Self::between(before, real, clock::now())
        });
        tries
            .min_by_key(|offset| offset.uncertain)
            .unwrap_or(Self { ahead: 0, uncertain: u64::MAX })
    }

    fn between(before: Nanos, real: Nanos, after: Nanos) -> Self {
        let uncertain = after.since(before).0.div_ceil(2);
        Self { ahead: real.0.wrapping_sub(before.0 + uncertain).cast_signed(), uncertain }
    }

    /// The moment at which the time of day was `real`.
    pub fn monotonic(self, real: u64) -> Nanos {
        Nanos(real.wrapping_sub(self.ahead.cast_unsigned()))
    }

    /// Checks that nobody has set the time of day since it was read.
    ///
    /// # Errors
    /// Somebody has: frames are stamped with it, so their arrival times are unknown.
    pub fn check(self) -> Result<()> {
        match self.step_to(Self::read()) {
            0 => Ok(()),
            step => Err(Error::Inconsistent(format!(
                "the time of day was set by {step} ns meanwhile: frames are stamped with it, \
                 so their arrival times are unknown"
            ))),
        }
    }

    /// By how much the time of day was set between the two readings, in ns; zero if it was not, as
    /// far as the readings show.
    fn step_to(self, later: Self) -> i64 {
        let step = later.ahead - self.ahead;
        if step.unsigned_abs() > self.uncertain + later.uncertain { step } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_bracket_is_taken_and_steps_beyond_it_are_seen() {
        let first = Offset::between(Nanos(100), Nanos(1110), Nanos(120));
        assert_eq!(first, Offset { ahead: 1000, uncertain: 10 });
        assert_eq!(first.monotonic(1500), Nanos(500));
        assert_eq!(first.step_to(Offset { ahead: 1015, uncertain: 5 }), 0);
        assert_eq!(first.step_to(Offset { ahead: 1016, uncertain: 5 }), 16);
        assert_eq!(first.step_to(Offset { ahead: -5000, uncertain: 5 }), -6000);
    }

    #[test]
    fn now_is_now_in_both_clocks() {
        let offset = Offset::read();
        let before = clock::now();
        let real = clock::read(ClockId::Realtime);
        let between = before.0.saturating_sub(offset.uncertain)..=clock::now().0 + offset.uncertain;
        assert!(between.contains(&offset.monotonic(real.0).0));
    }
}
