//! Statements about throughput, calls and round-trip times.

use super::{
    CALLED_PER_KICK, Context,
    claim::{Claim, Draft, MARGIN_PCT, all as all_of, beside, interval},
    ladder::{Ladder, Level, number, step},
    off,
};
use crate::analysis::figures::table::{R_0, R_M};
use crate::analysis::{
    binned,
    interval::{ALPHA, Interval},
    item::Item,
    stretch::{Slice, deviation, ratio, variation},
};
use crate::model::{
    campaign::MethodSummary,
    figure::Figure,
    figures::Figures,
    method::SeriesUnit,
    paper::{Agreement, Beside, Statement},
};

/// The paper's r, and the widest interval that can agree with it.
const R: Claim = Claim::Is { value: 0.605, widest: 0.6 };

/// The tracer with which the paper counted calls.
const TRACER: &str = "ftrace-function";

pub(super) const NO_HOGS: &str =
    "no two sections differ only in hogs: the sections of paper-fig8 and paper-patterns do";
pub(super) const NO_SENDERS: &str = "no two sections without hogs differ in the number of guests \
                                     that send: the sections of paper-patterns do";
const NO_HANDLER: &str = "neither handle_tx nor handle_rx is in the target";

pub(super) fn all(context: &Context<'_>) -> Vec<Statement> {
    vec![
        correlation(context),
        throughput_over_hogs(
            context,
            Draft {
                id: "throughput_falls_with_hogs",
                statement: "throughput falls as VMs that load the CPU are added",
                place: "4.3, figure 5; 4.4, figure 8",
                paper: "falls",
            },
            Claim::Falls,
            &[("throughput per hog, % of that with the fewest", ratio)],
        ),
        throughput_over_hogs(
            context,
            Draft {
                id: "spread_grows_with_hogs",
                statement: "throughput swings more as load is added, while it falls",
                place: "4.3, figure 5",
                paper: "grows",
            },
            Claim::Grows,
            &[
                ("throughput's sd per hog, % of that with the fewest", deviation),
                ("sd/mean per hog, %, which also grows if only the mean falls", variation),
            ],
        ),
        calls_over_hogs(context),
        throughput_over_senders(context),
        calls_over_senders(context),
        odd_rise(context),
        rtt(context),
    ]
}

/// Equation 1 over the whole schedule; if the paper's own tracer ran, it decides.
fn correlation(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "r_calls_throughput",
        statement: "calls of handle_tx and throughput are correlated, bin by bin",
        place: "4.4, equation 1",
        paper: "r = 0.605",
    };
    let Some(ladder) = Ladder::by_hogs(context.design, context.sections) else {
        return draft.not_here(NO_HOGS);
    };
    if context.function(CALLED_PER_KICK).is_none() {
        return draft.not_here("handle_tx is not in the target");
    }
    let mut measured: Vec<Beside> = context
        .methods
        .iter()
        .map(|method| {
            let of = of_handle_tx(method);
            let figure = of.of(if method.id.is_off() { R_0 } else { R_M });
            let what = if method.id.is_off() {
                "r by the reference counter"
            } else {
                series(context, method)
            };
            Beside { is_correlation: true, ..beside(what, &method.id, figure.clone()) }
        })
        .filter(|beside| beside.method.is_off() || beside.figure.known().is_some())
        .collect();
    measured.sort_by_key(|beside| beside.method.0 != TRACER || beside.figure.known().is_none());
    draft.judged(
        R,
        1,
        measured,
        ladder.ends().and_then(|ends| context.batching(ends)).into_iter().collect(),
    )
}

