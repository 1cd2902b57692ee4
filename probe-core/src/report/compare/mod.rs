//! A comparison of two campaigns, for people and programs.

pub mod bmf;

use std::collections::BTreeSet;

use super::{
    grouped::Grouped,
    lines::paragraph,
    number::{Style, nanoseconds, parts},
    reasons,
    table::{Cell, Column, Table},
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

/// Columns of a figure's path in a terminal, and of a method beside gates.
const NAMES: [usize; 2] = [30, 32];

/// For a terminal; lines fit into [`super::lines::WIDTH`] columns.
pub fn text(comparison: &Comparison) -> String {
    let mut text = paragraph("", &title(comparison));
    text.push_str(&paragraph("", &format!("{} clock", clocks(comparison))));
    text.push_str(&paragraph("", &counts(comparison)));
    let changes = comparison.changes.iter();
    let told: Vec<&Change> =
        changes.filter(|change| change.difference.basis != Basis::Nothing).collect();
    for some in told.chunk_by(|a, b| a.method == b.method) {
        let [first, ..] = some else { continue };
        text.push_str(&format!("\n{}{}", paragraph("", &first.method.0), changed(some).text()));
    }
    for judged in &comparison.gates {
        let title = paragraph("", &format!("Gate {}: {}", judged.gate, outcome(judged)));
        let answers = answers([judged], &comparison.changes);
        text.push_str(&format!("\n{title}{}", answers.text()));
    }
    text.push('\n');
    text.push_str(&paragraph(
        "",
        "Intervals are of 95 %; `worse` and `better` hold after Holm over all methods and figures; \
         `same within` is the end of the interval that is further from zero. \
         docs/src/explanation/comparing.md has the rules.",
    ));
    for caveat in caveats(comparison) {
        text.push_str(&paragraph("- ", &caveat));
    }
    text
}

/// For a pull request: what changed, the gates, and the rest to unfold.
pub fn markdown(comparison: &Comparison) -> String {
    let told = |change: &&Change| matches!(change.verdict, Verdict::Worse | Verdict::Better);
    let (first, rest): (Vec<&Change>, Vec<&Change>) = comparison.changes.iter().partition(told);
    let mut text = format!(
        "**{}** {} clock; {}.\n",
        counts(comparison),
        clocks(comparison),
        title(comparison)
    );
    let changes = |changes: &[&Change]| {
        let mut table = changed(changes);
        let method = OfChanges::new("method", |change| Cell::Name(change.method.to_string()));
        table.columns.insert(0, method);
        table.markdown()
    };
    if !first.is_empty() {
        text.push_str(&format!("\n{}", changes(&first)));
    }
    if !comparison.gates.is_empty() {
        let mut answers = answers(&comparison.gates, &comparison.changes);
        let gate = OfAnswers::new("gate", |(judged, _)| Cell::Name(judged.gate.to_string()));
        answers.columns.insert(0, gate);
        text.push_str(&format!("\n{}", answers.markdown()));
    }
    if !rest.is_empty() {
        text.push_str(&format!(
            "\n<details><summary>{} figures without a change that can be \
             told</summary>\n\n{}\n</details>\n",
            rest.len(),
            changes(&rest)
        ));
    }
    text.push('\n');
    for caveat in caveats(comparison) {
        text.push_str(&format!("- {caveat}\n"));
    }
    text
}

type OfChanges<'a> = Column<'a, &'a Change>;

/// A row per figure.
fn changed<'a>(changes: &[&'a Change]) -> Table<'a, &'a Change> {
    let level = |change: &Change, estimate: &Estimate| -> Cell {
        written(estimate.clone(), style(change)).map(|[number, ..]| number).into()
    };
    let columns = vec![
        OfChanges::new("figure", |change| Cell::Name(change.figure.clone())).within(NAMES[0]),
        OfChanges::new("base", move |change| level(change, &change.base)),
        OfChanges::new("new", move |change| level(change, &change.new)),
        OfChanges::new("difference", |change| {
            let share = change.difference_pct.map(|pct| format!(" ({pct:+.1} %)"));
            (difference(change)[0].clone() + &share.unwrap_or_default()).into()
        }),
        OfChanges::new("95 % interval", |change| {
            let [_, interval, _] = difference(change);
            change.difference.lo.map(|_| interval).into()
        }),
        OfChanges::new("verdict", |change| verdict(change).into()),
    ];
    Table::new(changes.iter().copied(), columns)
}

