//! The report that people read in a terminal.

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::{
    caveats, chart, durations,
    figures::of_cost,
    holdings, latency,
    lines::{WIDTH, broken, paragraph},
    number::{self, Style, parts},
    paper, program_runs, sections, shown, sizes, verdict, widths,
};
use crate::{
    analysis::{
        events::CALLED_PER_KICK,
        figures::{
            Definition,
            table::{
                AFTER_S_PER_S, KERNEL_NS_PER_EVENT, OBSERVATION_LOSS, PERTURBATION, R_0, R_M,
                R_RETAINED, R_W, READER_CPU_PCT, SERIES_ERROR, SYSTEM_CPU_PCT, THROUGHPUT_PCT,
                WORKER_CPU_PCT,
            },
        },
    },
    model::{
        campaign::{Campaign, Events, MethodSummary, Reconciliation},
        figure::{Figure, Platform},
        target::Target,
        trial::Outcome,
    },
};

/// Columns of a method's id; longer ones go on in the next line.
pub(super) const ID: usize = 16;

/// The whole report.
pub fn render(campaign: &Campaign) -> String {
    let mut text = header(campaign);
    let methods = &campaign.summary.methods;
    let function = &campaign.summary.headline_function;
    let tables = [
        (
            format!(
                "What it costs, against `off` in the same block{}",
                clocks(methods, overhead_of)
            ),
            overhead(methods),
        ),
        (
            format!(
                "What it records of {CALLED_PER_KICK}, one call per kick, or of what stands in for it"
            ),
            events(methods),
        ),
        (
            format!(
                "What it still shows of {function}: r with throughput, of calls unless the cell says of what{}",
                clocks(methods, fidelity_of)
            ),
            fidelity(campaign),
        ),
    ];
    let by_size = sizes::table_of(methods).map(|table| (sizes::TITLE.to_owned(), table));
    let durations = durations::table_of(methods)
        .map(|table| (format!("How long calls of {CALLED_PER_KICK} took in the closed loop, the tracer's own work included"), table));
    let runs = program_runs::table_of(methods).map(|table| (program_runs::TITLE.to_owned(), table));
    let latency = latency::table_of(methods).map(|table| (latency::TITLE.to_owned(), table));
    let holdings = holdings::table_of(methods).map(|table| (holdings::TITLE.to_owned(), table));
    let by_width = widths::table_of(methods).map(|table| (widths::TITLE.to_owned(), table));
    let by_section = sections::tables(campaign);
    let said = &campaign.summary.paper;
    let paper = paper::table_of(said).map(|table| (paper::title(said), table));
    let of_overhead =
        latency.into_iter().chain(holdings).chain(durations).chain(runs).chain(by_size);
    let optional = of_overhead.chain(by_width).chain(by_section).chain(paper);
    for (title, table) in tables.into_iter().chain(optional) {
        text.push('\n');
        text.push_str(&paragraph("", &title));
        text.push_str(&format!("{}\n", table.trim_fmt()));
    }
    if sections::is_drawn(campaign) {
        text.extend(chart::render(campaign).map(|chart| format!("\n{chart}")));
    }
    text.push('\n');
    text.push_str(&paragraph(
        "",
        "Below each figure: its 95 % interval; n, the number of blocks; d, the smallest effect that n blocks of this \
         scatter would have shown (power 0.8). docs/src/reference/figures.md defines every figure.",
    ));
    text.push_str("\nWhat this cannot tell\n");
    for caveat in caveats::list(campaign) {
        text.push_str(&paragraph("- ", &caveat));
    }
    text.push('\n');
    text.push_str(&verdict::text::render(campaign));
    text
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

fn overhead(methods: &[MethodSummary]) -> Table {
    let mut table = table(&[
        "method",
        &format!("kernel\n{}\nper call", of_cost(methods)),
        "worker CPU\n% per frame\nat fixed load",
        "reader CPU\n% of one CPU",
        "system CPU\npoints of all\nat fixed load",
        "throughput\n%\nflat out",
    ]);
    for method in methods {
        let rows =
            [KERNEL_NS_PER_EVENT, WORKER_CPU_PCT, READER_CPU_PCT, SYSTEM_CPU_PCT, THROUGHPUT_PCT];
        let figures = rows.map(|row| cell(method.overhead.of(row), row.style()));
        table.add_row(std::iter::once(id(method)).chain(figures));
    }
    table
}

fn events(methods: &[MethodSummary]) -> Table {
    let mut table = table(&[
        "method",
        "calls",
        "recorded",
        "lost",
        "missed",
        "agrees with\nthe truth",
        "afterwards\nCPU s per s\nof load",
        "series error\nof all calls",
    ]);
    for method in methods {
        let Events { lost, missed, reconciles, .. } = &method.events;
        let nothing = method.events.recorded.is_none();
        let unless_nothing = |text: String| if nothing { "-".into() } else { text };
        table.add_row([
            id(method),
            happened(&method.events),
            recorded(&method.events),
            unless_nothing(number::loss(*lost)),
            unless_nothing(number::loss(*missed)),
            agreement(reconciles),
            cell(method.overhead.of(AFTER_S_PER_S), Style::LEVEL),
            cell(method.fidelity.figures.of(SERIES_ERROR), Style::CORRELATION),
        ]);
    }
    table
}

/// What happened; below it, what of, where that is not the function that each kick calls.
fn happened(events: &Events) -> String {
    let truth = events.truth.map_or("-".into(), |n| n.to_string());
    match events.item.as_deref().filter(|item| *item != CALLED_PER_KICK) {
        Some(item) => format!("{truth}\n{}", item.replace(':', ":\n")),
        None => truth,
    }
}

/// What was recorded; below it, what a sampler takes the whole for.
fn recorded(events: &Events) -> String {
    let recorded = events.recorded.map_or("-".into(), |n| n.to_string());
    match events.estimate {
        Some(estimate) => format!("{recorded}\nfor {:.0}", estimate.calls),
        None => recorded,
    }
}

/// Whether the counts reconcile, in a few words.
pub(super) fn agreement(reconciles: &Reconciliation) -> String {
    match reconciles {
        Reconciliation::Exact => "exactly".into(),
        Reconciliation::WithinBound { bound } => format!("within {bound}"),
        Reconciliation::WithinInterval { lo, hi } => format!("within\n[{lo:.0}, {hi:.0}]"),
        Reconciliation::OutsideInterval { lo, hi } => format!("outside\n[{lo:.0}, {hi:.0}]"),
        Reconciliation::Unaccounted { n } => format!("{n} unaccounted for"),
        Reconciliation::Differs { by } => format!("NO: off by {by:+}"),
        Reconciliation::NotApplicable { .. } => "-".into(),
    }
}

fn fidelity(campaign: &Campaign) -> Table {
    let mut table = table(&[
        "method",
        "r_w\nof the calls\nthat happened",
        "r_m\nof what the\nmethod shows",
        "perturbation\nr_0 - r_w",
        "observation loss\nr_w - r_m",
        "retained\nr_m / r_0",
    ]);
    for method in &campaign.summary.methods {
        let cell = |row: &Definition| cell(method.fidelity.figures.of(row), row.style());
        table.add_row([
            id(method),
            // Under the control, the calls that happened are those of r_0.
            cell(if method.id.is_off() { R_0 } else { R_W }),
            cell(R_M) + &other_than_calls(campaign, method),
            cell(PERTURBATION),
            cell(OBSERVATION_LOSS),
            cell(R_RETAINED),
        ]);
    }
    table
}

/// What the method's series is of, where that is not calls.
fn other_than_calls(campaign: &Campaign, method: &MethodSummary) -> String {
    let described = campaign.design.methods.iter().find(|known| known.id == method.id);
    let what = described.map(|described| shown::what(campaign, described));
    what.filter(|what| what != "calls").map_or_else(String::new, |what| format!("\n{what}"))
}

pub(super) fn cell(figure: &Figure, style: Style) -> String {
    parts(figure, style).map_or("-".into(), |parts| parts.join("\n"))
}

/// The id, broken behind hyphens.
pub(super) fn id(method: &MethodSummary) -> String {
    broken(&method.id.0, ID)
}

fn overhead_of(method: &MethodSummary) -> Vec<&Figure> {
    [KERNEL_NS_PER_EVENT, WORKER_CPU_PCT, THROUGHPUT_PCT].map(|row| method.overhead.of(row)).into()
}

fn fidelity_of(method: &MethodSummary) -> Vec<&Figure> {
    [R_0, R_W, R_M].map(|row| method.fidelity.figures.of(row)).into()
}

/// The clocks behind a table, for its title.
fn clocks(methods: &[MethodSummary], figures: fn(&MethodSummary) -> Vec<&Figure>) -> String {
    let platforms: BTreeSet<Platform> = methods
        .iter()
        .flat_map(figures)
        .filter_map(|figure| Some(figure.known()?.platform))
        .collect();
    let names: Vec<&str> = platforms.into_iter().map(Platform::name).collect();
    if names.is_empty() { String::new() } else { format!(" ({} clock)", names.join(" and ")) }
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .force_no_tty()
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(WIDTH).unwrap_or(u16::MAX))
        .set_header(header);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 0));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
