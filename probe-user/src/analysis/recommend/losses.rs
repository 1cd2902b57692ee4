//! What a method did not record, at each load.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{judge::Verdict, wanted::CallRate};
use crate::{
    analysis::toll::per,
    model::{
        campaign::{Events, Reconciliation},
        loss::Loss,
        trial::{Measured, Pace, Part},
    },
};

/// Over all trials of a method that ended well, of all that it sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Losses {
    /// All of them together.
    #[serde(flatten)]
    pub all: Counts,
    /// By load.
    pub by_load: Vec<AtLoad>,
}

/// Sums over trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Counts {
    /// Calls that it recorded, or counted where it counts those it does not record.
    pub seen: u64,
    /// Records that its buffers lost.
    pub lost: Loss,
    /// Calls at which its probe did not run.
    pub missed: Loss,
    /// Calls of the lockstep trials that are neither recorded nor known to be lost.
    pub unaccounted: u64,
    /// Lost, missed and unaccounted for, in per cent of all; at least so much where a part is unknown.
    pub known_pct: Option<f64>,
    /// Whether that is all of it: no part is unknown.
    pub exact: bool,
}

/// Trials of one load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtLoad {
    /// The load.
    pub load: Load,
    /// Calls per second that there were.
    pub calls_per_s: Option<f64>,
    /// What was seen of them.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How calls come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// One after the other.
    Lockstep,
    /// At the paced load.
    Paced,
    /// As fast as the ring takes frames.
    Flat,
    /// In fidelity trials.
    Fidelity,
}

impl Load {
    fn of(part: Part, pace: Pace) -> Self {
        match (part, pace) {
            (Part::Fidelity, _) => Self::Fidelity,
            (Part::Toll, Pace::Lockstep) => Self::Lockstep,
            (Part::Toll, Pace::Paced) => Self::Paced,
            (Part::Toll, Pace::Flat) => Self::Flat,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lockstep => "in lockstep",
            Self::Paced => "at the paced load",
            Self::Flat => "flat out",
            Self::Fidelity => "in fidelity trials",
        })
    }
}

impl Counts {
    fn new(seen: u64, lost: Loss, missed: Loss, unaccounted: u64) -> Self {
        let known = lost.known() + missed.known() + unaccounted;
        Self {
            seen,
            lost,
            missed,
            unaccounted,
            known_pct: per(known, seen + known).map(|share| 100.0 * share),
            exact: lost.exact().is_some() && missed.exact().is_some(),
        }
    }

    /// Of several loads together.
    fn sum(all: &[AtLoad]) -> Self {
        let all = || all.iter().map(|one| one.counts);
        Self::new(
            all().map(|one| one.seen).sum(),
            all().map(|one| one.lost).fold(Loss::NONE, Loss::and),
            all().map(|one| one.missed).fold(Loss::NONE, Loss::and),
            all().map(|one| one.unaccounted).sum(),
        )
    }

    /// Lost, missed and unaccounted for, as far as known.
    fn known(&self) -> u64 {
        self.lost.known() + self.missed.known() + self.unaccounted
    }

    /// Why not all is known.
    fn open(&self) -> Option<&'static str> {
        match (self.lost.exact(), self.missed.exact()) {
            _ if self.known_pct.is_none() => Some("it recorded nothing"),
            (Some(_), Some(_)) => None,
            (None, None) => {
                Some("the kernel tells neither all that was lost nor all that was missed")
            }
            (None, _) => Some("it does not tell all that it lost"),
            _ => Some("the kernel does not tell all that it missed"),
        }
    }
}

impl AtLoad {
    fn of(load: Load, trials: &[&Measured], events: &Events) -> Self {
        let (mut seen, mut lost, mut missed) = (0, Loss::NONE, Loss::NONE);
        // Of several functions, the one that is called most tells the rate.
        let (mut calls, mut elapsed) = (0, 0);
        for trial in trials {
            let one = &trial.observation;
            let counts = if one.counted.is_empty() { &one.recorded } else { &one.counted };
            let counts = || counts.iter().flatten();
            seen += counts().sum::<u64>();
            lost = lost.and(one.lost);
            missed = missed.and(one.missed);
            calls += counts().max().unwrap_or(&0) + one.lost.known() + one.missed.known();
            elapsed += trial.cpu.elapsed.0;
        }
        let unaccounted = match (load, &events.reconciles) {
            (Load::Lockstep, Reconciliation::Unaccounted { n }) => *n,
            _ => 0,
        };
        // That the numbers agree exactly shows that nothing was missed.
        if load == Load::Lockstep
            && events.reconciles == Reconciliation::Exact
            && missed == Loss::Unknown
        {
            missed = Loss::NONE;
        }
        let calls_per_s = per(calls, elapsed).map(|per_ns| per_ns * 1e9);
        Self { load, calls_per_s, counts: Counts::new(seen, lost, missed, unaccounted) }
    }
}

impl Losses {
    pub(super) fn of<'a>(
        done: impl Iterator<Item = (Part, Pace, &'a Measured)>,
        events: &Events,
    ) -> Self {
        let mut trials: BTreeMap<Load, Vec<&Measured>> = BTreeMap::new();
        for (part, pace, measured) in done {
            trials.entry(Load::of(part, pace)).or_default().push(measured);
        }
        let by_load: Vec<AtLoad> =
            trials.iter().map(|(&load, trials)| AtLoad::of(load, trials, events)).collect();
        Self { all: Counts::sum(&by_load), by_load }
    }

    /// The load at which most is known to be lost or missed, as a share.
    pub(super) fn worst(&self) -> Option<&AtLoad> {
        let known = self.by_load.iter().filter(|one| one.counts.known_pct.is_some());
        known.max_by(|a, b| a.counts.known_pct.partial_cmp(&b.counts.known_pct).expect("no NaN"))
    }

    /// Whether no more than so many per cent were lost at any load. Counts have no interval; an unknown part is never taken for
    /// zero, and what holds up to a rate is not known to hold beyond.
    pub(super) fn judge(&self, max_pct: f64, rate: Option<CallRate>) -> Verdict {
        let cannot_tell = |why| Verdict::CannotTell { why, more_blocks: None };
        let Some(worst) = self.worst() else { return cannot_tell("it recorded nothing".into()) };
        let AtLoad { load, counts, .. } = worst;
        if counts.known_pct.is_some_and(|pct| pct > max_pct) {
            let (known, all) = (counts.known(), counts.seen + counts.known());
            return Verdict::Broken {
                why: format!("{load}, {known} of {all} were lost or missed"),
            };
        }
        let open: Vec<String> = self
            .by_load
            .iter()
            .filter_map(|one| Some(format!("{} {}", one.counts.open()?, one.load)))
            .collect();
        if !open.is_empty() {
            return cannot_tell(open.join("; "));
        }
        let most = self.by_load.iter().filter_map(|one| one.calls_per_s).fold(0.0, f64::max);
        match rate {
            Some(rate) if rate.per_second() > most => cannot_tell(format!(
                "known up to {most:.0} calls per second, not at {rate}: a buffer that holds these may not hold those"
            )),
            _ => Verdict::Met,
        }
    }
}
