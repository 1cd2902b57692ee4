//! What a method takes of a CPU, at the campaign's paced load or at a rate of the user's own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::wanted::CallRate;
use crate::{
    analysis::{
        estimate::Scale,
        item::Items,
        pairs::{Kind, Pair, Trials},
        toll::{
            of_pairs, per, why_no_cost_per_event, with_load_note, worker_ns_per_frame,
            worker_ns_per_kick,
        },
    },
    model::{
        campaign::Design,
        figure::{Estimate, Figure},
        method::{Class, Descriptor, SeriesUnit},
        trial::{Measured, Pace},
    },
};

/// CPU time of a method, with its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// All of it, in per cent of one CPU.
    pub cpu_pct: Figure,
    /// Its parts, in the same unit.
    pub parts: BTreeMap<&'static str, f64>,
    /// How it was found.
    #[serde(flatten)]
    pub way: Way,
    /// Calls per second in lockstep, where it is scaled from these; else frames per second at the paced load.
    pub measured_per_s: Option<f64>,
    /// Whether its part in the kernel is more than all of one CPU, which no one worker has.
    pub beyond_one_worker: bool,
}

/// How the CPU time at a load is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "way")]
pub enum Way {
    /// As it was at the paced load.
    Measured,
    /// What a call costs in lockstep, times the user's rate; what goes with the time as it was at the paced load.
    Scaled {
        /// The rate.
        calls_per_s: f64,
        /// Whether its reader goes with the calls, or with the time.
        reader_per_call: bool,
    },
    /// Of the whole system, at the paced load: a profiler goes with the time, on all CPUs.
    Profiler,
}

const KERNEL: &str = "kernel";
const READER: &str = "reader";
const AFTER: &str = "afterwards";
const SYSTEM: &str = "system";

impl Way {
    fn of(method: &Descriptor, rate: Option<CallRate>) -> Self {
        match rate {
            _ if method.unit == SeriesUnit::CpuShare => Self::Profiler,
            None => Self::Measured,
            Some(rate) => Self::Scaled {
                calls_per_s: rate.per_second(),
                // What counts in the kernel is read at the bins' edges, however many calls there were.
                reader_per_call: method.class != Class::Exact,
            },
        }
    }

    /// The names of the parts, in the order in which they come about.
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Profiler => &[SYSTEM, AFTER],
            Self::Measured | Self::Scaled { .. } => &[KERNEL, READER, AFTER],
        }
    }

    /// The trials that a part is of.
    fn pace(self, part: &str) -> Pace {
        match (self, part) {
            (Self::Scaled { .. }, KERNEL)
            | (Self::Scaled { reader_per_call: true, .. }, READER) => Pace::Lockstep,
            _ => Pace::Paced,
        }
    }

    /// One part in one block, in per cent of one CPU.
    fn part(self, part: &str, pair: &Pair<'_>) -> Option<f64> {
        let Pair { off, method } = pair;
        let own = |ns: u64| match (self, self.pace(part)) {
            (Self::Scaled { calls_per_s, .. }, Pace::Lockstep) => {
                Some(share(per(ns, method.sent.kicks?)? * calls_per_s))
            }
            _ => Some(100.0 * per(ns, method.cpu.elapsed.0)?),
        };
        match (part, self) {
            (READER, _) => own(method.cpu.reader.0),
            (AFTER, _) => own(method.cpu.after.0),
            (SYSTEM, _) => {
                let busy = |trial: &Measured| per(trial.cpu.system.0, trial.cpu.elapsed.0);
                Some(100.0 * (busy(method)? - busy(off)?))
            }
            (_, Self::Scaled { calls_per_s, .. }) => {
                let more = worker_ns_per_kick(method)? - worker_ns_per_kick(off)?;
                Some(share(more * calls_per_s))
            }
            _ => {
                let more = worker_ns_per_frame(method)? - worker_ns_per_frame(off)?;
                Some(100.0 * more * per(method.sent.frames, method.cpu.elapsed.0)?)
            }
        }
    }
}

/// ns of CPU time per second, in per cent of one CPU.
fn share(ns_per_s: f64) -> f64 {
    ns_per_s / 1e9 * 100.0
}

/// A method, whose parts are to be told.
struct Bill<'a> {
    trials: &'a Trials<'a>,
    method: &'a Descriptor,
    way: Way,
    seed: u64,
}

