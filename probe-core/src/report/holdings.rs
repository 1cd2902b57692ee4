//! What methods take beside CPU time.

use comfy_table::Table;

use super::text::{cell, id, table};
use crate::{
    analysis::figures::{
        Definition,
        table::{MEMORY_KIB, READ_KIB_PER_S, WAKEUPS_PER_S},
    },
    model::campaign::MethodSummary,
};

/// Above the table.
pub(super) const TITLE: &str = "What it takes beside CPU time, at fixed load";

/// One row per method; none where none was measured at fixed load.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    const ROWS: [&Definition; 3] = [MEMORY_KIB, READ_KIB_PER_S, WAKEUPS_PER_S];
    let head = ROWS.map(|row| format!("{}\n{}", row.title, row.unit.symbol()));
    let [memory, read, wakeups] = head.each_ref().map(String::as_str);
    let mut rows = table(&["method", memory, read, wakeups]);
    for method in methods.iter().filter(|method| method.overhead.of(MEMORY_KIB).known().is_some()) {
        let figures = ROWS.map(|row| cell(method.overhead.of(row), row.style()));
        rows.add_row(std::iter::once(id(method)).chain(figures));
    }
    (!rows.is_empty()).then_some(rows)
}
