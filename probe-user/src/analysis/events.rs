//! What a method recorded, lost and missed, beside what happened.

use super::pairs::{Kind, Trials};
use crate::model::{
    campaign::{Events, Reconciliation},
    loss::Loss,
    method::{Class, Descriptor, SeriesUnit},
    trial::{Measured, Outcome, Pace},
};
pub use crate::workload::CALLED_PER_KICK;

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
    /// Whether all losses that are known of are known to be calls of the function.
    placed: bool,
    /// Trials times CPUs: the places in which a sampler's counter may hold back calls at the end.
    counters: u64,
}

/// Totals of `method` over the lockstep toll trials; `kicked` is the target's function that each kick calls once.
///
/// Counts do not depend on the clock: trials of all platforms are summed.
pub fn events(trials: &Trials<'_>, method: &Descriptor, kicked: Option<Function<'_>>) -> Events {
    let kind = Kind::toll(Pace::Lockstep);
    let ours = trials.all.iter().filter(|trial| trial.method == method.id && kind.holds(trial));
    let done: Vec<(&Measured, usize)> = ours
        .filter_map(|trial| match &trial.outcome {
            Outcome::Done(measured) => Some((&**measured, trials.runs.get(trial.run)?.host.cpus)),
            Outcome::Failed { .. } => None,
        })
        .collect();
    let nothing = |why: &str| Events {
        truth: done.iter().map(|(trial, _)| trial.sent.kicks).sum(),
        recorded: None,
        lost: Loss::Unknown,
        missed: Loss::Unknown,
        counted_plus_missed: None,
        reconciles: not_applicable(why),
    };
    if done.is_empty() {
        return nothing("no lockstep trial ended well");
    }
    let Some(function) = kicked else {
        return nothing(&format!("{CALLED_PER_KICK}, which each kick calls, is not in the target"));
    };
    let counts = Counts::of(&done, method, function);
    Events {
        truth: counts.truth,
        recorded: counts.recorded,
        lost: counts.lost,
        missed: counts.missed,
        counted_plus_missed: counts.sum().filter(|_| sees_every_call(method)),
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
        Self {
            truth: trials().map(|trial| trial.sent.kicks).sum(),
            recorded,
            lost,
            missed,
            placed: trials().all(|trial| losses_are_placed(trial, function)),
            counters: done.iter().map(|(_, cpus)| *cpus as u64).sum(),
        }
    }

    /// `recorded + lost + missed`, where the losses are exact and calls of the function.
    fn sum(&self) -> Option<u64> {
        let sum = self.recorded? + self.lost.exact()? + self.missed.exact()?;
        self.placed.then_some(sum)
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
        let Some(recorded) = self.recorded else {
            return not_applicable("a trial has no count of the function");
        };
        if !self.placed {
            return not_applicable(
                "its losses may be another function's, or lie outside the window",
            );
        }
        // A missed call was never drawn: it stands for itself.
        let drawn = recorded + known(self.lost);
        let estimate = (drawn as f64 * factor).round() as u64 + known(self.missed);
        let bound = (factor as u64).saturating_mul(counters);
        let away = estimate.abs_diff(self.truth);
        let open = self.lost.exact().is_none() || self.missed.exact().is_none();
        if away == 0 && counters == 0 {
            Reconciliation::Exact
        } else if away <= bound {
            Reconciliation::WithinBound { bound }
        } else if estimate < self.truth && open {
            Reconciliation::Unaccounted { n: away }
        } else {
            let away = i64::try_from(away).unwrap_or(i64::MAX);
            Reconciliation::Differs { by: if estimate < self.truth { -away } else { away } }
        }
    }
}

