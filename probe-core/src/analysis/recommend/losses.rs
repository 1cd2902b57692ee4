//! What a method did not record, at each load.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{judge::Verdict, wanted::CallRate};
use crate::{
    analysis::{known_total, overhead::per, total},
    model::{
        campaign::{MethodSummary, Reconciliation},
        loss::Loss,
        observation::Observation,
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
    /// Records that it kept, or calls that it counted where it counts only.
    pub recorded: u64,
    /// Calls at which its probe ran: counted, where it counts all of which it records some; else
    /// recorded or lost.
    pub probed: u64,
    /// Records that its buffers lost.
    pub lost: Loss,
    /// Calls at which its probe did not run.
    pub missed: Loss,
    /// Calls of the closed-loop trials that are neither recorded nor known to be lost.
    pub unaccounted: u64,
    /// What is not shown of what it was to show, in per cent: a record that was lost, or a call
    /// that was missed or is unaccounted for. At least so much where a part is unknown.
    pub known_pct: Option<f64>,
    /// Whether that is all of it: no part is unknown.
    pub exact: bool,
}

/// Trials of one load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtLoad {
    /// The load.
    pub load: Load,
    /// Calls per second that there were; unknown of what shows something else, but in the closed
    /// loop.
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
    ClosedLoop,
    /// At the paced load.
    Paced,
    /// As fast as the ring takes frames.
    Saturated,
    /// In fidelity trials.
    Fidelity,
}

impl Load {
    fn of(part: Part, pace: Pace) -> Self {
        match (part, pace) {
            (Part::Fidelity, _) => Self::Fidelity,
            (Part::Overhead, Pace::ClosedLoop) => Self::ClosedLoop,
            (Part::Overhead, Pace::Paced) => Self::Paced,
            (Part::Overhead, Pace::Saturated) => Self::Saturated,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ClosedLoop => "in the closed loop",
            Self::Paced => "at the paced load",
            Self::Saturated => "when saturated",
            Self::Fidelity => "in fidelity trials",
        })
    }
}

impl Counts {
    /// With the share that follows: a call is shown if its probe ran and its record, where it was
    /// due one, was kept.
    fn of(sums: Sums) -> Self {
        let Sums { recorded, probed, lost, missed, unaccounted } = sums;
        let unseen = missed.known().saturating_add(unaccounted);
        Self {
            recorded,
            probed,
            lost,
            missed,
            unaccounted,
            known_pct: not_shown(probed, unseen, recorded, lost.known()).map(|share| 100.0 * share),
            exact: lost.exact().is_some() && missed.exact().is_some(),
        }
    }

    /// Of several loads together.
    fn sum(all: &[AtLoad]) -> Self {
        let all = || all.iter().map(|one| one.counts);
        Self::of(Sums {
            recorded: total(all().map(|one| one.recorded)),
            probed: total(all().map(|one| one.probed)),
            lost: all().map(|one| one.lost).fold(Loss::NONE, Loss::and),
            missed: all().map(|one| one.missed).fold(Loss::NONE, Loss::and),
            unaccounted: total(all().map(|one| one.unaccounted)),
        })
    }

