//! Columns of tables with one row per method.

use super::{
    figures::of_cost,
    number,
    table::{Cell, Column, Table},
};
use crate::{
    analysis::{
        events::CALLED_PER_KICK,
        figures::{
            Definition,
            table::{
                AFTER_S_PER_S, DETECTION, DETECTION_W, KERNEL_NS_PER_EVENT, LONGEST_GAP_S,
                MEMORY_KIB, R_0, R_CALLS, R_W, R_WITHIN, R_WITHIN_W, READ_KIB_PER_S,
                READER_CPU_PCT, SYSTEM_CPU_PCT, THROUGHPUT_PCT, WAKEUPS_PER_S, WORKER_CPU_PCT,
            },
        },
    },
    model::{
        campaign::{Events, MethodSummary, Reconciliation},
        figure::Figure,
        loss::Loss,
    },
};

/// A column of a table of methods.
pub(super) type OfMethods<'a> = Column<'a, &'a MethodSummary>;

/// The methods that have a number in any of the columns; `None` if no method has.
pub(super) fn table<'a>(
    methods: &'a [MethodSummary],
    mut columns: Vec<OfMethods<'a>>,
) -> Option<Table<'a, &'a MethodSummary>> {
    columns.insert(0, id());
    let known = |method: &&'a MethodSummary| {
        let mut cells = columns.iter().map(|column| column.cell(method));
        cells.any(|cell| cell.shown().is_some_and(|figure| figure.known().is_some()))
    };
    let rows: Vec<&MethodSummary> = methods.iter().filter(known).collect();
    Table::new(rows, columns).unless_empty()
}

/// The method's id.
pub(super) fn id<'a>() -> OfMethods<'a> {
    OfMethods::new("method", |method| Cell::Name(method.id.to_string()))
}

/// A figure of the overhead.
pub(super) fn overhead<'a>(row: &'static Definition) -> OfMethods<'a> {
    OfMethods::figure(row, |method| method.overhead.of(row).clone())
}

/// A figure of the fidelity.
pub(super) fn fidelity<'a>(row: &'static Definition) -> OfMethods<'a> {
    OfMethods::figure(row, |method| method.fidelity.figures.of(row).clone())
}

/// The correlation of the calls that happened; for the baseline, that of `r_0`.
pub(super) fn happened<'a>() -> OfMethods<'a> {
    OfMethods::figure(R_W, |method| {
        method.fidelity.figures.of(if method.id.is_off() { R_0 } else { R_W }).clone()
    })
}

/// What a method tells within the sections of the schedule.
pub(super) fn within<'a>() -> Vec<OfMethods<'a>> {
    vec![
        fidelity(R_CALLS).unit("within sections"),
        fidelity(R_WITHIN_W).unit("of the calls that happened"),
        fidelity(R_WITHIN).unit("of what it shows"),
        fidelity(DETECTION_W).unit("of degraded bins"),
        fidelity(DETECTION).unit("by what it shows"),
        fidelity(LONGEST_GAP_S).unit("s"),
    ]
}

/// A figure of the fidelity, with what the method shows if that is not calls.
pub(super) fn of_series<'a>(
    row: &'static Definition,
    of: fn(&MethodSummary) -> &Figure,
) -> OfMethods<'a> {
    OfMethods::new(row.title, move |method| {
        Cell::figure(of(method), row.style()).of(method.shows_instead.clone())
    })
}

/// The CPU time of a method while the load runs.
pub(super) fn costs<'a>(methods: &[MethodSummary]) -> Vec<OfMethods<'a>> {
    vec![
        overhead(KERNEL_NS_PER_EVENT)
            .named("kernel")
            .unit(format!("{} per call", of_cost(methods))),
        overhead(WORKER_CPU_PCT).named("worker CPU").unit("% per frame at fixed load"),
        overhead(READER_CPU_PCT).named("reader CPU").unit("% of one CPU"),
        overhead(SYSTEM_CPU_PCT).named("system CPU").unit("points of all at fixed load"),
        overhead(THROUGHPUT_PCT).unit("% when saturated"),
    ]
}

/// The CPU time of a method after the load.
pub(super) fn after<'a>() -> OfMethods<'a> {
    overhead(AFTER_S_PER_S).unit("CPU s per s of load")
}

/// What a method takes besides CPU time.
pub(super) fn held<'a>() -> Vec<OfMethods<'a>> {
    [MEMORY_KIB, READ_KIB_PER_S, WAKEUPS_PER_S].map(overhead).into()
}

/// What happened to the calls.
pub(super) fn counts<'a>() -> Vec<OfMethods<'a>> {
    let loss = |name, of: fn(&Events) -> Loss| {
        OfMethods::new(name, move |method| {
            let events = &method.events;
            events.recorded.map(|_| number::loss(of(events))).into()
        })
    };
    vec![
        OfMethods::new("calls", |method| called(&method.events)).within(16),
        OfMethods::new("recorded", |method| recorded(&method.events)),
        loss("lost", |events| events.lost),
        loss("missed", |events| events.missed),
        OfMethods::new("agrees with the truth", |method| {
            Cell::lines(agreement(&method.events.reconciles), " ")
        }),
    ]
}

/// The number of hits; below it the item, if it is not the function that each kick calls.
fn called(events: &Events) -> Cell {
    let other = events.item.as_ref().filter(|item| *item != CALLED_PER_KICK);
    Cell::lines(events.truth.map(|n| n.to_string()).into_iter().chain(other.cloned()), " ")
}

/// The number of records; below it a sampler's estimate of the total.
fn recorded(events: &Events) -> Cell {
    let estimate = events.estimate.map(|estimate| format!("est. {:.0}", estimate.calls));
    Cell::lines(events.recorded.map(|n| n.to_string()).into_iter().chain(estimate), " ")
}

/// Whether the counts reconcile, in a few words; empty if they cannot be compared.
pub(super) fn agreement(reconciles: &Reconciliation) -> Vec<String> {
    let interval = |word: &str, lo: f64, hi: f64| vec![word.into(), format!("[{lo:.0}, {hi:.0}]")];
    match reconciles {
        Reconciliation::Exact => vec!["exactly".into()],
        Reconciliation::WithinBound { bound } => vec![format!("within {bound}")],
        Reconciliation::WithinInterval { lo, hi } => interval("within", *lo, *hi),
        Reconciliation::OutsideInterval { lo, hi } => interval("outside", *lo, *hi),
        Reconciliation::Unaccounted { n } => vec![format!("{n} unaccounted for")],
        Reconciliation::Differs { by } => vec![format!("NO: off by {by:+}")],
        Reconciliation::NotApplicable { .. } => Vec::new(),
    }
}
