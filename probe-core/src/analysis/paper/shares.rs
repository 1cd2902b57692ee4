//! Statements about shares of CPU time.

use super::{
    CALLED_PER_KICK, Context,
    claim::{Claim, Draft, all as all_of, beside},
    ladder::Ladder,
    off,
    statements::{NO_HOGS, NO_SENDERS},
};
use crate::analysis::{
    binned::{self, Own},
    item::Item,
    pairs::TrialFilter,
    stretch::{Binned, Slice, ratio},
};
use crate::model::{
    method::{MethodId, SeriesUnit},
    paper::{Agreement, Statement},
    reason::Reason,
    subject::{self, Subject},
    trial::Measured,
};

const NO_PROFILER: &str =
    "no profiler that follows call chains ran: --method perf-sample-999-callchain is one";

/// The patterns of table 2, in which the paper profiled: VMs that communicate, VMs that load the
/// CPU.
const PATTERNS: [(&str, usize, usize); 6] =
    [("A", 2, 0), ("B", 4, 0), ("C", 8, 0), ("D", 2, 2), ("E", 2, 4), ("F", 2, 6)];

const SAMPLED: &str = "samples in a guest's own code are left out of the profile; the paper does \
                       not say what it did with them";

pub(super) fn all(context: &Context<'_>) -> Vec<Statement> {
    vec![four_functions(context), polling(context), alone(context)]
}

/// In each pattern separately: a mean over them could be right even if none is.
fn four_functions(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "four_functions_share",
        statement: "in each pattern four functions take most of the CPU time: entering guests, \
                    polling, handle_tx, handle_rx",
        place: "4.3, figure 6",
        paper: "about 90 %",
    };
    let roles = [subject::ENTER, subject::HALT, subject::SEND, subject::RECEIVE];
    let found: Option<Vec<Item<'_>>> = roles.iter().map(|role| first(context, role)).collect();
    let Some(four) = found else {
        return draft.not_here("the target does not have all four functions: --target paper does");
    };
    let Some(profiler) = profiler(context) else { return draft.not_here(NO_PROFILER) };
    let names: Vec<&str> = four.iter().map(|item| item.name).collect();
    let of_pattern = |(pattern, index): (&str, usize)| {
        let shares = |trial: &_| binned::shares(trial, &four);
        let figure = context.figure(&profiler, &[index], shares, ratio);
        beside(format!("share of {} in pattern {pattern}, %", names.join(" + ")), &profiler, figure)
    };
    let measured: Vec<_> = patterns(context).map(of_pattern).collect();
    if measured.is_empty() {
        let why = "no section is a pattern of the paper's table 2: the sections of paper-patterns \
                   are";
        return draft.not_here(why);
    }
    let near = Claim::Near { value: 90.0, by: 5.0 };
    draft.judged(near, measured.len(), measured, vec![SAMPLED.into()])
}

/// Sections with the same numbers of sending guests and of hogs as a pattern of table 2: its
/// letter, their indices.
fn patterns(context: &Context<'_>) -> impl Iterator<Item = (&'static str, usize)> {
    context.sections.iter().enumerate().filter_map(|(index, section)| {
        let same =
            |(_, senders, hogs): &&_| (section.senders, section.hogs) == (Some(*senders), *hogs);
        PATTERNS.iter().find(same).map(|(letter, ..)| (*letter, index))
    })
}

/// A profiler's share of a function.
fn share(function: Item<'_>, trial: &Measured) -> Result<Binned, Reason> {
    Own { function, unit: SeriesUnit::CpuShare }.share(trial)
}

fn polling(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "polling_falls_with_load",
        statement: "polling for idle VMs falls as load rises",
        place: "4.5",
        paper: "falls",
    };
    let Some(halt) = first(context, &subject::HALT) else {
        return draft.not_here("the target has neither kvm_vcpu_halt nor kvm_vcpu_block");
    };
    let Some(ladder) = Ladder::by_hogs(context.design, context.sections) else {
        return draft.not_here(NO_HOGS);
    };
    let Some(profiler) = profiler(context) else { return draft.not_here(NO_PROFILER) };
    let slope = |parts: &[Slice<'_>]| ladder.slope(ratio, parts);
    let figure = context.figure(&profiler, &ladder.sections, |trial| share(halt, trial), slope);
    let what = format!("share of {}, points per hog", halt.name);
    draft.judged(Claim::Falls, 1, vec![beside(what, &profiler, figure)], Vec::new())
}

/// The share changes by more than the margin while throughput stays within it.
fn alone(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "share_varies_alone",
        statement: "handle_tx's share of CPU time changes where throughput hardly does",
        place: "4.5, here A, B, C",
        paper: "changes greatly",
    };
    let Some(ladder) = Ladder::by_senders(context.design, context.sections) else {
        return draft.not_here(NO_SENDERS);
    };
    let Some(handler) = context.function(CALLED_PER_KICK) else {
        return draft.not_here("handle_tx is not in the target");
    };
    let Some(profiler) = profiler(context) else { return draft.not_here(NO_PROFILER) };
    let change = |parts: &[Slice<'_>]| ladder.change(ratio, parts);
    let share = context.figure(&profiler, &ladder.sections, |trial| share(handler, trial), change);
    let throughput = context.figure(&profiler, &ladder.sections, binned::throughput, change);
    let agrees = match Claim::Steady.judge(&throughput) {
        Agreement::No => {
            let why = "throughput itself changed with the number of guests that send";
            return draft.not_here(why);
        }
        steady => all_of([steady, opposite(Claim::Steady.judge(&share))]),
    };
    let measured = vec![
        beside("share from fewest to most senders, %", &profiler, share),
        beside("throughput from fewest to most senders, %", &profiler, throughput),
    ];
    draft.told(measured.len(), measured, agrees, Vec::new())
}

fn opposite(verdict: Agreement) -> Agreement {
    match verdict {
        Agreement::Yes => Agreement::No,
        Agreement::No => Agreement::Yes,
        other => other,
    }
}

/// The first of these functions that is in the target.
fn first<'a>(context: &'a Context<'_>, subject: &Subject) -> Option<Item<'a>> {
    subject.functions().find_map(|name| context.function(name))
}

/// The first profiler whose shares include what a function calls, which is visible if they differ
/// from its own share.
fn profiler(context: &Context<'_>) -> Option<MethodId> {
    let follows = |trial: &&Measured| {
        let mut series = trial.series.iter();
        series.any(|series| series.self_share.as_ref().is_some_and(|own| *own != series.values))
    };
    let profilers =
        context.design.methods.iter().filter(|method| method.unit == SeriesUnit::CpuShare);
    let mut ids = profilers.map(|method| &method.id).filter(|id| **id != off());
    ids.find(|id| {
        let chosen = context.trials.single(TrialFilter::FIDELITY, id);
        chosen.is_ok_and(|chosen| chosen.items.iter().any(follows))
    })
    .cloned()
}
