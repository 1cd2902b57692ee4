//! The full report for a terminal.

use std::collections::BTreeSet;

use super::{
    caveats, chart,
    columns::{OfMethods, after, costs, counts, fidelity, happened, held, id, table, within},
    durations, latency,
    lines::paragraph,
    paper, program_runs, sections, shown, sizes,
    table::{Cell, Table},
    verdict, widths,
};
use crate::{
    analysis::{
        events::CALLED_PER_KICK,
        figures::table::{
            KERNEL_NS_PER_EVENT, OBSERVATION_LOSS, PERTURBATION, R_0, R_M, R_RETAINED, R_W,
            SERIES_ERROR, THROUGHPUT_PCT, WORKER_CPU_PCT,
        },
    },
    model::{
        campaign::{Campaign, MethodSummary},
        figure::{Figure, Platform},
        target::Target,
        trial::Outcome,
    },
};

/// The whole report.
pub fn render(campaign: &Campaign) -> String {
    let tables: String = tables(campaign)
        .into_iter()
        .map(|(title, table)| format!("\n{}{table}", paragraph("", &title)))
        .collect();
    let mut text = header(campaign) + &tables;
    if sections::is_drawn(campaign) {
        text.extend(chart::render(campaign).map(|chart| format!("\n{chart}")));
    }
    text.push('\n');
    text.push_str(&paragraph(
        "",
        "Below each figure: its 95 % interval; n, the number of blocks; d, the smallest effect \
         that n blocks with this scatter would have detected (power 0.8). \
         docs/src/reference/figures.md defines every figure.",
    ));
    text.extend(shown::stars(&tables).map(|stars| paragraph("", &stars)));
    text.push_str("\nWhat this cannot tell\n");
    for caveat in caveats::list(campaign) {
        text.push_str(&paragraph("- ", &caveat));
    }
    text.push('\n');
    text.push_str(&verdict::text::render(campaign));
    text
}

/// Titles and tables.
fn tables(campaign: &Campaign) -> Vec<(String, String)> {
    let (methods, function) = (&campaign.summary.methods, &campaign.summary.headline_function);
    let clock = clocks(methods, overhead_of);
    let mut all = vec![(
        format!("What it costs, against `off` in the same block{clock}"),
        of_all(methods, costs(methods)).text(),
    )];
    let title = "one call per kick, or of the item that stands in for it";
    let columns =
        counts().into_iter().chain([after(), fidelity(SERIES_ERROR).unit("of all calls")]);
    all.push((
        format!("What it records of {CALLED_PER_KICK}, {title}"),
        of_all(methods, columns.collect()).text(),
    ));
    let clock = clocks(methods, fidelity_of);
    let title = "r with throughput, of calls unless the cell names something else";
    all.push((
        format!("What it still shows of {function}: {title}{clock}"),
        of_all(methods, correlations(campaign)).text(),
    ));
    let mut push = |title: &str, table: Option<String>| {
        all.extend(table.map(|table| (title.to_owned(), table)));
    };
    push(
        "Within sections: does it show the calls, and does what it shows tell the throughput",
        table(methods, within()).map(|table| table.text()),
    );
    push(latency::TITLE, latency::table_of(methods).map(|table| table.text()));
    push(
        "What it takes besides CPU time, at fixed load",
        table(methods, held()).map(|table| table.text()),
    );
    push(&durations::title(), durations::table_of(methods).map(|table| table.text()));
    push(program_runs::TITLE, program_runs::table_of(methods).map(|table| table.text()));
    push(sizes::TITLE, sizes::table_of(methods).map(|table| table.text()));
    push(widths::TITLE, widths::table_of(methods).map(|table| table.text()));
    all.extend(sections::tables(campaign));
    let paper = paper::table_of(&campaign.summary.paper);
    all.extend(paper.map(|table| (paper::TITLE.to_owned(), table.text())));
    all
}

/// What was measured, and where.
pub(super) fn header(campaign: &Campaign) -> String {
    let Campaign { design, runs, trials, .. } = campaign;
    let failed = trials.iter().filter(|t| matches!(t.outcome, Outcome::Failed { .. })).count();
    let functions = names(&design.target);
    let mut lines = vec![
        format!(
            "tracetoll {}: scenario {}, target {}, Linux {}",
            design.version, design.scenario.name, functions, design.kernel
        ),
        format!("trials: {}, of which {failed} failed; runs: {}", trials.len(), runs.len()),
    ];
    let hosts: BTreeSet<String> = runs
        .iter()
        .map(|run| {
            let clock = run.platform.name();
            format!("{clock} clock: {} CPUs, {}", run.host.cpus, run.host.cpu)
        })
        .collect();
    lines.extend(hosts);
    lines.iter().map(|line| paragraph("", line)).collect()
}

/// The first functions, and how many more.
fn names(target: &Target) -> String {
    const SHOWN: usize = 8;
    let names = target.functions.iter().map(|function| function.name.as_str());
    let shown = names.take(SHOWN).collect::<Vec<_>>().join(" ");
    match target.functions.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn of_all<'a>(
    methods: &'a [MethodSummary],
    mut columns: Vec<OfMethods<'a>>,
) -> Table<'a, &'a MethodSummary> {
    columns.insert(0, id());
    Table::new(methods, columns)
}

fn correlations(campaign: &Campaign) -> Vec<OfMethods<'_>> {
    let shown = move |method: &&MethodSummary| {
        Cell::figure(method.fidelity.figures.of(R_M), R_M.style())
            .of(other_than_calls(campaign, method))
    };
    vec![
        happened().unit("of the calls that happened"),
        OfMethods::new(R_M.title, shown).unit("of the method's series"),
        fidelity(PERTURBATION).unit("r_0 - r_w"),
        fidelity(OBSERVATION_LOSS).unit("r_w - r_m"),
        fidelity(R_RETAINED).named("retained").unit("r_m / r_0"),
    ]
}

/// What the method's series counts, if that is not calls.
fn other_than_calls(campaign: &Campaign, method: &MethodSummary) -> Option<String> {
    let described = shown::described(campaign, &method.id)?;
    Some(shown::what(campaign, described)).filter(|what| what != "calls")
}

fn overhead_of(method: &MethodSummary) -> Vec<&Figure> {
    [KERNEL_NS_PER_EVENT, WORKER_CPU_PCT, THROUGHPUT_PCT].map(|row| method.overhead.of(row)).into()
}

fn fidelity_of(method: &MethodSummary) -> Vec<&Figure> {
    [R_0, R_W, R_M].map(|row| method.fidelity.figures.of(row)).into()
}

/// The clocks of a table's figures, for its title.
fn clocks(methods: &[MethodSummary], figures: fn(&MethodSummary) -> Vec<&Figure>) -> String {
    let platforms: BTreeSet<Platform> = methods
        .iter()
        .flat_map(figures)
        .filter_map(|figure| Some(figure.known()?.platform))
        .collect();
    let names: Vec<&str> = platforms.into_iter().map(Platform::name).collect();
    if names.is_empty() { String::new() } else { format!(" ({} clock)", names.join(" and ")) }
}
