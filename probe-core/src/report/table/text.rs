//! A table as text for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, presets::UTF8_HORIZONTAL_ONLY};

use super::{Cell, Column, Table};
use crate::report::lines::{WIDTH, broken, filled};

/// Width of a name, in columns, if its column does not set one.
const NAME: usize = 16;

/// A heading is broken into lines of about this width, unless the cells below are wider.
const HEAD: [usize; 2] = [12, 15];

impl<Row> Table<'_, Row> {
    /// The table in lines of at most [`WIDTH`] columns. There are rules between rows only if a row
    /// has several lines besides its name.
    pub(in crate::report) fn text(&self) -> String {
        let lines = |row| self.columns.iter().map(|column| column.lines(row)).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(lines).collect();
        let mut table = comfy_table::Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .force_no_tty()
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(WIDTH).unwrap_or(u16::MAX));
        if !rows.iter().flat_map(|row| row.iter().skip(1)).any(|cell| cell.contains('\n')) {
            table.style_mut().row_separator = LineStyle::none();
        }
        let widest = |index: usize| {
            let cells = rows.iter().filter_map(|row| row.get(index)).flat_map(|cell| cell.lines());
            cells.map(|line| line.chars().count()).max().unwrap_or(0)
        };
        table.set_header(self.columns.iter().enumerate().map(|(at, it)| it.heading(widest(at))));
        table.add_rows(&rows);
        for (index, (shown, column)) in table.column_iter_mut().zip(&self.columns).enumerate() {
            shown.set_padding((1, 0));
            if index > 0 && !column.words {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{}\n", table.trim_fmt())
    }
}

impl<Row> Column<'_, Row> {
    /// Name and unit, each on separate lines.
    fn heading(&self, body: usize) -> String {
        let parts = [&*self.name, &*self.unit].into_iter().filter(|part| !part.is_empty());
        parts.map(|part| folded(part, body)).collect::<Vec<_>>().join("\n")
    }

    fn lines(&self, row: &Row) -> String {
        match (self.cell(row), self.width) {
            (Cell::None, _) => "-".into(),
            (Cell::Name(name), width) => broken(&name, width.unwrap_or(NAME)),
            (Cell::Text(text), None) => text,
            (Cell::Text(text), Some(width)) => filled(text.split_whitespace(), width).join("\n"),
            (Cell::Lines(lines, _), None) => lines.join("\n"),
            (Cell::Lines(lines, _), Some(width)) => {
                lines.iter().map(|line| broken(line, width)).collect::<Vec<_>>().join("\n")
            }
            (Cell::Figure(shown), _) => {
                let Some([number, interval, n]) = shown.parts() else { return "-".into() };
                let rest = if shown.whole { n } else { String::new() };
                let all = [number, interval, rest].into_iter().chain(shown.of);
                all.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// As few lines as the cells below or [`HEAD`] have room for, of about equal length.
fn folded(text: &str, body: usize) -> String {
    let [least, most] = HEAD;
    let lines = |room: usize| {
        let parts = text.split_whitespace().map(|word| broken(word, room)).collect::<Vec<_>>();
        filled(parts.iter().flat_map(|part| part.lines()), room)
    };
    let fewest = lines(most.max(body));
    let even = (least..most.max(body)).map(lines).find(|lines| lines.len() == fewest.len());
    even.unwrap_or(fewest).join("\n")
}