    /// What is known not to be shown, in words.
    fn told(&self) -> String {
        let (lost, unseen) = (self.lost.known(), total([self.missed.known(), self.unaccounted]));
        let (due, all) = (total([self.recorded, lost]), total([self.probed, unseen]));
        let records = (lost > 0).then(|| format!("{lost} of {due} records were lost"));
        let calls = (unseen > 0).then(|| format!("{unseen} of {all} calls were missed"));
        records.into_iter().chain(calls).collect::<Vec<_>>().join(" and ")
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

/// The share of all calls that was not probed, or whose record was lost where `recorded` and `lost`
/// ones were due. Nothing lost is exactly zero, however many calls there were.
#[expect(clippy::cast_precision_loss, reason = "no campaign has 2^53 calls")]
fn not_shown(probed: u64, unseen: u64, recorded: u64, lost: u64) -> Option<f64> {
    let calls_per_record = per(probed, total([recorded, lost])).unwrap_or(0.0);
    let all = total([probed, unseen]) as f64;
    (all > 0.0).then(|| (unseen as f64 + calls_per_record * lost as f64) / all)
}

/// What adds up over trials.
#[derive(Clone, Copy)]
struct Sums {
    recorded: u64,
    probed: u64,
    lost: Loss,
    missed: Loss,
    unaccounted: u64,
}

/// Calls at which the probe ran in one trial: of all functions, and of the one that is called most.
fn probed(seen: &Observation) -> [u64; 2] {
    // What is counted holds those whose records were lost.
    let (counts, lost) = match seen.counted.is_empty() {
        true => (&seen.recorded, seen.lost.known()),
        false => (&seen.counted, 0),
    };
    let counts = || counts.iter().flatten().copied();
    [total(counts()), counts().max().unwrap_or(0)].map(|calls| calls.saturating_add(lost))
}

impl AtLoad {
    fn of(load: Load, trials: &[&Measured], summary: &MethodSummary) -> Self {
        let events = &summary.events;
        let (mut recorded, mut all, mut lost, mut missed) = (0, 0, Loss::NONE, Loss::NONE);
        let (mut calls, mut elapsed) = (Some(0), 0);
        for trial in trials {
            let one = &trial.observation;
            let [of_all, of_most] = probed(one);
            recorded = total(one.recorded.iter().flatten().copied().chain([recorded]));
            all = total([all, of_all]);
            lost = lost.and(one.lost);
            missed = missed.and(one.missed);
            // Frames tell nothing of calls, but where each kick is one of each.
            let these = match (&summary.shows_instead, load) {
                (None, _) => Some(total([of_most, one.missed.known()])),
                (Some(_), Load::ClosedLoop) => trial.sent.kicks,
                (Some(_), _) => None,
            };
            calls = known_total([calls, these]);
            elapsed = total([elapsed, trial.cpu.elapsed.0]);
        }
        let unaccounted = match (load, &events.reconciles) {
            (Load::ClosedLoop, Reconciliation::Unaccounted { n }) => *n,
            _ => 0,
        };
        // That the numbers agree exactly shows that nothing was missed.
        if load == Load::ClosedLoop
            && events.reconciles == Reconciliation::Exact
            && missed == Loss::Unknown
        {
            missed = Loss::NONE;
        }
        let calls_per_s = calls.and_then(|calls| per(calls, elapsed)).map(|per_ns| per_ns * 1e9);
        let sums = Sums { recorded, probed: all, lost, missed, unaccounted };
        Self { load, calls_per_s, counts: Counts::of(sums) }
    }
}

impl Losses {
    pub(super) fn of<'a>(
        done: impl Iterator<Item = (Part, Pace, &'a Measured)>,
        summary: &MethodSummary,
    ) -> Self {
        let mut trials: BTreeMap<Load, Vec<&Measured>> = BTreeMap::new();
        for (part, pace, measured) in done {
            trials.entry(Load::of(part, pace)).or_default().push(measured);
        }
        let by_load: Vec<AtLoad> =
            trials.iter().map(|(&load, trials)| AtLoad::of(load, trials, summary)).collect();
        Self { all: Counts::sum(&by_load), by_load }
    }

    /// The load at which most is known to be lost or missed, as a share.
    pub(super) fn worst(&self) -> Option<&AtLoad> {
        let known = self.by_load.iter().filter_map(|one| Some((one.counts.known_pct?, one)));
        known.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, worst)| worst)
    }

    /// Whether no more than so many per cent were lost at any load. Counts have no interval; an
    /// unknown part is never taken for zero, and what holds up to a rate is not known to hold
    /// beyond.
    pub(super) fn judge(&self, max_pct: f64, rate: Option<CallRate>) -> Verdict {
        let cannot_tell = |why: String| Verdict::CannotTell { why: why.into(), more_blocks: None };
        let Some(worst) = self.worst() else { return cannot_tell("it recorded nothing".into()) };
        let AtLoad { load, counts, .. } = worst;
        if counts.known_pct.is_some_and(|pct| pct > max_pct) {
            return Verdict::Broken { why: format!("{load}, {}", counts.told()) };
        }
        let open: Vec<String> = self
            .by_load
            .iter()
            .filter_map(|one| Some(format!("{} {}", one.counts.open()?, one.load)))
            .collect();
        if !open.is_empty() {
            return cannot_tell(open.join("; "));
        }
        let Some(rate) = rate else { return Verdict::Met };
        match self.by_load.iter().filter_map(|one| one.calls_per_s).reduce(f64::max) {
            Some(most) if rate.per_second() <= most => Verdict::Met,
            Some(most) => cannot_tell(format!(
                "known up to {most:.0} calls per second, not at {rate}: a buffer that holds these \
                 may not hold those"
            )),
            None => cannot_tell("at how many calls per second is not known".into()),
        }
    }
}
