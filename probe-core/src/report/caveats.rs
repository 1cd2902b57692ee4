//! Caveats of a campaign, in sentences: numbers that are missing, and numbers that must be read
//! with care.

use std::collections::BTreeSet;

use super::{
    figures::{self, ShownFigure},
    grouped::{Group, Grouped},
    number::{Style, detectable, parts},
    program_runs,
    reasons::{self, kind, reason},
    remarks,
};
use crate::{
    analysis::{
        events::CALLED_PER_KICK,
        interval::{ALPHA, LEAST_BLOCKS},
    },
    model::{
        campaign::{Campaign, Design, MethodSummary, Reconciliation, Run, Unavailable},
        checks::{Along, Outlier, Quantity, Trend},
        counter::Counted,
        figure::{Absent, Figure, Platform},
        reason::{Reason, TrialKind},
        trial::{Outcome, Trial},
    },
};

/// All caveats, the most serious first.
pub(super) fn list(campaign: &Campaign) -> Vec<String> {
    let methods = &campaign.summary.methods;
    let mut all = Vec::from_iter(logging(&campaign.design));
    all.extend(counts(methods));
    all.extend(stand_ins(methods));
    all.extend(failed(&campaign.trials));
    all.extend(campaign.design.unavailable.iter().map(unavailable));
    all.extend(missing(methods));
    all.extend(undecided(methods));
    all.extend(notes(methods));
    all.extend(remarks::list(campaign));
    all.extend(trends(&campaign.summary.checks.trends));
    all.extend(outliers(&campaign.summary.checks.outliers));
    all.push(reference_price(&campaign.summary.reference_worker_cpu_pct));
    all.extend(reference(&campaign.runs));
    all.extend(shared(&campaign.design));
    all.extend(program_runs::caveat(campaign).map(str::to_owned));
    all.extend(programs(&campaign.design));
    all.extend(clocks(&campaign.runs));
    all
}

/// Counts that do not agree with what happened, or cannot be compared with it.
fn counts(methods: &[MethodSummary]) -> Vec<String> {
    methods
        .iter()
        .filter_map(|method| match &method.events.reconciles {
            Reconciliation::Differs { by } => Some(format!(
                "{} is off by {by:+} calls over the closed-loop trials: do not use its counts.",
                method.id
            )),
            Reconciliation::Unaccounted { n } => Some(format!(
                "{n} calls of the closed-loop trials are neither recorded by {} nor known to be \
                 lost: the kernel does not report everything that it misses.",
                method.id
            )),
            Reconciliation::OutsideInterval { lo, hi } => Some(format!(
                "The true count lies outside the 95 % interval of {}, [{lo:.0}, {hi:.0}]; that \
                 happens in one campaign of twenty.",
                method.id
            )),
            Reconciliation::NotApplicable { why } if !method.id.is_off() => Some(format!(
                "Counts of {} are not compared with the truth: {}.",
                method.id,
                reason(why)
            )),
            _ => None,
        })
        .collect()
}

/// Methods that see no functions, and the items that they show instead.
fn stand_ins(methods: &[MethodSummary]) -> Vec<String> {
    let mut grouped = Grouped::default();
    for method in methods {
        if let Some(item) = &method.shows_instead {
            grouped.add(item, item, method.id.to_string());
        }
    }
    let told = |Group { text, items, .. }: Group| {
        let own = match Counted::is_throughput(&text) {
            true => " That is the throughput itself, so it follows it by definition.",
            false => "",
        };
        format!(
            "Methods that cannot see {CALLED_PER_KICK}, and show {text} instead: {}.{own}",
            items.join(", ")
        )
    };
    grouped.into_groups().map(told).collect()
}

/// Failed trials, grouped by kind and reason.
fn failed(trials: &[Trial]) -> Vec<String> {
    let mut grouped = Grouped::default();
    for trial in trials {
        if let Outcome::Failed { why } = &trial.outcome {
            let kind = kind(TrialKind { part: trial.part, pace: Some(trial.pace) });
            grouped.add(
                why,
                &format!("{kind} of {}", trial.method),
                trial.block.saturating_add(1).to_string(),
            );
        }
    }
    let told = |Group { text, names, items }: Group| {
        let blocks = if items.len() == 1 { "block" } else { "blocks" };
        format!("Failed trials: {} in {blocks} {}: {text}.", names.join(", "), items.join(", "))
    };
    grouped.into_groups().map(told).collect()
}

fn unavailable(method: &Unavailable) -> String {
    let Unavailable { id, why, hint } = method;
    format!("{id} was left out: {why}. {hint}.")
}

/// Figures without a number.
fn missing(methods: &[MethodSummary]) -> Vec<String> {
    let mut grouped = Grouped::default();
    for (method, ShownFigure { name, figure, .. }) in all(methods) {
        match figure {
            Figure::Known(_) | Figure::Null(Absent { why: Reason::Baseline, .. }) => {}
            Figure::Null(absent) => {
                grouped.add(&reason(&absent.why), name, method.id.to_string());
            }
        }
    }
    let told = |Group { text, names, items }: Group| {
        format!("No {} for {}: {text}.", names.join(", "), several(&items, methods))
    };
    grouped.into_groups().map(told).collect()
}