impl Bill<'_> {
    fn figure(&self, pace: Pace, value: impl Fn(&Pair<'_>) -> Option<f64>) -> Figure {
        let pairs = self.trials.paired(Kind::toll(pace), &self.method.id);
        let pairs = if pace == Pace::Paced { pairs.map(with_load_note) } else { pairs };
        of_pairs(pairs, Scale::Difference, value, self.seed)
    }

    /// All parts that are of trials at `pace`, added up in each block. None where there is no such part.
    fn at(&self, pace: Pace) -> Option<Figure> {
        let parts = || self.way.parts().iter().filter(|part| self.way.pace(part) == pace);
        let sum = |pair: &Pair<'_>| parts().map(|part| self.way.part(part, pair)).sum();
        parts().next().map(|_| self.figure(pace, sum))
    }

    fn part(&self, name: &'static str) -> Option<(&'static str, f64)> {
        let found = self.figure(self.way.pace(name), |pair| self.way.part(name, pair));
        Some((name, found.known()?.estimate))
    }

    /// Units of load per second that the costs are of.
    fn rate(&self) -> Option<f64> {
        let pace = self.way.pace(KERNEL);
        let found = self.figure(pace, |pair| {
            let Measured { sent, cpu, .. } = pair.method;
            let units = if pace == Pace::Lockstep { sent.kicks? } else { sent.frames };
            Some(1e9 * per(units, cpu.elapsed.0)?)
        });
        found.known().map(|found| found.estimate)
    }
}

/// The CPU time of `method` at `rate`, or at the paced load.
pub(super) fn of(
    trials: &Trials<'_>,
    design: &Design,
    method: &Descriptor,
    rate: Option<CallRate>,
    seed: u64,
) -> Cost {
    let way = Way::of(method, rate);
    let kicked = Items::of(&design.target).kicked().is_some();
    let per_call = matches!(way, Way::Scaled { .. });
    if let Some(why) = per_call.then(|| why_no_cost_per_event(method, kicked)).flatten() {
        let cpu_pct = Figure::null(why);
        let parts = BTreeMap::new();
        return Cost { cpu_pct, parts, way, measured_per_s: None, beyond_one_worker: false };
    }
    let bill = Bill { trials, method, way, seed };
    let cpu_pct = match (bill.at(Pace::Lockstep), bill.at(Pace::Paced)) {
        (Some(per_call), Some(with_time)) => sum(per_call, with_time),
        (Some(all), None) | (None, Some(all)) => all,
        (None, None) => Figure::null("it has no part"),
    };
    let parts: BTreeMap<_, _> = way.parts().iter().filter_map(|part| bill.part(part)).collect();
    let beyond_one_worker = parts.get(KERNEL).is_some_and(|&pct| pct > 100.0);
    Cost { cpu_pct, parts, way, measured_per_s: bill.rate(), beyond_one_worker }
}

/// The sum of two figures of independent trials. Its interval is made of both (MOVER: Zou, Huang and Zhang 2009): each end
/// is as far from the sum as the roots of the squares of those of the parts.
fn sum(a: Figure, b: Figure) -> Figure {
    let (a, b) = match (a, b) {
        (Figure::Known(a), Figure::Known(b)) => (a, b),
        (absent @ Figure::Null(_), _) | (_, absent) => return absent,
    };
    let estimate = a.estimate + b.estimate;
    let below = |one: &Estimate| Some(one.estimate - one.lo?);
    let above = |one: &Estimate| Some(one.hi? - one.estimate);
    let both = |side: fn(&Estimate) -> Option<f64>| Some(side(&a)?.hypot(side(&b)?));
    let (lo, hi) = (both(below).map(|far| estimate - far), both(above).map(|far| estimate + far));
    let mut notes = a.notes.clone();
    notes.extend(b.notes.iter().filter(|note| !a.notes.contains(note)).cloned());
    Figure::Known(Estimate {
        estimate,
        lo,
        hi,
        n: a.n.min(b.n),
        detectable: None,
        platform: a.platform.max(b.platform),
        p: None,
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::figure::Platform;

    #[test]
    fn the_interval_of_a_sum_by_hand() {
        let figure = |estimate: f64, below: f64, above: f64, n, platform| {
            Figure::Known(Estimate {
                estimate,
                lo: Some(estimate - below),
                hi: Some(estimate + above),
                n,
                detectable: None,
                platform,
                p: None,
                notes: vec!["drift".into()],
            })
        };
        let a = figure(16.0, 3.0, 5.0, 4, Platform::Native);
        let b = figure(8.0, 4.0, 12.0, 3, Platform::Counted);
        let found = sum(a.clone(), b);
        let found = found.known().unwrap();
        // 3, 4 and 5; 5, 12 and 13.
        assert_eq!((found.estimate, found.lo, found.hi), (24.0, Some(19.0), Some(37.0)));
        assert_eq!((found.n, found.platform, found.notes.len()), (3, Platform::Counted, 1));
        assert_eq!(sum(a, Figure::null("a reason")), Figure::null("a reason"));
    }
}
