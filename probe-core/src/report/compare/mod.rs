//! A comparison of two campaigns, for people and programs.

pub mod bmf;
pub mod markdown;
pub mod text;

use std::collections::BTreeSet;

use super::{
    grouped::Grouped,
    number::{Style, nanoseconds, parts},
    reasons,
};
use crate::{
    analysis::{
        compare::{Answer, Basis, Change, Comparison, Judged, Judgement, Unit, Verdict},
        doubt::Doubt,
    },
    model::{
        figure::{Estimate, Figure},
        reason::Reason,
    },
};

/// What one row of a table says of one figure.
struct Row {
    base: String,
    new: String,
    difference: String,
    interval: String,
    verdict: String,
}

impl Row {
    fn of(change: &Change) -> Self {
        let level = |estimate: &Estimate| {
            written(estimate.clone(), style(change)).map_or("-".into(), |[number, ..]| number)
        };
        let found = &change.difference;
        let difference = Estimate {
            estimate: found.difference,
            lo: found.lo,
            hi: found.hi,
            ..change.new.clone()
        };
        let signed = Style { signed: true, ..style(change) };
        let [number, interval, _] = written(difference, signed).unwrap_or_default();
        let share = change.difference_pct.map(|pct| format!(" ({pct:+.1} %)"));
        Self {
            base: level(&change.base),
            new: level(&change.new),
            difference: number + &share.unwrap_or_default(),
            interval: if found.lo.is_some() { interval } else { "-".into() },
            verdict: verdict(change),
        }
    }
}

fn written(estimate: Estimate, style: Style) -> Option<[String; 3]> {
    parts(&Figure::Known(estimate), style)
}

/// Levels are written as in a campaign's own tables: with a sign where they are differences from
/// the control.
fn style(change: &Change) -> Style {
    match change.unit {
        Unit::Ns | Unit::PerCentOfControl => Style::DIFFERENCE,
        Unit::Correlation => Style::CORRELATION,
        _ => Style::LEVEL,
    }
}

fn verdict(change: &Change) -> String {
    match change.verdict {
        Verdict::Worse => "worse".into(),
        Verdict::Better => "better".into(),
        Verdict::CannotTell => "cannot tell".into(),
        Verdict::Same { within } => match change.unit {
            unit if unit.is_amount() && change.base.estimate != 0.0 => {
                format!("same within {:.1} %", 100.0 * within / change.base.estimate.abs())
            }
            // The figure's name holds the unit.
            Unit::Correlation => format!("same within {within:.3}"),
            Unit::SecondsPerSecond => format!("same within {within:.4}"),
            _ => format!("same within {within:.2}"),
        },
    }
}

/// An amount of the figure, with its unit.
fn amount(change: &Change, value: f64) -> String {
    match change.unit {
        Unit::Ns => format!("{value:.1} {}", nanoseconds(Some(change.platform))),
        Unit::PerCentOfControl | Unit::PerCent => format!("{value:.2} points"),
        Unit::SecondsPerSecond => format!("{value:.4} s per s"),
        Unit::Micros => format!("{value:.2} µs"),
        Unit::Kib => format!("{value:.1} KiB"),
        Unit::KibPerSecond => format!("{value:.1} KiB per s"),
        Unit::PerSecond => format!("{value:.1} per s"),
        Unit::Correlation => format!("{value:.3}"),
    }
}

/// How many figures came to what, in one sentence.
fn counts(comparison: &Comparison) -> String {
    let count = |is: fn(&Verdict) -> bool| {
        comparison.changes.iter().filter(|change| is(&change.verdict)).count()
    };
    format!(
        "Figures: {}; worse {}, better {}, the same {}, not to be told {}.",
        comparison.changes.len(),
        count(|verdict| *verdict == Verdict::Worse),
        count(|verdict| *verdict == Verdict::Better),
        count(|verdict| matches!(verdict, Verdict::Same { .. })),
        count(|verdict| *verdict == Verdict::CannotTell)
    )
}

