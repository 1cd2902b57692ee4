//! How long frames take.

use comfy_table::Table;

use super::text::{cell, id, table};
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

/// Above the table.
pub(super) const TITLE: &str = "How long frames take from when they are to be sent until the sink has them, at fixed load: \
                                `off` in µs, methods in % above it";

/// Of the control.
const LEVELS: [&Definition; 5] =
    [LATENCY_P50_US, LATENCY_P90_US, LATENCY_P99_US, LATENCY_P99_9_US, LATENCY_MAX_US];

/// Of methods.
const CHANGES: [&Definition; 5] =
    [LATENCY_P50_PCT, LATENCY_P90_PCT, LATENCY_P99_PCT, LATENCY_P99_9_PCT, LATENCY_MAX_PCT];

/// One row per method; none where no load stamped its frames.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    let mut rows = table(&["method", "50 %", "90 %", "99 %", "99.9 %", "longest"]);
    for method in
        methods.iter().filter(|method| method.overhead.of(LATENCY_P50_US).known().is_some())
    {
        let figures = if method.id.is_off() { LEVELS } else { CHANGES };
        let figures = figures.map(|row| cell(method.overhead.of(row), row.style()));
        rows.add_row(std::iter::once(id(method)).chain(figures));
    }
    (!rows.is_empty()).then_some(rows)
}
