//! The whole summary of a campaign.

use super::{
    events::{self, Function},
    fidelity, interval,
    pairs::{Kind, Trials},
    toll,
};
use crate::model::{
    campaign::{Design, MethodSummary, Run, Summary},
    figure::Figure,
    method::{Descriptor, MethodId},
    target::Target,
    trial::{Outcome, Pace, Part, Trial, WitnessCounts},
    units::Nanos,
};

/// What follows from `trials`. Equal arguments give an equal summary.
pub fn summarize(design: &Design, runs: &[Run], trials: &[Trial], seed: u64) -> Summary {
    let trials = Trials { runs, all: trials };
    let headline = headline(&design.target, &trials);
    let bin = Nanos::from(design.scenario.bin);
    let of_method = |method: &Descriptor| {
        let fidelity = |function| fidelity::figures(&trials, method, function, bin, seed);
        let others = functions(&design.target).filter(|function| function.index != headline.index);
        MethodSummary {
            id: method.id.clone(),
            events: events::events(&trials, method, headline),
            toll: toll::figures(&trials, method, seed),
            fidelity: fidelity(headline),
            other_functions: others
                .map(|function| (function.name.to_owned(), fidelity(function)))
                .collect(),
        }
    };
    let mut methods: Vec<MethodSummary> = design.methods.iter().map(of_method).collect();
    adjust(&mut methods);
    Summary {
        headline_function: headline.name.to_owned(),
        methods,
        failed_trials: trials
            .all
            .iter()
            .filter(|trial| matches!(trial.outcome, Outcome::Failed { .. }))
            .count(),
        witness_worker_cpu_pct: witness_worker_cpu_pct(&trials, seed),
    }
}

fn functions(target: &Target) -> impl Iterator<Item = Function<'_>> {
    let named = target.functions.iter().map(|function| function.name.as_str());
    named.enumerate().map(|(index, name)| Function { index, name })
}

/// The target's first function that a witness counted; without any, its first.
fn headline<'a>(target: &'a Target, trials: &Trials<'_>) -> Function<'a> {
    let witnessed = |function: &Function<'_>| {
        trials.all.iter().any(|trial| match &trial.outcome {
            Outcome::Done(measured) => measured.witness.as_ref().is_some_and(|witness| {
                matches!(witness.functions.get(function.index), Some(WitnessCounts::Calls(_)))
            }),
            Outcome::Failed { .. } => false,
        })
    };
    functions(target)
        .find(witnessed)
        .or_else(|| functions(target).next())
        .unwrap_or(Function { index: 0, name: "" })
}

/// The witness's own toll: the control with it against the control without, where the campaign has both at one pace.
fn witness_worker_cpu_pct(trials: &Trials<'_>, seed: u64) -> Figure {
    let off = MethodId(MethodId::OFF.into());
    let paces = [
        (Part::Toll, Pace::Paced),
        (Part::Toll, Pace::Lockstep),
        (Part::Fidelity, Pace::Paced),
        (Part::Fidelity, Pace::Flat),
    ];
    let pairs = paces.into_iter().find_map(|(part, pace)| {
        let kind = |witnessed| Kind { part, pace: Some(pace), witnessed };
        trials.between(kind(false), &off, kind(true), &off).ok()
    });
    let pairs = pairs.ok_or("no block holds the control with and without witness at one pace");
    toll::worker_cpu_pct(pairs.map_err(Into::into), seed)
}

/// Holm over the methods, figure by figure: each figure is one family of questions.
fn adjust(methods: &mut [MethodSummary]) {
    let families: [fn(&mut MethodSummary) -> &mut Figure; 7] = [
        |method| &mut method.toll.kernel_ns_per_event,
        |method| &mut method.toll.worker_cpu_pct,
        |method| &mut method.toll.system_cpu_pct,
        |method| &mut method.toll.throughput_pct,
        |method| &mut method.fidelity.perturbation,
        |method| &mut method.fidelity.observation_loss,
        |method| &mut method.fidelity.fidelity_loss,
    ];
    for family in families {
        let mut p_values: Vec<&mut f64> = methods
            .iter_mut()
            .filter_map(|method| match family(method) {
                Figure::Known(estimate) => estimate.p.as_mut(),
                Figure::Null(_) => None,
            })
            .collect();
        let raw: Vec<f64> = p_values.iter().map(|p| **p).collect();
        for (p, adjusted) in p_values.iter_mut().zip(interval::holm(&raw)) {
            **p = adjusted;
        }
    }
}