/// What the method's series counts; what stands in for calls is in the figure's notes.
fn series(context: &Context<'_>, method: &MethodSummary) -> &'static str {
    let described = context.design.methods.iter().find(|known| known.id == method.id);
    match described.map(|described| described.unit) {
        Some(SeriesUnit::CpuShare) => "r of its shares of CPU time",
        Some(SeriesUnit::Calls { .. }) => "r of its calls",
        Some(SeriesUnit::Counter { .. } | SeriesUnit::Nothing) | None => "r of its series",
    }
}

/// `fidelity` is about the headline function; all others are in `other_functions`.
fn of_handle_tx(method: &MethodSummary) -> &Figures {
    &method.other_functions.get(CALLED_PER_KICK).unwrap_or(&method.fidelity).figures
}

/// Of the levels, the first decides.
fn throughput_over_hogs(
    context: &Context<'_>,
    draft: Draft,
    claim: Claim,
    levels: &[(&'static str, Level)],
) -> Statement {
    let Some(ladder) = Ladder::by_hogs(context.design, context.sections) else {
        return draft.not_here(NO_HOGS);
    };
    let of = |(what, level): &(&'static str, Level)| {
        let slope = |parts: &[Slice<'_>]| ladder.relative_slope(*level, parts);
        let figure = context.figure(&off(), &ladder.sections, binned::throughput, slope);
        beside(*what, &off(), figure)
    };
    let remarks = ladder.ends().and_then(|ends| context.sink_waits(ends)).into_iter().collect();
    draft.judged(claim, 1, levels.iter().map(of).collect(), remarks)
}

fn calls_over_hogs(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "calls_fall_with_hogs",
        statement: "calls of handle_tx and handle_rx fall as VMs that load the CPU are added",
        place: "4.4, figure 7",
        paper: "fall",
    };
    let Some(ladder) = Ladder::by_hogs(context.design, context.sections) else {
        return draft.not_here(NO_HOGS);
    };
    let slope = |parts: &[Slice<'_>]| ladder.relative_slope(ratio, parts);
    let of = |handler: Item<'_>| {
        let calls = |trial: &_| binned::calls(trial, handler);
        let figure = context.figure(&off(), &ladder.sections, calls, slope);
        beside(
            format!(
                "calls of {} per hog, % of those with the \
                        fewest",
                handler.name
            ),
            &off(),
            figure,
        )
    };
    calls(context, draft, Claim::Falls, &ladder, of)
}

fn throughput_over_senders(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "throughput_steady_over_senders",
        statement: "total throughput hardly changes with the number of VMs that communicate",
        place: "4.3, patterns A, B, C",
        paper: "about 9.2 Gbit/s in all, in each of them",
    };
    let Some(ladder) = Ladder::by_senders(context.design, context.sections) else {
        return draft.not_here(NO_SENDERS);
    };
    let change = |parts: &[Slice<'_>]| ladder.change(ratio, parts);
    let figure = context.figure(&off(), &ladder.sections, binned::throughput, change);
    let measured = vec![beside("change from fewest to most senders, %", &off(), figure)];
    let remarks = ladder.ends().and_then(|ends| context.sink_waits(ends)).into_iter().collect();
    draft.judged(Claim::Steady, 1, measured, remarks)
}

fn calls_over_senders(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "calls_steady_over_senders",
        statement: "calls of handle_tx and handle_rx hardly change with the number of VMs that \
                    communicate",
        place: "4.4, figure 7",
        paper: "little influence",
    };
    let Some(ladder) = Ladder::by_senders(context.design, context.sections) else {
        return draft.not_here(NO_SENDERS);
    };
    let change = |parts: &[Slice<'_>]| ladder.change(ratio, parts);
    let of = |handler: Item<'_>| {
        let calls = |trial: &_| binned::calls(trial, handler);
        let figure = context.figure(&off(), &ladder.sections, calls, change);
        beside(format!("calls of {} from fewest to most senders, %", handler.name), &off(), figure)
    };
    calls(context, draft, Claim::Steady, &ladder, of)
}

fn calls<'a>(
    context: &'a Context<'_>,
    draft: Draft,
    claim: Claim,
    ladder: &Ladder,
    of: impl Fn(Item<'a>) -> Beside,
) -> Statement {
    let measured: Vec<Beside> = context.handlers().into_iter().map(of).collect();
    if measured.is_empty() {
        return draft.not_here(NO_HANDLER);
    }
    let remarks = ladder.ends().and_then(|ends| context.batching(ends)).into_iter().collect();
    draft.judged(claim, measured.len(), measured, remarks)
}

/// A step of the schedule at which calls rise by more than the margin while throughput does not
/// rise by as much.
fn odd_rise(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "odd_rise",
        statement: "in one section calls of handle_tx rise while throughput does not",
        place: "4.4, figure 8, 50-75 s",
        paper: "rise from the second to the third section",
    };
    let Some(ladder) = Ladder::by_hogs(context.design, context.sections) else {
        return draft.not_here(NO_HOGS);
    };
    let Some(handler) = context.function(CALLED_PER_KICK) else {
        return draft.not_here("handle_tx is not in the target");
    };
    let rises: Vec<[usize; 2]> = ladder.rises().collect();
    // Bonferroni: chance alone finds a rise at any of the steps in at most one campaign of twenty.
    let alpha = ALPHA / number(rises.len().max(1));
    let steps: Vec<Step> =
        rises.iter().map(|&sections| Step::of(context, handler, sections, alpha)).collect();
    let found = steps.iter().find(|step| step.verdict() == Agreement::Yes);
    let largest = || steps.iter().max_by(|a, b| a.rise().total_cmp(&b.rise()));
    let Some(shown) = found.or_else(largest) else {
        return draft
            .not_here("no section has more hogs than the one before it: in paper-fig8 each has");
    };
    // One step is enough to support the statement; all must contradict it.
    let agrees = match found {
        Some(_) => Agreement::Yes,
        None if steps.iter().all(|step| step.verdict() == Agreement::No) => Agreement::No,
        None => Agreement::CannotTell,
    };
    let looked = format!(
        "{} steps tested, each with an interval at {:.1} %, so that all of them hold together at \
         95 %",
        steps.len(),
        100.0 * (1.0 - alpha)
    );
    let remarks = context.batching(shown.sections).into_iter().chain([looked]).collect();
    let measured = shown.measured(context);
    draft.told(measured.len(), measured, agrees, remarks)
}

/// A step from one section to the next, which has more hogs.
struct Step {
    sections: [usize; 2],
    calls: Figure,
    throughput: Figure,
}

impl Step {
    fn of(context: &Context<'_>, handler: Item<'_>, sections: [usize; 2], alpha: f64) -> Self {
        let change = |parts: &[Slice<'_>]| step(ratio, parts);
        let calls = |trial: &_| binned::calls(trial, handler);
        Self {
            sections,
            calls: context.figure_at(alpha, (&off(), &sections), calls, change),
            throughput: context.figure_at(alpha, (&off(), &sections), binned::throughput, change),
        }
    }

    fn verdict(&self) -> Agreement {
        let calls = match interval(&self.calls) {
            Some(Interval { lo, .. }) if lo > MARGIN_PCT => Agreement::Yes,
            Some(Interval { hi, .. }) if hi <= MARGIN_PCT => return Agreement::No,
            _ => Agreement::CannotTell,
        };
        let throughput = match interval(&self.throughput) {
            Some(Interval { hi, .. }) if hi < MARGIN_PCT => Agreement::Yes,
            Some(Interval { lo, .. }) if lo >= MARGIN_PCT => Agreement::No,
            _ => Agreement::CannotTell,
        };
        all_of([calls, throughput])
    }

    fn rise(&self) -> f64 {
        self.calls.known().map_or(f64::NEG_INFINITY, |found| found.estimate)
    }

    fn measured(&self, context: &Context<'_>) -> Vec<Beside> {
        let [from, to] = self.sections.map(|index| context.label(index));
        let what = |of| format!("{of}, `{from}` to `{to}`, %");
        vec![
            beside(what("calls"), &off(), self.calls.clone()),
            beside(what("throughput"), &off(), self.throughput.clone()),
        ]
    }
}

/// The expectation in section 3.2.
fn rtt(context: &Context<'_>) -> Statement {
    let draft = Draft {
        id: "timestamps_tell_rtt",
        statement: "times of function calls tell the trend of the round-trip time",
        place: "3.2",
        paper: "expected, not measured",
    };
    let measured: Vec<Beside> = context
        .methods
        .iter()
        .filter_map(|method| {
            let found = method.rtt.as_ref()?;
            let figure = found.r_m.as_ref().unwrap_or(&found.r_w);
            let what = format!("r(time between calls of {}, rtt)", found.function);
            Some(Beside { is_correlation: true, ..beside(what, &method.id, figure.clone()) })
        })
        .filter(|beside| beside.method.is_off() || beside.figure.known().is_some())
        .collect();
    if !measured.first().is_some_and(|beside| beside.method.is_off()) {
        return draft.not_here("no guest reported a round-trip time under off");
    }
    let remarks =
        vec!["rtt is the sending sockets' own estimate (TCP_INFO), smoothed by TCP".into()];
    draft.judged(Claim::Grows, 1, measured, remarks)
}
