//! Computes the whole summary of a campaign.

use std::collections::BTreeMap;

use super::{
    baseline,
    blocks::Blocks,
    durations,
    estimate::figure,
    events, fidelity,
    figures::{self, table},
    interval,
    item::{Item, Items},
    order, outliers,
    pairs::{TrialFilter, Trials},
    paper, program_runs, rtt, sections, sizes,
};
use crate::model::{
    campaign::{Design, MethodSummary, Run, Summary},
    checks::Checks,
    figure::Figure,
    item::ItemId,
    method::{Descriptor, MethodId},
    reason::Reason,
    trial::{Outcome, Pace, Part, ReferenceCounts, Trial},
    units::Nanos,
};

/// The summary of `trials`. Equal arguments give an equal summary.
pub fn summarize(design: &Design, runs: &[Run], trials: &[Trial], seed: u64) -> Summary {
    let trials = Trials { runs, all: &baseline::pooled(trials) };
    let items = Items::of(&design.target);
    let headline = headline(&items, &trials);
    let bin = Nanos::from(design.scenario.bin);
    let of_method = |method: &Descriptor| {
        let fidelity = |function| fidelity::figures(&trials, method, function, bin, seed);
        let others = items.functions().filter(|function| function.id != headline.id);
        MethodSummary {
            id: method.id.clone(),
            shows_instead: shows_instead(&trials, method, &items),
            events: events::events(&trials, method, &items),
            overhead: figures::overhead(&trials, method, items.kicked().is_some(), seed),
            durations: durations::figures(&trials, method, &items),
            program_runs: program_runs::figures(&trials, method, items.kicked().is_some(), seed),
            by_size: sizes::figures(&trials, method, items.functions().count(), seed),
            fidelity: fidelity(headline),
            other_functions: others
                .map(|function| (function.name.to_owned(), fidelity(function)))
                .collect(),
            rtt: rtt::figures(&trials, method, headline, seed),
        }
    };
    let mut methods: Vec<MethodSummary> = design.methods.iter().map(of_method).collect();
    adjust(&mut methods);
    let sections = sections::figures(design, &trials, &items, seed);
    let paper = paper::statements(&paper::Context {
        design,
        trials: &trials,
        items: &items,
        methods: &methods,
        sections: &sections,
        seed,
    });
    let checks = Checks {
        trends: order::trends(&trials, &design.methods),
        outliers: outliers::outliers(&methods, &Blocks::of(design, trials, headline.name)),
    };
    Summary {
        headline_function: headline.name.to_owned(),
        methods,
        failed_trials: trials
            .all
            .iter()
            .filter(|trial| matches!(trial.outcome, Outcome::Failed { .. }))
            .count(),
        reference_worker_cpu_pct: reference_worker_cpu_pct(&trials, seed),
        sections,
        paper,
        checks,
    }
}

/// What the method shows instead of calls, in any of its trials.
fn shows_instead(trials: &Trials<'_>, method: &Descriptor, items: &Items) -> Option<String> {
    let done = trials.done(&method.id).map(|(.., measured)| measured);
    items.instead(method, done).map(str::to_owned)
}

/// The function that each kick calls, if the target has it with a reference counter; otherwise the
/// first function that a reference counter counted; otherwise the first function.
fn headline<'a>(items: &'a Items, trials: &Trials<'_>) -> Item<'a> {
    let with_reference = |function: &Item<'_>| {
        trials.all.iter().any(|trial| match &trial.outcome {
            Outcome::Done(measured) => measured.reference.as_ref().is_some_and(|reference| {
                matches!(reference.functions.get(function.id.0), Some(ReferenceCounts::Calls(_)))
            }),
            Outcome::Failed { .. } => false,
        })
    };
    items
        .kicked()
        .filter(with_reference)
        .or_else(|| items.functions().find(with_reference))
        .or_else(|| items.functions().next())
        .unwrap_or(Item { id: ItemId::FIRST, name: "" })
}

/// The reference counter's own overhead: the baseline with it against the baseline without it, if
/// the campaign has both at the same pace.
fn reference_worker_cpu_pct(trials: &Trials<'_>, seed: u64) -> Figure {
    let off = MethodId(MethodId::OFF.into());
    let paces = [
        (Part::Overhead, Pace::Paced),
        (Part::Overhead, Pace::ClosedLoop),
        (Part::Fidelity, Pace::Paced),
        (Part::Fidelity, Pace::Saturated),
    ];
    let pairs = paces.into_iter().find_map(|(part, pace)| {
        let kind = |with_reference| TrialFilter {
            part,
            pace: Some(pace),
            with_reference,
            functions: None,
        };
        trials.between(kind(false), &off, kind(true), &off).ok()
    });
    let row = table::WORKER_CPU_PCT;
    figure(figures::of_pairs(row, pairs.ok_or(Reason::NoReferencePair)), row.scale, seed)
}