/// Differences that may be zero, with the smallest effect that would have been detected.
fn undecided(methods: &[MethodSummary]) -> Vec<String> {
    let mut grouped = Grouped::default();
    for (method, ShownFigure { name, figure, style }) in all(methods) {
        let Some(estimate) = figure.known() else { continue };
        if estimate.p.is_some_and(|p| p >= ALPHA) {
            let unknown = || format!("unknown below {LEAST_BLOCKS} blocks");
            let seen = detectable(estimate, style).unwrap_or_else(unknown);
            grouped.add(name, name, format!("{} (d {seen})", method.id));
        }
    }
    let told = |Group { text, items, .. }: Group| {
        format!(
            "Not distinguishable from zero: {text} of {}. An effect smaller than d may exist.",
            items.join(", ")
        )
    };
    grouped.into_groups().map(told).collect()
}

/// Remarks that the analysis made on its figures.
fn notes(methods: &[MethodSummary]) -> Vec<String> {
    let mut grouped = Grouped::default();
    for (method, ShownFigure { name, figure, .. }) in all(methods) {
        for note in figure.known().into_iter().flat_map(|estimate| &estimate.notes) {
            grouped.add(&reasons::note(note), name, method.id.to_string());
        }
    }
    let told = |Group { text, names, items }: Group| {
        format!("{} of {}: {text}.", names.join(", "), several(&items, methods))
    };
    grouped.into_groups().map(told).collect()
}

/// The methods' ids, shortened if there are many.
fn several(ids: &[String], methods: &[MethodSummary]) -> String {
    const FEW: usize = 8;
    let known = methods.iter().filter(|method| !method.id.is_off());
    match ids.len() {
        n if n <= FEW => ids.join(", "),
        n if n >= known.count() => "every method".into(),
        n => {
            let told: Vec<&str> = ids.iter().take(FEW - 1).map(String::as_str).collect();
            format!("{} and {} more", told.join(", "), n.saturating_sub(told.len()))
        }
    }
}

/// Trends along the blocks, or along the places within them, beyond chance.
fn trends(trends: &[Trend]) -> Vec<String> {
    let mut grouped = Grouped::default();
    for trend in trends.iter().filter(|trend| trend.p < ALPHA) {
        let Trend { along, quantity, method, pct_per_step, .. } = trend;
        let quantity = match quantity {
            Quantity::WorkerNsPerKick => "worker CPU per kick",
            Quantity::WorkerNsPerFrame => "worker CPU per frame",
            Quantity::SaturatedThroughput => "saturated throughput",
            Quantity::FidelityThroughput => "throughput of the fidelity trials",
        };
        let (text, whose) = match (along, method) {
            (Along::Blocks, Some(method)) if !method.is_off() => {
                ("from block to block, against `off`", format!(" of {method}"))
            }
            (Along::Blocks, _) => ("from block to block", " of off".into()),
            (Along::Places, _) => ("from place to place within a block", String::new()),
        };
        grouped.add(text, &format!("{quantity}{whose} {pct_per_step:+.2} %"), String::new());
    }
    let told = |Group { text, names, .. }: Group| {
        format!(
            "A trend beyond chance {text}: {}. The order of methods is random, so it does not bias \
             the figures, but it widens their intervals.",
            names.join(", ")
        )
    };
    grouped.into_groups().map(told).collect()
}

/// Outliers, by block, since one disturbance often affects several figures.
fn outliers(outliers: &[Outlier]) -> Vec<String> {
    let mut grouped = Grouped::default();
    for Outlier { method, figure, block, .. } in outliers {
        let name = figure.rsplit('.').next().unwrap_or(figure);
        grouped.add(&format!("block {}", block.saturating_add(1)), name, method.to_string());
    }
    let told = |Group { text, names, items }: Group| {
        format!("{} of {} in {text}", names.join(", "), items.join(", "))
    };
    let told: Vec<String> = grouped.into_groups().map(told).collect();
    if told.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "Values far from those of the other blocks, which the figures include: {}.",
        told.join("; ")
    )]
}

fn reference_price(figure: &Figure) -> String {
    match (figure, parts(figure, Style::DIFFERENCE)) {
        (Figure::Known(_), Some([estimate, interval, n])) => format!(
            "The reference counter of the fidelity trials itself costs the worker {estimate} % per \
             frame, {interval}, {n}."
        ),
        (Figure::Null(absent), _) => {
            let why = reason(&absent.why);
            format!("The cost of the reference counter in the fidelity trials is unknown: {why}.")
        }
        (Figure::Known(_), None) => String::new(),
    }
}

/// Runs in which the reference counter did not count what the target did.
fn reference(runs: &[Run]) -> Vec<String> {
    let checks = runs.iter().flat_map(|run| &run.reference_checks);
    let wrong = checks.filter(|check| !check.holds()).map(|check| {
        format!(
            "The reference counter of {} counted {} calls, but the function had {}: do not trust \
             r_0 and r_w of that run.",
            check.function, check.reference, check.target
        )
    });
    wrong.collect()
}