/// As many as are known of.
fn known(loss: Loss) -> u64 {
    match loss {
        Loss::Exact(n) | Loss::AtLeast(n) => n,
        Loss::Unknown => 0,
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

/// Whether the losses that are known of are calls of `function` within the window. A loss has neither function nor bin:
/// it is placed only where there is none, or where nothing was recorded elsewhere.
fn losses_are_placed(trial: &Measured, function: Function<'_>) -> bool {
    let seen = &trial.observation;
    if known(seen.lost) + known(seen.missed) == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::{figure::Platform, observation::Series, trial::Part},
    };

    const LOCKSTEP: (Part, Pace) = (Part::Toll, Pace::Lockstep);
    const TX: Function<'_> = Function { index: 0, name: "handle_tx" };

    /// Two trials of 1000 kicks each, `seen` by `method`.
    fn lab(method: &str, seen: impl Fn(&mut Measured)) -> Lab {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for block in 0..2 {
            lab.done(block, LOCKSTEP, method, |measured| {
                measured.sent.kicks = 1000;
                seen(measured);
            });
        }
        lab.failed(2, LOCKSTEP, method, "a failed trial adds nothing");
        lab
    }

    fn of(lab: &Lab, method: &str) -> Events {
        events(&lab.trials(), lab.method(method), Some(TX))
    }

    fn series(calls: f64) -> Vec<Series> {
        vec![Series { function: "handle_tx".into(), values: vec![calls], self_share: None }]
    }

    fn saw(measured: &mut Measured, recorded: u64, lost: Loss, missed: Loss) {
        measured.observation.recorded = vec![Some(recorded), Some(0)];
        measured.observation.lost = lost;
        measured.observation.missed = missed;
    }

    #[test]
    fn counted_lost_and_missed_make_up_the_truth() {
        let lab = lab("ftrace-function", |measured| {
            saw(measured, 900, Loss::Exact(90), Loss::Exact(10));
            measured.series = series(900.0);
        });
        let found = of(&lab, "ftrace-function");
        assert_eq!((found.truth, found.recorded), (2000, Some(1800)));
        assert_eq!((found.lost, found.missed), (Loss::Exact(180), Loss::Exact(20)));
        assert_eq!(found.counted_plus_missed, Some(2000));
        assert_eq!(found.reconciles, Reconciliation::Exact);
    }

    #[test]
    fn a_wrong_count_says_by_how_much() {
        let lab = lab("bpf-fentry-count", |measured| saw(measured, 998, Loss::NONE, Loss::NONE));
        let found = of(&lab, "bpf-fentry-count");
        assert_eq!(found.counted_plus_missed, Some(1996));
        assert_eq!(found.reconciles, Reconciliation::Differs { by: -4 });
    }

    #[test]
    fn the_window_counts_not_the_session() {
        // Setting the backend makes one call before the window.
        let lab = lab("bpf-fentry-count", |measured| {
            saw(measured, 1001, Loss::NONE, Loss::NONE);
            measured.series = series(1000.0);
        });
        assert_eq!(of(&lab, "bpf-fentry-count").recorded, Some(2000));
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_shown_by_the_truth_or_stays_open() {
        let found = |recorded, lost, missed| {
            let lab = lab("ftrace-function", |measured| saw(measured, recorded, lost, missed));
            let found = of(&lab, "ftrace-function");
            assert_eq!(found.counted_plus_missed, None);
            found.reconciles
        };
        assert_eq!(found(1000, Loss::NONE, Loss::Unknown), Reconciliation::Exact);
        assert_eq!(found(990, Loss::Exact(10), Loss::Unknown), Reconciliation::Exact);
        let short = Reconciliation::Unaccounted { n: 10 };
        assert_eq!(found(990, Loss::AtLeast(5), Loss::Unknown), short);
        assert_eq!(found(995, Loss::NONE, Loss::Unknown), short);
        let over = Reconciliation::Differs { by: 2 };
        assert_eq!(found(1001, Loss::NONE, Loss::Unknown), over);
    }

    #[test]
    fn a_loss_without_a_place_leaves_the_sum_open() {
        let open = |seen: fn(&mut Measured)| {
            let found = of(&lab("ftrace-function", seen), "ftrace-function");
            assert_eq!(found.counted_plus_missed, None, "{found:?}");
            assert!(matches!(found.reconciles, Reconciliation::NotApplicable { .. }), "{found:?}");
        };
        // Another function was called too: the loss may be its.
        open(|measured| {
            saw(measured, 990, Loss::Exact(10), Loss::NONE);
            measured.observation.recorded[1] = Some(5);
        });
        // The session saw more than the window: the loss may lie outside.
        open(|measured| {
            saw(measured, 995, Loss::Exact(10), Loss::NONE);
            measured.series = series(990.0);
        });
        // The function's count is missing: no zero.
        open(|measured| measured.observation.recorded = vec![None, Some(0)]);
    }

    #[test]
    fn one_in_n_reconciles_within_its_bound() {
        // N = 10, 2 CPUs, 2 trials: 40 calls may be held back.
        for (records, expected) in [
            (100, Reconciliation::WithinBound { bound: 40 }),
            (98, Reconciliation::WithinBound { bound: 40 }),
            (97, Reconciliation::Differs { by: -60 }),
            (103, Reconciliation::Differs { by: 60 }),
        ] {
            let lab = lab("perf-kprobe-record-10", |measured| {
                saw(measured, records, Loss::NONE, Loss::NONE);
            });
            let found = of(&lab, "perf-kprobe-record-10");
            assert_eq!((found.reconciles, found.counted_plus_missed), (expected, None));
        }
    }

    #[test]
    fn shares_and_the_control_do_not_reconcile() {
        for method in ["off", "perf-sample-999-cpu-clock"] {
            let lab = lab(method, |measured| saw(measured, 3, Loss::NONE, Loss::NONE));
            let found = of(&lab, method);
            assert!(matches!(found.reconciles, Reconciliation::NotApplicable { .. }), "{found:?}");
            assert_eq!(found.recorded, if method == "off" { None } else { Some(6) });
        }
        let found = of(&Lab::new(), "bpf-fentry-count");
        assert_eq!((found.recorded, found.lost), (None, Loss::Unknown));
    }

    #[test]
    fn a_target_without_the_kicked_function_has_no_truth_to_agree_with() {
        let lab = lab("bpf-fentry-count", |measured| saw(measured, 5, Loss::NONE, Loss::NONE));
        let found = events(&lab.trials(), lab.method("bpf-fentry-count"), None);
        assert_eq!((found.truth, found.recorded), (2000, None));
        assert!(matches!(found.reconciles, Reconciliation::NotApplicable { .. }), "{found:?}");
    }
}
