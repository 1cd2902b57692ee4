//! A table in the page, and running text.

use maud::{Markup, html};

use super::{Cell, Column, Table};

impl<Row> Table<'_, Row> {
    /// The table with id `id`; the first column names the rows. It scrolls separately if it is too
    /// wide.
    pub(in crate::report) fn html(&self, id: &str, caption: &str) -> Markup {
        let caption_id = format!("{id}-caption");
        let wordy = self.columns.iter().any(|column| column.words);
        html! {
            div class="scroll" tabindex="0" role="group" aria-labelledby=(caption_id) {
                table id=(id) class=[wordy.then_some("wordy")] {
                    caption id=(caption_id) { (caption) }
                    thead { tr { @for column in &self.columns { th scope="col" { (column.head()) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (index, column) in self.columns.iter().enumerate() {
                                    @if index == 0 { th scope="row" { (column.markup(row)) } }
                                    @else { td { (column.markup(row)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<Row> Column<'_, Row> {
    fn markup(&self, row: &Row) -> Markup {
        match self.cell(row) {
            Cell::Name(name) => html! { (name) },
            Cell::Lines(lines, _) if self.words => {
                html! { ul { @for line in lines { li { (prose(&line)) } } } }
            }
            cell => prose(&cell.line().unwrap_or_else(|| "none".into())),
        }
    }
}

/// Text in which `backticks` mark names of the kernel, of the command line and of results.
pub(in crate::report) fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without a partner is ordinary text.
    let paired = parts.len() % 2 == 1;
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if paired && index % 2 == 1 { code { (part) } } @else {
                @if !paired && index > 0 { "`" }
                (part)
            }
        }
    }
}
