//! For a terminal.

use comfy_table::{LineStyle, Table};

use super::{Row, answered, caveats, clocks, counts, outcome, title};
use crate::{
    analysis::compare::{Basis, Change, Comparison, Judged},
    report::{
        lines::{broken, paragraph},
        text::{ID, table},
    },
};

/// Columns of a figure's path; longer ones go on in the next line.
const FIGURE: usize = 30;

/// The whole comparison; lines fit into [`crate::report::lines::WIDTH`] columns.
pub fn render(comparison: &Comparison) -> String {
    let mut text = paragraph("", &title(comparison));
    text.push_str(&paragraph("", &format!("{} clock", clocks(comparison))));
    text.push_str(&paragraph("", &counts(comparison)));
    let told: Vec<&Change> = comparison
        .changes
        .iter()
        .filter(|change| change.difference.basis != Basis::Nothing)
        .collect();
    for changes in told.chunk_by(|a, b| a.method == b.method) {
        let [first, ..] = changes else { continue };
        text.push('\n');
        text.push_str(&paragraph("", &first.method.0));
        text.push_str(&format!("{}\n", rows(changes).trim_fmt()));
    }
    for judged in &comparison.gates {
        text.push('\n');
        text.push_str(&paragraph("", &format!("Gate {}: {}", judged.gate, outcome(judged))));
        text.push_str(&format!("{}\n", answers(judged, &comparison.changes).trim_fmt()));
    }
    text.push('\n');
    text.push_str(&paragraph(
        "",
        "Intervals are of 95 %; `worse` and `better` hold after Holm over the methods of a figure; `same within` is the \
         end of the interval that is further from zero. docs/src/explanation/comparing.md has the rules.",
    ));
    for caveat in caveats(comparison) {
        text.push_str(&paragraph("- ", &caveat));
    }
    text
}

fn rows(changes: &[&Change]) -> Table {
    let mut rows = dense(&["figure", "base", "new", "difference", "95 % interval", "verdict"]);
    for change in changes {
        let Row { base, new, difference, interval, verdict } = Row::of(change);
        let figure = broken(&change.figure, FIGURE);
        rows.add_row([figure, base, new, difference, interval, verdict]);
    }
    rows
}

fn answers(judged: &Judged, changes: &[Change]) -> Table {
    let mut rows = dense(&["method", "worse by", "limit", "resolution", ""]);
    for answer in &judged.methods {
        let [worse_by, limit, resolution, judgement] =
            answered(answer, changes, judged.gate.figure());
        rows.add_row([broken(&answer.method.0, 2 * ID), worse_by, limit, resolution, judgement]);
    }
    rows
}

/// Without a line between rows, of which there are many.
fn dense(header: &[&str]) -> Table {
    let mut table = table(header);
    table.style_mut().row_separator = LineStyle::none();
    table
}
