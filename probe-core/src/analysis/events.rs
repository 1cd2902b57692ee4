//! What a method recorded, lost and missed, compared with what happened.

use super::{
    item::{Item, Items},
    known_total,
    pairs::{TrialFilter, Trials},
    reconcile::{ItemTotals, reconcile},
};
pub use crate::model::subject::CALLED_PER_KICK;
use crate::model::{
    campaign::{Events, Reconciliation},
    loss::Loss,
    method::{Class, Descriptor, SeriesUnit},
    observation::{EstimatedCalls, Promise},
    reason::Reason,
    trial::{Measured, Outcome, Pace},
};

/// Totals of `method` over the closed-loop overhead trials, for the item of the target by which it
/// saw the load.
///
/// Counts do not depend on the clock: trials of all platforms are summed.
pub fn events(trials: &Trials<'_>, method: &Descriptor, items: &Items) -> Events {
    let kind = TrialFilter::overhead(Pace::ClosedLoop);
    let ours = trials.all.iter().filter(|trial| trial.method == method.id && kind.holds(trial));
    let done: Vec<&Measured> = ours
        .filter_map(|trial| match &trial.outcome {
            Outcome::Done(measured) => Some(&**measured),
            Outcome::Failed { .. } => None,
        })
        .collect();
    let Some(first) = done.first() else {
        return nothing(None, Reason::NoClosedLoopTrial);
    };
    let Some(item) = items.seen(method, first) else {
        return nothing(None, Reason::NotInTarget { function: CALLED_PER_KICK.into() });
    };
    let counts = counts(&done, method, item);
    if method.class == Class::Nothing {
        let truth = counts.truth;
        return Events { truth, ..nothing(Some(item), Reason::RecordsNothing) };
    }
    Events {
        item: Some(item.name.to_owned()),
        truth: counts.truth,
        recorded: counts.recorded,
        lost: counts.lost,
        missed: counts.missed,
        counted_plus_missed: counts.sum().filter(|_| sees_every_call(method)),
        counted: counts.counted,
        estimate: counts.estimate,
        reconciles: reconcile(&counts, method),
    }
}

fn nothing(item: Option<Item<'_>>, why: Reason) -> Events {
    Events {
        item: item.map(|item| item.name.to_owned()),
        truth: None,
        recorded: None,
        lost: Loss::Unknown,
        missed: Loss::Unknown,
        counted_plus_missed: None,
        counted: None,
        estimate: None,
        reconciles: Reconciliation::NotApplicable { why },
    }
}

fn sees_every_call(method: &Descriptor) -> bool {
    matches!(method.class, Class::Exact | Class::Recorded)
}

/// Sums over the trials `done`.
fn counts(done: &[&Measured], method: &Descriptor, item: Item<'_>) -> ItemTotals {
    let trials = || done.iter().copied();
    ItemTotals {
        truth: known_total(trials().map(|trial| item.truth(&trial.sent))),
        recorded: known_total(trials().map(|trial| recorded(trial, method, item))),
        counted: known_total(trials().map(|trial| trial.observation.counted.get(item.id).copied())),
        lost: trials().map(|t| t.observation.lost).fold(Loss::NONE, Loss::and),
        missed: trials().map(|t| t.observation.missed).fold(Loss::NONE, Loss::and),
        placed: trials().all(|trial| losses_are_placed(trial, item)),
        estimate: together(trials().map(|t| t.observation.estimates.get(item.id).copied())),
    }
}

/// The estimate of all trials together. Bounds add up; intervals of independent draws add up in
/// squares.
fn together(estimates: impl Iterator<Item = Option<EstimatedCalls>>) -> Option<EstimatedCalls> {
    let all: Vec<EstimatedCalls> = estimates.collect::<Option<_>>()?;
    let promise = all.first()?.promise;
    let calls: f64 = all.iter().map(|one| one.calls).sum();
    let add = |sides: &mut dyn Iterator<Item = f64>| match promise {
        Promise::Always => sides.sum::<f64>(),
        Promise::Confidence95 => sides.map(|side| side * side).sum::<f64>().sqrt(),
    };
    let below = add(&mut all.iter().map(|one| one.calls - one.lo));
    let above = add(&mut all.iter().map(|one| one.hi - one.calls));
    Some(EstimatedCalls { calls, lo: calls - below, hi: calls + above, promise })
}

/// Events of `item` in the window, from a recorder's series; otherwise the session's own total. (A
/// counter's session is as long as its load, and a method that counts in its own bins cannot locate
/// the window's edges more precisely.)
fn recorded(trial: &Measured, method: &Descriptor, item: Item<'_>) -> Option<u64> {
    let in_window = match (method.class, method.unit) {
        (Class::Recorded | Class::Inferred, SeriesUnit::Calls { .. }) => window_sum(trial, item),
        _ => None,
    };
    in_window.or_else(|| session_total(trial, item))
}

fn session_total(trial: &Measured, item: Item<'_>) -> Option<u64> {
    trial.observation.recorded.get(item.id).copied()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a sum of whole counts, far below 2^53"
)]
fn window_sum(trial: &Measured, item: Item<'_>) -> Option<u64> {
    let series = trial.series.iter().find(|series| series.function == item.name)?;
    Some(series.values.iter().sum::<f64>().round().max(0.0) as u64)
}