/// What the intervals rest on, and what is missing, in sentences.
fn caveats(comparison: &Comparison) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(blocks) = blocks(comparison, Basis::Replays) {
        all.push(format!(
            "Blocks of the same seed on the counted clock replay each other: intervals are of the differences of {blocks} \
             (Student's t)."
        ));
    }
    if let Some(blocks) = blocks(comparison, Basis::Blocks) {
        all.push(format!("Two independent samples of {blocks} each (Welch's t)."));
    }
    if comparison.changes.iter().any(|change| change.difference.repeatability.is_some()) {
        all.push(
            "Costs on the counted clock repeat within 2 % or 10 counted ns: no interval of theirs is narrower."
                .to_owned(),
        );
    }
    let mut grouped = Grouped::default();
    let silent = |change: &&Change| change.difference.basis == Basis::Nothing;
    for change in comparison.changes.iter().filter(silent) {
        grouped.add("one block has no interval", &change.figure, change.method.to_string());
    }
    for gone in &comparison.gone {
        grouped.add(&none_any_more(&gone.why), &gone.figure, gone.method.to_string());
    }
    all.extend(grouped.into_groups().map(|group| {
        format!("{} of {}: {}.", group.names.join(", "), group.items.join(", "), group.text)
    }));
    for (gate, method, why) in comparison.refused() {
        let why = refusal(why);
        all.push(format!("Gate {gate} says nothing of {method}: {why}."));
    }
    all.extend(comparison.notes.iter().map(|note| format!("Note: {note}.")));
    all
}

fn none_any_more(why: &Reason) -> String {
    format!("the new campaign has none: {}", reasons::reason(why))
}

/// Why a gate says nothing of a method.
pub fn refusal(why: &Doubt) -> String {
    match why {
        Doubt::Absent(why) => none_any_more(why),
        Doubt::Text(why) => why.clone(),
    }
}

/// How many blocks are behind the intervals that rest on `basis`; none where none does.
fn blocks(comparison: &Comparison, basis: Basis) -> Option<String> {
    let on = comparison.changes.iter().filter(|change| change.difference.basis == basis);
    let counts: BTreeSet<usize> = on.flat_map(|change| [change.base.n, change.new.n]).collect();
    match (counts.first()?, counts.last()?) {
        (least, most) if least == most => Some(format!("{least} blocks")),
        (least, most) => Some(format!("{least} to {most} blocks")),
    }
}

/// What a gate comes to over all of its methods.
fn outcome(judged: &Judged) -> &'static str {
    if judged.any(|judgement| *judgement == Judgement::Failed) {
        "FAILED"
    } else if judged.any(|judgement| *judgement != Judgement::Passed) {
        "refused"
    } else {
        "passed"
    }
}

/// A gate's answer for one method: by how much it is worse, the limit, the resolution, and what
/// follows.
fn answered(answer: &Answer, changes: &[Change], figure: &str) -> [String; 4] {
    let change =
        changes.iter().find(|change| change.method == answer.method && change.figure == figure);
    let told = |value: Option<f64>| match (value, change) {
        (Some(value), Some(change)) => amount(change, value),
        _ => "-".into(),
    };
    let judgement = match &answer.judgement {
        Judgement::Passed => "passed",
        Judgement::Failed => "FAILED",
        Judgement::Refused { .. } => "refused",
    };
    [told(answer.worse_by), told(answer.limit), told(answer.resolution), judgement.to_owned()]
}

/// Both campaigns in a line.
fn title(comparison: &Comparison) -> String {
    let [base, new] = &comparison.versions;
    let versions = if base == new { base.clone() } else { format!("{base} and {new}") };
    format!("tracetoll {versions}: scenario {}, Linux {}", comparison.scenario, comparison.kernel)
}

/// The clocks of the figures.
fn clocks(comparison: &Comparison) -> String {
    let mut names: Vec<&str> =
        comparison.changes.iter().map(|change| change.platform.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" and ")
}

#[cfg(test)]
mod tests;
