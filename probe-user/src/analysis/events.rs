//! What a method recorded, lost and missed, beside what happened.

use super::pairs::{Kind, Trials};
use crate::model::{
    campaign::{Events, Reconciliation},
    loss::Loss,
    method::{Class, Descriptor, SeriesUnit},
    trial::{Measured, Outcome, Pace},
};

/// A function of the target.
#[derive(Debug, Clone, Copy)]
pub struct Function<'a> {
    /// Its index in the target.
    pub index: usize,
    /// Its name.
    pub name: &'a str,
}

/// Sums over the trials.
struct Counts {
    truth: u64,
    recorded: Option<u64>,
    lost: Loss,
    missed: Loss,
    /// `recorded + lost + missed`, where the losses are exact and known to be calls of the function.
    accounted: Option<u64>,
    /// Trials times CPUs: the places in which a sampler's counter may hold back calls at the end.
    counters: u64,
}

/// Totals of `method` over the lockstep toll trials; `function` is the one that a kick calls.
///
/// Counts do not depend on the clock: trials of all platforms are summed.
pub fn events(trials: &Trials<'_>, method: &Descriptor, function: Function<'_>) -> Events {
    let kind = Kind::toll(Pace::Lockstep);
    let ours = trials.all.iter().filter(|trial| trial.method == method.id && kind.holds(trial));
    let done: Vec<(&Measured, usize)> = ours
        .filter_map(|trial| match &trial.outcome {
            Outcome::Done(measured) => Some((&**measured, trials.runs.get(trial.run)?.host.cpus)),
            Outcome::Failed { .. } => None,
        })
        .collect();
    if done.is_empty() {
        return Events {
            truth: 0,
            recorded: None,
            lost: Loss::Unknown,
            missed: Loss::Unknown,
            counted_plus_missed: None,
            reconciles: not_applicable("no lockstep trial ended well"),
        };
    }
    let counts = Counts::of(&done, method, function);
    Events {
        truth: counts.truth,
        recorded: counts.recorded,
        lost: counts.lost,
        missed: counts.missed,
        counted_plus_missed: counts.accounted.filter(|_| sees_every_call(method)),
        reconciles: counts.reconcile(method),
    }
}

fn sees_every_call(method: &Descriptor) -> bool {
    matches!(method.class, Class::Exact | Class::Recorded)
}

impl Counts {
    fn of(done: &[(&Measured, usize)], method: &Descriptor, function: Function<'_>) -> Self {
        let trials = || done.iter().map(|(trial, _)| *trial);
        let lost = trials().map(|t| t.observation.lost).fold(Loss::NONE, Loss::and);
        let missed = trials().map(|t| t.observation.missed).fold(Loss::NONE, Loss::and);
        let recorded: Option<u64> = trials().map(|trial| recorded(trial, method, function)).sum();
        let recorded = recorded.filter(|_| method.class != Class::Nothing);
        let placed = trials().all(|trial| losses_are_placed(trial, function));
        let sum = || Some(recorded? + lost.exact()? + missed.exact()?);
        Self {
            truth: trials().map(|trial| trial.sent.kicks).sum(),
            recorded,
            lost,
            missed,
            accounted: if placed { sum() } else { None },
            counters: done.iter().map(|(_, cpus)| *cpus as u64).sum(),
        }
    }

    fn reconcile(&self, method: &Descriptor) -> Reconciliation {
        match (method.class, method.unit) {
            (Class::Nothing, _) => not_applicable("the control records nothing"),
            (Class::Inferred, _) => not_applicable("calls are inferred, not seen"),
            (_, SeriesUnit::CpuShare) => not_applicable("shares of CPU time do not count calls"),
            (_, SeriesUnit::Nothing) => not_applicable("it has no series"),
            (Class::Exact | Class::Recorded, SeriesUnit::Calls { .. }) => self.compare(1.0, 0),
            (Class::Sampled, SeriesUnit::Calls { factor }) => self.compare(factor, self.counters),
        }
    }

    /// Compares the estimate with the truth. One in N may be away by less than N for each of `counters`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts far below 2^53; a sampling factor is at least 1"
    )]
    fn compare(&self, factor: f64, counters: u64) -> Reconciliation {
        let (Some(accounted), Some(missed)) = (self.accounted, self.missed.exact()) else {
            return not_applicable(
                "lost or missed calls are not known exactly, or not by function",
            );
        };
        // A missed call was never drawn: it stands for itself.
        let estimate = ((accounted - missed) as f64 * factor).round() as u64 + missed;
        let bound = (factor as u64).saturating_mul(counters);
        match estimate.abs_diff(self.truth) {
            0 if counters == 0 => Reconciliation::Exact,
            away if away <= bound => Reconciliation::WithinBound { bound },
            away => {
                let away = i64::try_from(away).unwrap_or(i64::MAX);
                Reconciliation::Differs { by: if estimate < self.truth { -away } else { away } }
            }
        }
    }
}

fn not_applicable(why: &str) -> Reconciliation {
    Reconciliation::NotApplicable { why: why.into() }
}

/// Events of `function` in the window, from the series where that counts events; else the session's own total.
fn recorded(trial: &Measured, method: &Descriptor, function: Function<'_>) -> Option<u64> {
    let in_window = match method.unit {
        SeriesUnit::Calls { .. } => window_sum(trial, function),
        SeriesUnit::CpuShare | SeriesUnit::Nothing => None,
    };
    in_window.or_else(|| session_total(trial, function))
}

fn session_total(trial: &Measured, function: Function<'_>) -> Option<u64> {
    trial.observation.recorded.get(function.index).copied().flatten()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a sum of whole counts, far below 2^53"
)]
fn window_sum(trial: &Measured, function: Function<'_>) -> Option<u64> {
    let series = trial.series.iter().find(|series| series.function == function.name)?;
    Some(series.values.iter().sum::<f64>().round().max(0.0) as u64)
}

/// Whether the session's losses are known to be calls of `function` within the window. A loss has neither function
/// nor bin: it is placed only where there is none, or where nothing was recorded elsewhere.
fn losses_are_placed(trial: &Measured, function: Function<'_>) -> bool {
    let seen = &trial.observation;
    if seen.lost == Loss::NONE && seen.missed == Loss::NONE {
        return true;
    }
    let elsewhere = |(index, count): (usize, &Option<u64>)| {
        index != function.index && count.is_some_and(|count| count > 0)
    };
    let outside = window_sum(trial, function)
        .zip(session_total(trial, function))
        .is_some_and(|(window, session)| window != session);
    !outside && !seen.recorded.iter().enumerate().any(elsewhere)
}