/// Whether the known losses are hits of `item` within the window. A loss has neither item nor bin,
/// so this is known only if there is no loss, or if nothing else was recorded.
fn losses_are_placed(trial: &Measured, item: Item<'_>) -> bool {
    let seen = &trial.observation;
    if seen.lost.known() == 0 && seen.missed.known() == 0 {
        return true;
    }
    let elsewhere = |(index, count): (usize, &Option<u64>)| {
        index != item.id.0 && count.is_some_and(|count| count > 0)
    };
    let outside = window_sum(trial, item)
        .zip(session_total(trial, item))
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

    const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);
    /// Two trials of 1000 kicks each, `seen` by `method`.
    fn lab(method: &str, seen: impl Fn(&mut Measured)) -> Lab {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for block in 0..2 {
            lab.done(block, CLOSED_LOOP, method, |measured| {
                measured.sent.kicks = Some(1000);
                seen(measured);
            });
        }
        lab.failed(2, CLOSED_LOOP, method, "a failed trial adds nothing");
        lab
    }

    fn of(lab: &Lab, method: &str) -> Events {
        events(&lab.trials(), lab.method(method), &Items::of(&lab.design.target))
    }

    fn series(calls: f64) -> Vec<Series> {
        vec![Series { function: "handle_tx".into(), values: vec![calls], self_share: None }]
    }

    fn saw(measured: &mut Measured, recorded: u64, lost: Loss, missed: Loss) {
        measured.observation.recorded = vec![Some(recorded), Some(0)].into();
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
        assert_eq!((found.truth, found.recorded), (Some(2000), Some(1800)));
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
    fn of_a_recorder_the_window_counts_not_the_session() {
        // Setting the backend makes one call before the window.
        let lab = lab("ftrace-function", |measured| {
            saw(measured, 1001, Loss::NONE, Loss::NONE);
            measured.series = series(1000.0);
        });
        assert_eq!(of(&lab, "ftrace-function").recorded, Some(2000));
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
        // Another function was called too: the loss may belong to it.
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
        open(|measured| measured.observation.recorded = vec![None, Some(0)].into());
    }

    #[test]
    fn one_in_n_reconciles_within_its_bound() {
        // N = 10, and a bound of 20 in each of two trials; nothing was drawn from missed calls.
        for (calls, missed, expected) in [
            (990.0, 0, Reconciliation::WithinBound { bound: 40 }),
            (980.0, 4, Reconciliation::WithinBound { bound: 40 }),
            (970.0, 0, Reconciliation::Differs { by: -60 }),
            (1010.0, 0, Reconciliation::Differs { by: 20 }),
        ] {
            let lab = lab("perf-kprobe-record-10", |measured| {
                saw(measured, 98, Loss::NONE, Loss::Exact(missed));
                let promise = Promise::Always;
                let estimate = EstimatedCalls { calls, lo: calls, hi: calls + 20.0, promise };
                measured.observation.estimates = vec![Some(estimate)].into();
            });
            let found = of(&lab, "perf-kprobe-record-10");
            assert_eq!((found.reconciles, found.counted_plus_missed), (expected, None));
        }
    }

    #[test]
    fn what_stands_in_for_calls_is_set_against_frames() {
        let lab = lab("ftrace-function", |measured| {
            measured.sent.frames = 990;
            measured.observation.recorded = vec![None, None, Some(990)].into();
            measured.observation.lost = Loss::NONE;
            measured.observation.missed = Loss::NONE;
        });
        let found = of(&lab, "ftrace-function");
        assert_eq!((found.item.as_deref(), found.truth), (Some("frames"), Some(1980)));
        assert_eq!(found.reconciles, Reconciliation::Exact);
    }

    #[test]
    fn a_random_sampler_is_judged_by_its_own_interval_and_its_exact_count() {
        let of = |counted, lo| {
            let lab = lab("perf-kprobe-record-10", |measured| {
                saw(measured, 98, Loss::NONE, Loss::NONE);
                measured.observation.counted = vec![Some(counted)].into();
                let promise = Promise::Confidence95;
                let estimate = EstimatedCalls { calls: 980.0, lo, hi: 1040.0, promise };
                measured.observation.estimates = vec![Some(estimate)].into();
            });
            of(&lab, "perf-kprobe-record-10")
        };
        let found = of(1000, 920.0);
        assert_eq!((found.recorded, found.counted), (Some(196), Some(2000)));
        // Two draws of ± 60 around 980 each.
        let half = 60.0 * f64::sqrt(2.0);
        let expected = Reconciliation::WithinInterval { lo: 1960.0 - half, hi: 1960.0 + half };
        assert_eq!(found.reconciles, expected);
        assert_eq!(of(999, 920.0).reconciles, Reconciliation::Differs { by: -2 });
    }

    #[test]
    fn shares_and_the_control_do_not_reconcile() {
        for method in ["off", "perf-sample-999-callchain"] {
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
        let mut lab = lab("bpf-fentry-count", |measured| saw(measured, 5, Loss::NONE, Loss::NONE));
        lab.design.target.functions[0].name = "tun_get_user".into();
        let found = of(&lab, "bpf-fentry-count");
        assert_eq!((found.truth, found.recorded, found.item.as_deref()), (None, None, None));
        assert!(matches!(found.reconciles, Reconciliation::NotApplicable { .. }), "{found:?}");
    }
}
