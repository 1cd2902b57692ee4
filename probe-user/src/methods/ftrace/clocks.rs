//! From a trace clock other than `mono` to `CLOCK_MONOTONIC`, the clock of the bin edges.
//!
//! A second, tiny instance with the same trace clock records a marker between two readings of `CLOCK_MONOTONIC`: a pair
//! of times that are the same within the time between the readings. Events lie between the pairs of two drains, and
//! their times are interpolated, so that neither a rate nor its drift need be known.
//!
//! That is sound only where the clocks of all CPUs agree. `local` and `x86-tsc` are both the TSC, and the kernel vouches
//! for it by using it as its clocksource.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use super::{
    page::PageLayout,
    parameters::Reader,
    reader::{self, PageSource},
    recording,
};
use crate::{
    error::{Error, Result},
    kernel::{
        clock,
        run::Run,
        tracefs::{Instance, Tracefs},
    },
    model::units::Nanos,
};

const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// How times of the trace clock become times of `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub enum Timeline {
    /// They are.
    Same,
    /// By pairs.
    Pairs(Box<Pairs>),
    /// Not at all.
    None {
        /// The clocksource that does not vouch for the clock.
        clocksource: String,
    },
}

/// Pairs of times, and what makes them.
#[derive(Debug)]
pub struct Pairs {
    // Before the instance: it cannot be removed while they are open.
    sources: Vec<Box<dyn PageSource>>,
    instance: Instance,
    then: Option<Pair>,
    now: Option<Pair>,
    widest: Duration,
}

/// A moment in both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    traced: u64,
    mono: u64,
}

impl Timeline {
    /// For the trace clock of this name.
    ///
    /// # Errors
    /// The kernel refused the instance.
    pub fn new(tracefs: &Tracefs, run: &Run, trace_clock: &str) -> Result<Self> {
        if trace_clock == "mono" {
            return Ok(Self::Same);
        }
        let clocksource = fs::read_to_string(CLOCKSOURCE)
            .map_err(|e| Error::file("read", CLOCKSOURCE, e))?
            .trim()
            .to_owned();
        if clocksource != "tsc" {
            return Ok(Self::None { clocksource });
        }
        let instance = tracefs.create_instance(&run.object("clock"))?;
        instance.set_clock(trace_clock)?;
        instance.set_buffer_kib(8)?;
        let layout: PageLayout = recording::layout(&instance)?;
        let sources = reader::open_all(&instance, layout, Reader::Read)?;
        instance.record(true)?;
        let pairs = Pairs { sources, instance, then: None, now: None, widest: Duration::ZERO };
        Ok(Self::Pairs(Box::new(pairs)))
    }

    /// Notes this moment: all events so far lie before it.
    ///
    /// # Errors
    /// The marker could not be written or read.
    pub fn mark(&mut self) -> Result<()> {
        match self {
            Self::Pairs(pairs) => pairs.mark(),
            Self::Same | Self::None { .. } => Ok(()),
        }
    }

    /// The time `at` of the trace clock, an event's between the last two marks; none where it cannot be known.
    #[inline]
    pub fn mono(&self, at: u64) -> Option<Nanos> {
        match self {
            Self::Same => Some(Nanos(at)),
            Self::Pairs(pairs) => between(pairs.then?, pairs.now?, at),
            Self::None { .. } => None,
        }
    }

    /// For the details of an observation.
    pub fn describe(&self) -> Option<(String, Value)> {
        match self {
            Self::Same => None,
            Self::Pairs(pairs) => {
                let nanos = u64::try_from(pairs.widest.as_nanos()).unwrap_or(u64::MAX);
                Some(("clock_pairs_widest_ns".into(), json!(nanos)))
            }
            Self::None { clocksource } => {
                let why = format!(
                    "the clocksource is {clocksource}, not tsc: the CPUs' clocks are not known to agree"
                );
                Some(("no_series".into(), json!(why)))
            }
        }
    }

    /// Removes what made the pairs.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn close(self) -> Result<()> {
        let Self::Pairs(pairs) = self else { return Ok(()) };
        let Pairs { sources, instance, .. } = *pairs;
        drop(sources);
        instance.close()
    }
}

impl Pairs {
    fn mark(&mut self) -> Result<()> {
        let before = clock::now();
        self.instance.write("trace_marker", "mark")?;
        let after = clock::now();
        let traced = self.marker()?;
        self.widest = self.widest.max(Duration::from_nanos(after.since(before).0));
        self.then = self.now;
        self.now = Some(Pair { traced, mono: before.0.midpoint(after.0) });
        Ok(())
    }

    /// The time of the marker, the one event that is there.
    fn marker(&mut self) -> Result<u64> {
        let mut found = None;
        for source in &mut self.sources {
            while let Some(page) = source.next_page()? {
                let events = page.events().flatten();
                found = events.map(|event| event.at).last().or(found);
            }
        }
        let file = self.instance.path("trace_marker");
        found.ok_or_else(|| Error::malformed(file.display().to_string(), "no marker came back"))
    }
}

/// The line through both pairs at `at`; none where they are one moment or out of order.
fn between(then: Pair, now: Pair, at: u64) -> Option<Nanos> {
    let traced = i128::from(now.traced.checked_sub(then.traced).filter(|&ticks| ticks > 0)?);
    let mono = i128::from(now.mono.checked_sub(then.mono)?);
    let behind = i128::from(at) - i128::from(then.traced);
    let nanos = i128::from(then.mono) + behind * mono / traced;
    u64::try_from(nanos).ok().map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_between_two_pairs_are_interpolated_and_others_extended() {
        let (then, now) = (Pair { traced: 3000, mono: 50 }, Pair { traced: 6000, mono: 1050 });
        let at = |traced| between(then, now, traced);
        assert_eq!(
            [3000, 4500, 6000, 6003, 2997].map(at),
            [50, 550, 1050, 1051, 49].map(|n| Some(Nanos(n)))
        );
        assert_eq!(at(0), None, "before the clock's beginning");
        assert_eq!(between(then, then, 3000), None);
        assert_eq!(between(now, then, 3000), None);
    }
}