fn difference(change: &Change) -> [String; 3] {
    let found = &change.difference;
    let difference =
        Estimate { estimate: found.difference, lo: found.lo, hi: found.hi, ..change.new.clone() };
    written(difference, Style { signed: true, ..style(change) }).unwrap_or_default()
}

type OfAnswers<'a> = Column<'a, (&'a Judged, &'a Answer)>;

/// A row per method that a gate judges: by how much it is worse, the limit, from which true
/// difference on the gate fails in four of five comparisons, and what follows.
fn answers<'a>(
    gates: impl IntoIterator<Item = &'a Judged>,
    changes: &'a [Change],
) -> Table<'a, (&'a Judged, &'a Answer)> {
    let told = |name, of: fn(&Answer) -> Option<f64>| {
        OfAnswers::new(name, move |(judged, answer)| {
            let figure = judged.gate.figure();
            let is_its =
                |change: &&Change| change.method == answer.method && change.figure == figure;
            let change = changes.iter().find(is_its);
            change.zip(of(answer)).map(|(change, value)| amount(change, value)).into()
        })
    };
    let columns = vec![
        OfAnswers::new("method", |(_, answer)| Cell::Name(answer.method.to_string()))
            .within(NAMES[1]),
        told("worse by", |answer| answer.worse_by),
        told("limit", |answer| answer.limit),
        told("fails from", |answer| answer.fails_from),
        OfAnswers::new("", |(_, answer)| judgement(&answer.judgement).into()),
    ];
    let rows = gates
        .into_iter()
        .flat_map(|judged| judged.methods.iter().map(move |answer| (judged, answer)));
    Table::new(rows, columns)
}

fn judgement(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Passed => "passed",
        Judgement::Failed => "FAILED",
        Judgement::Refused { .. } => "refused",
    }
}

fn written(estimate: Estimate, style: Style) -> Option<[String; 3]> {
    parts(&Figure::Known(estimate), style)
}

/// Levels are written as in a campaign's own tables: with a sign where they are differences from
/// the baseline.
fn style(change: &Change) -> Style {
    match change.unit {
        Unit::Ns | Unit::PerCentOfControl => Style::DIFFERENCE,
        Unit::Correlation | Unit::Bits => Style::CORRELATION,
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
            Unit::Correlation | Unit::Bits => format!("same within {within:.3}"),
            Unit::SecondsPerSecond => format!("same within {within:.4}"),
            _ => format!("same within {within:.2}"),
        },
    }
}

/// An amount of the figure, with its unit.
fn amount(change: &Change, value: f64) -> String {
    let (decimals, unit) = match change.unit {
        Unit::Ns => (1, nanoseconds(Some(change.platform))),
        Unit::PerCentOfControl | Unit::PerCent => (2, "points"),
        Unit::Correlation => return format!("{value:.3}"),
        Unit::Bits => (3, change.unit.symbol()),
        Unit::SecondsPerSecond => (4, change.unit.symbol()),
        Unit::Micros | Unit::Seconds => (2, change.unit.symbol()),
        unit => (1, unit.symbol()),
    };
    format!("{value:.decimals$} {unit}")
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
            "Blocks of the same seed on the counted clock replay each other: intervals are of the \
             differences of {blocks} (Student's t)."
        ));
    }
    if let Some(blocks) = blocks(comparison, Basis::Blocks) {
        all.push(format!("Two independent samples of {blocks} each (Welch's t)."));
    }
    if comparison.changes.iter().any(|change| change.difference.repeatability.is_some()) {
        all.push(
            "No interval on the counted clock is narrower than what two runs of the same may come \
             to: amounts 2 % (costs 10 counted ns, if that is more), changes 0.2 %, shares 0.02 \
             points, gaps 0.05 s, correlations, chances and bits 0.01."
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
