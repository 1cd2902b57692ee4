//! A table in Markdown.

use super::{Cell, Column, Table};

impl<Row> Table<'_, Row> {
    /// One line per row.
    pub(in crate::report) fn markdown(&self) -> String {
        let columns = &self.columns;
        let head = line(columns.iter().map(Column::head));
        let rule = line(columns.iter().map(|_| "---".into()));
        let row = |row| line(columns.iter().map(|column| written(column.cell(row))));
        head + &rule + &self.rows.iter().map(row).collect::<String>()
    }
}

/// One row of cells with any content.
fn line(cells: impl Iterator<Item = String>) -> String {
    let escape = |cell: String| cell.replace('|', "\\|").replace('\n', " ");
    format!("| {} |\n", cells.map(escape).collect::<Vec<_>>().join(" | "))
}

/// Figures without the smallest effect: rows are long enough.
fn written(cell: Cell) -> String {
    match cell {
        Cell::Name(name) => format!("`{name}`"),
        Cell::Figure(shown) => {
            let (Some([number, interval, _]), Some(found)) = (shown.parts(), shown.figure.known())
            else {
                return "-".into();
            };
            let n = if shown.whole { format!("n {}", found.n) } else { String::new() };
            let of = shown.of.map(|item| format!("`{item}`")).unwrap_or_default();
            let parts = [number, interval, n, of].into_iter().filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(" ")
        }
        other => other.line().unwrap_or_else(|| "-".into()),
    }
}
