//! How long frames take.

use super::{
    columns::{OfMethods, id},
    table::{Cell, Table},
};
use crate::{
    analysis::figures::{
        Definition,
        table::{
            LATENCY_MAX_PCT, LATENCY_MAX_US, LATENCY_P50_PCT, LATENCY_P50_US, LATENCY_P90_PCT,
            LATENCY_P90_US, LATENCY_P99_9_PCT, LATENCY_P99_9_US, LATENCY_P99_PCT, LATENCY_P99_US,
        },
    },
    model::campaign::MethodSummary,
};

/// The table's title.
pub(super) const TITLE: &str = "How long frames take from when they are due until the sink has \
                                them, at fixed load: `off` in µs, methods in % above it";

/// Each percentile, for the baseline and for methods.
const ROWS: [(&str, &Definition, &Definition); 5] = [
    ("50 %", LATENCY_P50_US, LATENCY_P50_PCT),
    ("90 %", LATENCY_P90_US, LATENCY_P90_PCT),
    ("99 %", LATENCY_P99_US, LATENCY_P99_PCT),
    ("99.9 %", LATENCY_P99_9_US, LATENCY_P99_9_PCT),
    ("longest", LATENCY_MAX_US, LATENCY_MAX_PCT),
];

/// One row per method; `None` if no load stamped its frames.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table<'_, &MethodSummary>> {
    let timed =
        methods.iter().filter(|method| method.overhead.of(LATENCY_P50_US).known().is_some());
    let columns = ROWS.into_iter().map(|(name, level, change)| {
        OfMethods::new(name, move |method| {
            let row = if method.id.is_off() { level } else { change };
            Cell::figure(method.overhead.of(row), row.style())
        })
    });
    Table::new(timed, [id()].into_iter().chain(columns).collect()).unless_empty()
}