/// Applies Holm over the methods, figure by figure: each figure, for each function and each number
/// of functions, is one family of tests.
fn adjust(methods: &mut [MethodSummary]) {
    let mut families: BTreeMap<String, Vec<&mut f64>> = BTreeMap::new();
    for (path, p) in methods.iter_mut().flat_map(figures::p_values) {
        families.entry(path).or_default().push(p);
    }
    for family in families.into_values() {
        let raw: Vec<f64> = family.iter().map(|p| **p).collect();
        for (p, adjusted) in family.into_iter().zip(interval::holm(&raw)) {
            *p = adjusted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::figures::table::KERNEL_NS_PER_EVENT;
    use crate::{
        analysis::{
            fixture::{Lab, campaign, exchanged, shows},
            merge::{Source, merge},
        },
        model::{
            campaign::Reconciliation,
            counter::Counted,
            figure::Platform,
            method::{Class, Family, SeriesUnit},
            note::Note,
        },
    };

    const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);
    const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Saturated);
    const COUNT: &str = "bpf-fentry-count";
    const TRACER: &str = "ftrace-function";

    /// Five blocks; the counter costs `200 ± 10` ns, the tracer `5 ± 10`.
    fn lab() -> Lab {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for (block, wobble) in (0..).zip([0, 20, 10, 5, 15]) {
            for (method, cost) in [("off", 0), (COUNT, 190 + wobble), (TRACER, wobble - 5)] {
                lab.done(block, CLOSED_LOOP, method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos(u64::try_from(8000 + cost).unwrap() * 1000);
                });
                lab.done(block, FIDELITY, method, |measured| {
                    let exchanges = usize::try_from(wobble / 5).unwrap();
                    let bins = exchanged(exchanges);
                    shows(measured, &exchanged(1), (method != "off").then_some((&bins, 1.0)));
                });
            }
        }
        lab
    }

    fn summary(lab: &Lab) -> Summary {
        summarize(&lab.design, &lab.runs, &lab.trials, 1)
    }

    #[test]
    fn each_method_is_there_in_the_designs_order_with_the_other_functions_apart() {
        let summary = summary(&lab());
        let ids: Vec<_> = summary.methods.iter().map(|method| method.id.0.as_str()).collect();
        assert_eq!(ids[..3], ["off", COUNT, TRACER]);
        assert_eq!(ids.len(), 5);
        assert_eq!(summary.headline_function, "handle_tx");
        assert!(summary.methods[1].other_functions.contains_key("handle_rx"));
        // A method that never ran has reasons instead of numbers.
        let never = serde_json::to_string(&summary.methods[3].overhead).unwrap();
        assert!(!never.contains("\"lo\""), "{never}");
    }

    #[test]
    fn the_headline_is_the_first_function_that_has_a_reference() {
        let mut lab = lab();
        lab.design.target.functions.swap(0, 1);
        for trial in &mut lab.trials {
            let Outcome::Done(measured) = &mut trial.outcome else { continue };
            if let Some(reference) = &mut measured.reference {
                reference.functions.swap(0, 1);
            }
        }
        assert_eq!(summary(&lab).headline_function, "handle_tx");
        assert_eq!(summary(&Lab::new()).headline_function, "handle_tx");
        // Also if another function with a reference counter comes before it, as in the paper's
        // order.
        for trial in &mut lab.trials {
            let Outcome::Done(measured) = &mut trial.outcome else { continue };
            if let Some(reference) = &mut measured.reference {
                reference.functions[0] = reference.functions[1].clone();
            }
        }
        assert_eq!(summary(&lab).headline_function, "handle_tx");
    }

    /// It costs nothing per call, is correlated with throughput, and is never taken for calls; its
    /// journal can be merged.
    #[test]
    fn a_counter_is_shown_as_what_it_counts() {
        let mut lab = lab();
        let of = Counted::RunTime;
        let counter = &mut lab.design.methods[2];
        (counter.family, counter.class) = (Family::Counters, Class::Inferred);
        counter.unit = SeriesUnit::Counter { of };
        for trial in lab.trials.iter_mut().filter(|trial| trial.method.0 == TRACER) {
            let Outcome::Done(measured) = &mut trial.outcome else { panic!("it was done") };
            measured.observation.recorded = vec![None, None, None].into();
            for series in &mut measured.series {
                of.name().clone_into(&mut series.function);
            }
        }
        let source = Source { name: "a.jsonl".into(), lines: lab.journal() };
        let merged = merge(vec![source]).unwrap().summary;
        assert_eq!(merged.failed_trials, 0);
        let method = &merged.methods[2];
        assert_eq!(method.shows_instead.as_deref(), Some(of.name()));
        let not_calls = Reason::NotCalls { item: of.name().into() };
        let why = not_calls.clone();
        assert_eq!(method.events.reconciles, Reconciliation::NotApplicable { why });
        assert_eq!(*method.fidelity.figures.of(table::SERIES_ERROR), Figure::null(not_calls));
        let r_m = method.fidelity.figures.of(table::R_M).known().unwrap();
        let note = Note::StandsIn { item: of.name().into() };
        assert!(r_m.estimate > 0.5 && r_m.notes.contains(&note), "{r_m:?}");
        let cost = method.overhead.of(KERNEL_NS_PER_EVENT).known().unwrap();
        assert!(cost.lo < Some(0.0) && cost.hi > Some(0.0), "{cost:?}");
    }

    #[test]
    fn p_values_are_adjusted_over_the_methods_of_one_figure() {
        let lab = lab();
        let summary = summary(&lab);
        let alone = |id| {
            let figures = figures::overhead(&lab.trials(), lab.method(id), true, 1);
            figures.of(KERNEL_NS_PER_EVENT).known().unwrap().p.unwrap()
        };
        let together = |index: usize| {
            summary.methods[index].overhead.of(KERNEL_NS_PER_EVENT).known().unwrap().p.unwrap()
        };
        assert!(alone(COUNT) < alone(TRACER), "{} {}", alone(COUNT), alone(TRACER));
        assert_eq!(together(1), 2.0 * alone(COUNT));
        assert_eq!(together(2), alone(TRACER));
    }

    /// Each is a separate claim: none may remain unadjusted because a list forgot it.
    #[test]
    fn every_p_of_a_summary_is_adjusted() {
        let mut methods = campaign().summary.methods;
        let (mut first, second) = (methods.remove(1), methods.remove(1));
        first.other_functions.insert("handle_rx".into(), first.fidelity.clone());
        let mut twice = [first.clone(), MethodSummary { id: second.id, ..first }];
        let p = |methods: &mut [MethodSummary]| -> Vec<f64> {
            methods.iter_mut().flat_map(figures::p_values).map(|(_, p)| *p).collect()
        };
        for (_, p) in twice.iter_mut().flat_map(figures::p_values) {
            *p = 0.01;
        }
        let before = p(&mut twice);
        assert!(before.len() > 20, "{before:?}");
        adjust(&mut twice);
        assert_eq!(p(&mut twice), vec![0.02; before.len()]);
    }

    #[test]
    fn the_reference_is_priced_where_the_control_ran_with_and_without_it() {
        let mut lab = lab();
        let figure = summary(&lab).reference_worker_cpu_pct;
        assert_eq!(figure, Figure::null(Reason::NoReferencePair));
        for block in 0..3 {
            for (with_reference, ns) in [(false, 100_000), (true, 103_000)] {
                let trial = lab.done(block, (Part::Overhead, Pace::Paced), "off", |measured| {
                    measured.sent.frames = 1000;
                    measured.cpu.workers[0] = Nanos(ns * 1000);
                });
                trial.with_reference = with_reference;
            }
        }
        let figure = summary(&lab).reference_worker_cpu_pct;
        let found = figure.known().unwrap();
        assert!((found.estimate - 3.0).abs() < 1e-9 && found.n == 3, "{found:?}");
    }

    #[test]
    fn the_order_in_which_trials_ended_does_not_matter_and_the_seed_decides_the_rest() {
        let mut lab = lab();
        lab.failed(9, CLOSED_LOOP, TRACER, "a reason");
        let before = summary(&lab);
        assert_eq!(before.failed_trials, 1);
        lab.trials.reverse();
        assert_eq!(summary(&lab), before);
        // One block left: its intervals come from resampling.
        lab.trials.retain(|trial| trial.block == 0);
        lab.design.methods.truncate(2);
        let drawn = |seed| summarize(&lab.design, &lab.runs, &lab.trials, seed);
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
