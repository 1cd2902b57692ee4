//! Converts times of a trace clock other than `mono` to `CLOCK_MONOTONIC`, the clock of the bin
//! edges.
//!
//! A second, tiny instance with the same trace clock records a marker between two readings of
//! `CLOCK_MONOTONIC`. That gives a pair of times that are equal within the time between the
//! readings. An event is between two pairs, however late its page is read, and its time is
//! interpolated, so neither the rate nor its drift need be known. Only events recorded while a
//! drain is reading are after the newest pair; the last line is extended for them.
//!
//! That is correct only if the clocks of all CPUs agree. The kernel guarantees that if it uses the
//! same hardware clock as its clocksource.

use std::{fs, thread, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
use serde_json::{Value, json};

use super::{page::PageLayout, parameters::PageReader, reader, source::PageSource};
use crate::kernel::{
    arch::Architecture,
    clock,
    run::Run,
    tracefs::{Instance, Tracefs},
};

/// The least time between the ends of a line: errors of the pairs of 10 us change its slope by at
/// most 1/2500.
const BASELINE: Duration = Duration::from_millis(50);

const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// How times of the trace clock are converted to `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub enum Timeline {
    /// They are the same clock.
    Same,
    /// With pairs.
    Pairs(Box<Pairs>),
    /// They cannot be converted.
    None {
        /// The kernel does not guarantee the clock.
        why: String,
    },
}

/// Pairs of times, and their source.
#[derive(Debug)]
pub struct Pairs {
    // Before the instance: it cannot be removed while they are open.
    sources: Vec<Box<dyn PageSource>>,
    instance: Instance,
    curve: Curve,
    widest: Duration,
}

/// A moment on both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pair {
    traced: u64,
    mono: u64,
}

/// One clock as a function of the other: lines between moments, in order, none shorter than
/// [`BASELINE`].
#[derive(Debug, Default)]
struct Curve {
    knots: Vec<Pair>,
    newest: Pair,
}

impl Timeline {
    /// For the trace clock with this name. If times must be converted, it takes as long as the
    /// shortest line.
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
        let needed = Architecture::current()?.clocksource;
        if clocksource != needed {
            let why = format!(
                "the clocksource is {clocksource}, not {needed}: the clocks of the CPUs may differ"
            );
            return Ok(Self::None { why });
        }
        let instance = tracefs.create_instance(&run.object("clock"))?;
        instance.set_clock(trace_clock)?;
        instance.set_buffer_kib(8)?;
        let layout: PageLayout = reader::layout(&instance)?;
        let sources = reader::open_all(&instance, layout, PageReader::Read)?;
        instance.record(true)?;
        let mut pairs =
            Pairs { sources, instance, curve: Curve::default(), widest: Duration::ZERO };
        pairs.mark()?;
        thread::sleep(BASELINE);
        pairs.mark()?;
        Ok(Self::Pairs(Box::new(pairs)))
    }

    /// Records this moment: all events so far are before it.
    ///
    /// # Errors
    /// The marker could not be written or read.
    pub fn mark(&mut self) -> Result<()> {
        match self {
            Self::Pairs(pairs) => pairs.mark(),
            Self::Same | Self::None { .. } => Ok(()),
        }
    }

    /// Converts the time `at` of an event on the trace clock; `None` if that is not possible.
    #[inline]
    pub fn mono(&self, at: u64) -> Option<Nanos> {
        match self {
            Self::Same => Some(Nanos(at)),
            Self::Pairs(pairs) => pairs.curve.mono(at),
            Self::None { .. } => None,
        }
    }

    /// Details for an observation.
    pub fn describe(&self) -> Option<(String, Value)> {
        match self {
            Self::Same => None,
            Self::Pairs(pairs) => {
                let nanos = u64::try_from(pairs.widest.as_nanos()).unwrap_or(u64::MAX);
                Some(("clock_pairs_widest_ns".into(), json!(nanos)))
            }
            Self::None { why } => Some(("no_series".into(), json!(why))),
        }
    }

    /// Removes the source of the pairs.
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
        self.curve.add(Pair { traced, mono: before.0.midpoint(after.0) })
    }

    /// The time of the marker, the only event.
    fn marker(&mut self) -> Result<u64> {
        let mut found = None;
        for source in &mut self.sources {
            while let Some(page) = source.next_page()? {
                let events = page.events().flatten();
                found = events.map(|event| event.at).last().or(found);
            }
        }
        let file = self.instance.path("trace_marker");
        found.ok_or_else(|| {
            Error::malformed(
                file.display().to_string(),
                "the marker cannot be \
                                                                          read back",
            )
        })
    }
}

