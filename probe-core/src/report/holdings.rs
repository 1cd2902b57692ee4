//! What methods take beside CPU time.

use comfy_table::Table;

use super::{
    number::Style,
    text::{cell, id, table},
};
use crate::model::campaign::MethodSummary;
use crate::model::figures::TollFigures;

/// Above the table.
pub(super) const TITLE: &str = "What it takes beside CPU time, at fixed load";

/// One row per method; none where none was measured at fixed load.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    let measured = |method: &&MethodSummary| method.toll.memory_kib.known().is_some();
    let mut rows = table(&[
        "method",
        "kernel memory\nKiB",
        "read from the kernel\nKiB per s",
        "reader\'s wake-ups\nper s",
    ]);
    for method in methods.iter().filter(measured) {
        let TollFigures { memory_kib, read_kib_per_s, wakeups_per_s, .. } = &method.toll;
        let figures = [memory_kib, read_kib_per_s, wakeups_per_s];
        let figures = figures.map(|figure| cell(figure, Style::LEVEL));
        rows.add_row(std::iter::once(id(method)).chain(figures));
    }
    (!rows.is_empty()).then_some(rows)
}
