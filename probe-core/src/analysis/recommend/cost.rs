//! What a method takes of a CPU, at the campaign's paced load or at a rate of the user's own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::wanted::CallRate;
use crate::{
    analysis::{
        correlation::mean,
        estimate::{BlockValues, Scale, Values, figure},
        item::Items,
        overhead::{
            by_block, counted, kernel_pct, load_note, per, why_no_cost_per_event,
            worker_ns_per_kick,
        },
        pairs::{Chosen, Pair, TrialFilter, Trials},
    },
    model::{
        campaign::Design,
        figure::Figure,
        method::{Class, Descriptor, MethodId, SeriesUnit},
        reason::Reason,
        trial::{Measured, Pace},
    },
};

/// CPU time of a method, with its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// All of it, in per cent of one CPU.
    pub cpu_pct: Figure,
    /// The same in each block.
    #[serde(skip)]
    pub by_block: Values,
    /// Its parts, in the same unit.
    pub parts: BTreeMap<&'static str, f64>,
    /// How it was found.
    #[serde(flatten)]
    pub way: Way,
    /// Calls per second in the closed loop, where it is scaled from these; else frames per second
    /// at the paced load.
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
    /// What a call costs in the closed loop, times the user's rate; what goes with the time as it
    /// was at the paced load.
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
                // What counts in the kernel is read at the bins' edges, however many calls there
                // were.
                reader_per_call: method.class != Class::Exact && !counts_anyway(method),
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
            | (Self::Scaled { reader_per_call: true, .. }, READER) => Pace::ClosedLoop,
            _ => Pace::Paced,
        }
    }

    /// One part in one block, in per cent of one CPU.
    fn part(self, part: &str, pair: &Pair<'_>) -> Option<f64> {
        let Pair { off, method } = pair;
        let own = |ns: u64| match (self, self.pace(part)) {
            (Self::Scaled { calls_per_s, .. }, Pace::ClosedLoop) => {
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
            _ => kernel_pct(pair),
        }
    }
}

/// Whether the kernel counts it whether or not anybody reads it.
pub(super) fn counts_anyway(method: &Descriptor) -> bool {
    matches!(method.unit, SeriesUnit::Counter { .. })
}

/// ns of CPU time per second, in per cent of one CPU.
fn share(ns_per_s: f64) -> f64 {
    ns_per_s / 1e9 * 100.0
}

/// The trials of a method that its parts are of, block by block, and what a part comes to.
struct Bill<'a> {
    way: Way,
    paces: Vec<Pace>,
    blocks: Result<Chosen<Vec<Pair<'a>>>, Reason>,
}

impl<'a> Bill<'a> {
    fn new(trials: &Trials<'a>, method: &MethodId, way: Way) -> Self {
        let mut paces: Vec<Pace> = way.parts().iter().map(|part| way.pace(part)).collect();
        paces.dedup();
        let kinds: Vec<TrialFilter> =
            paces.iter().map(|&pace| TrialFilter::overhead(pace)).collect();
        let mut blocks = trials.paired_in_each(&kinds, method);
        if let (Ok(chosen), Some(at)) =
            (&mut blocks, paces.iter().position(|&pace| pace == Pace::Paced))
        {
            let paced: Vec<Pair<'_>> =
                chosen.items.iter().filter_map(|pairs| pairs.get(at).copied()).collect();
            chosen.notes.extend(load_note(&paced));
        }
        Self { way, paces, blocks }
    }

    /// One part in one block.
    fn part(&self, part: &str, pairs: &[Pair<'a>]) -> Option<f64> {
        let pace = self.way.pace(part);
        let at = self.paces.iter().position(|&one| one == pace)?;
        self.way.part(part, pairs.get(at)?)
    }

    /// All parts in one block.
    fn sum(&self, pairs: &[Pair<'a>]) -> Option<f64> {
        self.way.parts().iter().map(|part| self.part(part, pairs)).sum()
    }

    fn values(&self, value: impl Fn(&[Pair<'a>]) -> Option<f64>) -> Result<BlockValues, Reason> {
        by_block(self.blocks.clone(), |pairs| counted(value(pairs)))
    }

    /// The mean over the blocks.
    fn estimate(&self, value: impl Fn(&[Pair<'a>]) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.values(value).ok()?.values.into_values().collect();
        Some(mean(&values))
    }

    /// Units of load per second that the costs are of.
    fn rate(&self) -> Option<f64> {
        let pace = self.way.pace(KERNEL);
        let at = self.paces.iter().position(|&one| one == pace)?;
        self.estimate(|pairs| {
            let Measured { sent, cpu, .. } = pairs.get(at)?.method;
            let units = if pace == Pace::ClosedLoop { sent.kicks? } else { sent.frames };
            Some(1e9 * per(units, cpu.elapsed.0)?)
        })
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
    let mut bill = Bill::new(trials, &method.id, way);
    if let Some(why) = per_call.then(|| why_no_cost_per_event(method, kicked)).flatten() {
        bill.blocks = Err(why);
    }
    let part = |name: &&'static str| Some((*name, bill.estimate(|pairs| bill.part(name, pairs))?));
    let parts: BTreeMap<_, _> = way.parts().iter().filter_map(part).collect();
    let all = bill.values(|pairs| bill.sum(pairs));
    Cost {
        by_block: all.as_ref().map(|all| all.values.clone()).unwrap_or_default(),
        cpu_pct: figure(all, Scale::Difference, seed),
        beyond_one_worker: parts.get(KERNEL).is_some_and(|&pct| pct > 100.0),
        parts,
        way,
        measured_per_s: bill.rate(),
    }
}