impl Curve {
    /// Adds the newest moment. The one before it is kept only if it is as far from the others as a
    /// line's length.
    ///
    /// # Errors
    /// The trace clock went backwards.
    fn add(&mut self, pair: Pair) -> Result<()> {
        let Some(&last) = self.knots.last() else {
            self.knots.push(pair);
            self.newest = pair;
            return Ok(());
        };
        let before = self.newest;
        if pair.traced < before.traced || pair.mono < before.mono {
            return Err(Error::Inconsistent(format!(
                "the trace clock went from {before:?} to {pair:?}"
            )));
        }
        if last.baseline(before) {
            self.knots.push(before);
        }
        self.newest = pair;
        Ok(())
    }

    /// On the line between the moments around `at`; before the first and after the newest, on the
    /// nearest line.
    #[inline]
    fn mono(&self, at: u64) -> Option<Nanos> {
        let next = self.knots.partition_point(|knot| knot.traced <= at).max(1);
        if let Some(&now) = self.knots.get(next) {
            return between(self.knots[next - 1], now, at);
        }
        let far = |knot: &&Pair| knot.baseline(self.newest);
        between(*self.knots.iter().rev().find(far)?, self.newest, at)
    }
}

impl Pair {
    /// Whether a line can end at `later`.
    fn baseline(self, later: Self) -> bool {
        u128::from(later.mono.saturating_sub(self.mono)) >= BASELINE.as_nanos()
    }
}

/// The value at `at` of the line through both pairs; `None` if they are the same moment or out of
/// order.
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

    const MS: u64 = 1_000_000;

    /// The clocks `ms` after enable: the trace clock ticks 2.5 times per ns, and started 1000 s
    /// earlier.
    fn exact(ms: u64) -> Pair {
        Pair { traced: 5 * ms * MS / 2, mono: 1_000_000 * MS + ms * MS }
    }

    /// As found by a marker: off by half of its width, in either direction.
    fn found(ms: u64) -> Pair {
        let Pair { traced, mono } = exact(ms);
        let off = 10_000;
        Pair { traced, mono: if ms.is_multiple_of(2) { mono + off } else { mono - off } }
    }

    fn curve(marks: impl IntoIterator<Item = u64>) -> Curve {
        let mut curve = Curve::default();
        marks.into_iter().for_each(|ms| curve.add(found(ms)).unwrap());
        curve
    }

    /// The error of the time of an event at `ms`.
    fn off(curve: &Curve, ms: u64) -> u64 {
        curve.mono(exact(ms).traced).unwrap().0.abs_diff(exact(ms).mono)
    }

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

    #[test]
    fn an_event_goes_through_the_line_of_its_own_time_however_late_it_is_read() {
        // Drains every 100 ms, then disable and the last drain within 1 ms, as at the end of every
        // trial.
        let curve = curve((0..100).map(|drain| drain * 100 + drain % 2).chain([9_902, 9_903]));
        for ms in 0..9_903 {
            assert!(off(&curve, ms) <= 10_000, "{ms} ms: {} ns", off(&curve, ms));
        }
    }

    #[test]
    fn no_line_is_short_however_often_marks_are_made() {
        // Alternating errors: the worst case for a slope.
        for gap in [1, 7, 49, 50, 51, 99] {
            let mut curve = curve([0, 51]);
            for now in (51..3_000).step_by(gap) {
                curve.add(found(now)).unwrap();
                let lines = curve.knots.windows(2).all(|ends| ends[0].baseline(ends[1]));
                assert!(lines, "{:?}", curve.knots);
                let worst = (0..=now).map(|ms| off(&curve, ms)).max();
                assert!(worst <= Some(10_000), "{worst:?} at {now} of {gap}");
                // Events during a drain: within half a line of the newest pair.
                let ahead = off(&curve, now + 25);
                assert!(ahead <= 20_010, "{ahead} ns ahead at {now} of {gap}");
            }
            assert!(curve.knots.len() <= 60, "{} knots", curve.knots.len());
        }
    }

    #[test]
    fn one_moment_makes_no_line_and_a_clock_that_goes_back_is_an_error() {
        assert_eq!(curve([]).mono(5), None);
        assert_eq!(curve([7]).mono(exact(7).traced), None);
        let mut curve = curve([0, 51, 60]);
        assert!(curve.add(found(59)).unwrap_err().to_string().contains("went"));
        assert!(off(&curve, 60) <= 10_000);
    }
}
