//! The summary as one Markdown table, for a README or a pull request.

use super::{
    figures::of_cost,
    number::{self, Style, parts},
    paper, program_runs, sections,
    text::agreement,
};
use crate::analysis::events::CALLED_PER_KICK;
use crate::analysis::figures::table::{
    AFTER_S_PER_S, KERNEL_NS_PER_EVENT, R_0, R_M, R_RETAINED, READER_CPU_PCT, SERIES_ERROR,
    THROUGHPUT_PCT, WORKER_CPU_PCT,
};
use crate::model::{
    campaign::{Campaign, Events, MethodSummary},
    figure::Figure,
    loss::Loss,
    method::MethodId,
};

/// One table, one row per method, each figure with its interval; where the guests speak TCP,
/// another of the sections and one of the paper's statements.
pub fn render(campaign: &Campaign) -> String {
    let summary = &campaign.summary;
    let header = [
        "method".to_owned(),
        format!("kernel, {} per call", of_cost(&summary.methods)),
        "worker CPU, % per frame".into(),
        "reader CPU, % of one CPU".into(),
        "afterwards, CPU s per s".into(),
        "throughput, %".into(),
        "recorded of calls".into(),
        "lost, missed".into(),
        "agrees".into(),
        "r_m (r_0 if off)".into(),
        "retained".into(),
        "series error".into(),
    ];
    let mut text = row(&header);
    text.push_str(&row(&header.each_ref().map(|_| "---".to_owned())));
    for method in &summary.methods {
        text.push_str(&row(&cells(method)));
    }
    let design = &campaign.design;
    text.push_str(&format!(
        "\n{}, scenario `{}`, Linux {}; each figure with its 95 % interval and n, the number of blocks.\n",
        summary.headline_function, design.scenario.name, design.kernel
    ));
    text.push_str(&program_runs::markdown(&summary.methods).unwrap_or_default());
    if !summary.paper.is_empty() {
        text.push_str(&format!("\n{}\n\n", sections::markdown(summary)));
        text.push_str(&paper::markdown(&summary.paper));
    }
    text
}

fn cells(method: &MethodSummary) -> [String; 12] {
    let (overhead, events, fidelity) = (&method.overhead, &method.events, &method.fidelity);
    let recorded = events.recorded.map(|recorded| match events.truth {
        Some(truth) => format!("{recorded} of {truth}{}", stand_in(events)),
        None => format!("{recorded}{}", stand_in(events)),
    });
    let off = method.id.is_off();
    let of_series = |correlation: &Figure| {
        let of = method.shows_instead.as_ref().filter(|_| correlation.known().is_some());
        let of = of.map(|item| format!(" `{item}`")).unwrap_or_default();
        figure(correlation, Style::CORRELATION) + &of
    };
    let losses = events.recorded.map(|_| losses(events.lost, events.missed));
    [
        code(&method.id),
        figure(overhead.of(KERNEL_NS_PER_EVENT), Style::DIFFERENCE),
        figure(overhead.of(WORKER_CPU_PCT), Style::DIFFERENCE),
        figure(overhead.of(READER_CPU_PCT), Style::LEVEL),
        figure(overhead.of(AFTER_S_PER_S), Style::LEVEL),
        figure(overhead.of(THROUGHPUT_PCT), Style::DIFFERENCE),
        recorded.unwrap_or("-".into()),
        losses.unwrap_or("-".into()),
        agreement(&events.reconciles),
        of_series(if off { fidelity.figures.of(R_0) } else { fidelity.figures.of(R_M) }),
        of_series(fidelity.figures.of(R_RETAINED)),
        figure(fidelity.figures.of(SERIES_ERROR), Style::CORRELATION),
    ]
}

/// What is counted, where that is not the function that each kick calls.
fn stand_in(events: &Events) -> String {
    let other = events.item.as_deref().filter(|item| *item != CALLED_PER_KICK);
    other.map(|item| format!(" `{item}`")).unwrap_or_default()
}

pub(super) fn code(id: &MethodId) -> String {
    format!("`{id}`")
}

fn losses(lost: Loss, missed: Loss) -> String {
    format!("{}, {}", number::loss(lost), number::loss(missed))
}

pub(super) fn figure(figure: &Figure, style: Style) -> String {
    let Some(parts) = parts(figure, style) else { return "-".into() };
    let [estimate, interval, _] = parts;
    let n = figure.known().map_or(0, |estimate| estimate.n);
    format!("{estimate} {interval} n {n}")
}

/// One row, of cells that may hold anything.
pub(super) fn row<Cell: AsRef<str>>(cells: &[Cell]) -> String {
    let escape = |cell: &Cell| cell.as_ref().replace('|', "\\|").replace('\n', " ");
    let escaped: Vec<String> = cells.iter().map(escape).collect();
    format!("| {} |\n", escaped.join(" | "))
}
