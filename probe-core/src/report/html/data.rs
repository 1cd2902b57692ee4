//! Tables and running text.

use maud::{Markup, html};

use crate::{
    model::figure::Figure,
    report::number::{Style, parts},
    report::shown::star,
};

/// A table whose first column names its rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Data {
    pub(super) fn new<Cell: Into<String>>(head: impl IntoIterator<Item = Cell>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(super) fn push<Cell: Into<String>>(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }

    /// In the page, under the id `id`; it scrolls by itself where it is too wide.
    pub(super) fn markup(&self, id: &str, caption: &str) -> Markup {
        let caption_id = format!("{id}-caption");
        html! {
            div class="scroll" tabindex="0" role="group" aria-labelledby=(caption_id) {
                table id=(id) {
                    caption id=(caption_id) { (caption) }
                    thead { tr { @for cell in &self.head { th scope="col" { (cell) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (index, cell) in row.iter().enumerate() {
                                    @if index == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A figure in one cell: estimate, interval, number of blocks and smallest effect; or that there is
/// none.
pub(super) fn cell(figure: &Figure, style: Style) -> String {
    match (parts(figure, style), figure.known()) {
        (Some([estimate, interval, n]), Some(found)) => {
            format!("{estimate} {interval}{}, {n}", star(found))
        }
        _ => "none".into(),
    }
}

/// An estimate and its interval.
pub(super) fn short(figure: &Figure, style: Style) -> String {
    match (parts(figure, style), figure.known()) {
        (Some([estimate, interval, _]), Some(found)) if found.lo.is_some() => {
            format!("{estimate} {interval}{}", star(found))
        }
        (Some([estimate, ..]), _) => estimate,
        (None, _) => "none".into(),
    }
}

/// Text in which `backticks` mark the words of the kernel, of the command line and of results.
pub(super) fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // A mark without partner is none.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_backticks_are_code_and_all_is_escaped() {
        let text = |of: &str| prose(of).into_string();
        assert_eq!(text("of `a<b` & c"), "of <code>a&lt;b</code> &amp; c");
        assert_eq!(text("one ` alone"), "one ` alone");
        assert_eq!(text(""), "");
    }

    #[test]
    fn a_table_names_its_columns_and_rows() {
        let mut data = Data::new(["method", "ns"]);
        data.push(["off", "1"]);
        let text = data.markup("x", "A table").into_string();
        assert!(text.contains(r#"<caption id="x-caption">A table</caption>"#), "{text}");
        assert!(text.contains(r#"<th scope="col">ns</th>"#), "{text}");
        assert!(text.contains(r#"<th scope="row">off</th><td>1</td>"#), "{text}");
    }
}
