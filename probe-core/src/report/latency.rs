//! How long frames take.

use comfy_table::Table;

use super::{
    number::Style,
    text::{cell, id, table},
};
use crate::model::campaign::MethodSummary;
use crate::model::figures::Percentiles;

/// Above the table.
pub(super) const TITLE: &str = "How long frames take from when they are to be sent until machine 2 has them, at fixed load: \
                                `off` in µs, methods in % above it";

/// One row per method; none where no load stamped its frames.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    let measured = |method: &&MethodSummary| method.toll.latency_us.p50.known().is_some();
    let mut rows = table(&["method", "50 %", "90 %", "99 %", "99.9 %", "longest"]);
    for method in methods.iter().filter(measured) {
        let (figures, style) = match method.id.is_off() {
            true => (&method.toll.latency_us, Style::LEVEL),
            false => (&method.toll.latency_pct, Style::DIFFERENCE),
        };
        let Percentiles { p50, p90, p99, p99_9, max } = figures;
        let figures = [p50, p90, p99, p99_9, max].map(|figure| cell(figure, style));
        rows.add_row(std::iter::once(id(method)).chain(figures));
    }
    (!rows.is_empty()).then_some(rows)
}