fn shared(design: &Design) -> Option<String> {
    design.shared_target.then(|| {
        "Another tracer held the target, and the run continued because of --allow-shared: the \
         costs of ftrace-based methods are not their own."
            .into()
    })
}

/// This warning is also on the first screen.
pub(super) fn logging(design: &Design) -> Option<String> {
    design.bpf_log.then(|| {
        "Not a measurement: kernel programs logged (--bpf-log), and each line costs time. The \
         lines are in the journal, with each trial."
            .into()
    })
}

fn programs(design: &Design) -> Option<String> {
    let sha256 = design.object.as_ref()?;
    Some(format!(
        "The kernel programs are not those built into tracetoll {}, but come from a file with \
         SHA-256 {sha256} (--object).",
        design.version
    ))
}

/// What the clocks do not include.
fn clocks(runs: &[Run]) -> Vec<String> {
    let platforms: BTreeSet<Platform> = runs.iter().map(|run| run.platform).collect();
    platforms.into_iter().filter_map(|platform| clock(platform, runs)).collect()
}

fn clock(platform: Platform, runs: &[Run]) -> Option<String> {
    Some(match platform {
        Platform::Native => return older(runs),
        Platform::Virtual => "Clock `virtual`: the wall clock of real processors under a \
                              hypervisor. Timers, interrupts and page tables pass through it, so \
                              costs on a host without one differ."
            .into(),
        Platform::Counted => "Clock `counted`: a nanosecond is a fixed number of instructions, on \
                              one clock for all virtual CPUs. It does not include caches, \
                              frequency or contention between CPUs."
            .into(),
        Platform::Emulated => "Clock `emulated`: the wall clock of an emulated CPU. Its costs are \
                               not in the proportions of hardware."
            .into(),
        Platform::Unknown => {
            let processors = runs.iter().filter_map(|run| run.host.processor.as_ref());
            let doubts: BTreeSet<&str> =
                processors.filter_map(|processor| processor.doubt.as_deref()).collect();
            let why = match doubts.is_empty() {
                true => String::new(),
                false => format!(" ({})", doubts.into_iter().collect::<Vec<_>>().join("; ")),
            };
            format!(
                "Clock `unknown`: it is not proven to be that of a real processor{why}. Its costs \
                 may not be in the proportions of hardware."
            )
        }
    })
}

/// Version 0.1 called virtual machines `native` too.
pub(super) fn older(runs: &[Run]) -> Option<String> {
    let under_one = |run: &Run| {
        let Run { platform, host, .. } = run;
        *platform == Platform::Native && host.processor.is_none() && host.hypervisor.is_some()
    };
    runs.iter().any(under_one).then(|| {
        "Clock `native` of a virtual machine: the version of tracetoll that measured this did not \
         distinguish virtual machines from hosts. Take its costs as `virtual`."
            .into()
    })
}

fn all(methods: &[MethodSummary]) -> impl Iterator<Item = (&MethodSummary, ShownFigure<'_>)> {
    methods.iter().flat_map(|method| figures::of(method).map(move |named| (method, named)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::method::MethodId;

    #[test]
    fn trends_beyond_chance_are_told_together_and_others_are_not() {
        let trend = |along, quantity, method: Option<&str>, p| Trend {
            along,
            quantity,
            method: method.map(|id| MethodId(id.into())),
            pct_per_step: -0.456,
            n: 12,
            p,
        };
        let told = trends(&[
            trend(Along::Blocks, Quantity::WorkerNsPerKick, Some("off"), 0.01),
            trend(Along::Blocks, Quantity::SaturatedThroughput, Some("off"), 0.049),
            trend(Along::Blocks, Quantity::WorkerNsPerKick, Some("ftrace-function"), 0.001),
            trend(Along::Places, Quantity::WorkerNsPerFrame, None, 0.051),
        ]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with(
                "A trend beyond chance from block to block: worker CPU per kick of off -0.46 %, \
                 saturated throughput of off -0.46 %."
            ),
            "{told:?}"
        );
        assert!(told[1].contains("against `off`: worker CPU per kick of ftrace-function"));
    }

    #[test]
    fn values_that_stand_apart_are_told_by_block() {
        let outlier = |method: &str, figure: &str, block| Outlier {
            method: MethodId(method.into()),
            figure: figure.into(),
            block,
            deviations: 9.0,
        };
        let told = outliers(&[
            outlier("a", "overhead.worker_cpu_pct", 2),
            outlier("a", "overhead.throughput_pct", 2),
            outlier("b", "fidelity.r_m", 0),
        ]);
        assert_eq!(
            told,
            ["Values far from those of the other blocks, which the figures include: \
              worker_cpu_pct, throughput_pct of a in block 3; r_m of b in block 1."]
        );
        assert!(outliers(&[]).is_empty());
    }
}
