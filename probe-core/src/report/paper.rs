//! The paper's statements beside what was measured.

use comfy_table::{CellAlignment, ColumnConstraint, Table, Width};

use super::{
    markdown,
    number::{Style, parts},
    reasons,
    shown::{STAR, star},
    text::table,
};
use crate::model::{
    figure::{Basis, Figure},
    paper::{Agreement, Beside, Statement},
};

/// Columns of the statement and of the verdict; what was measured has the others.
const NARROW: [(usize, u16); 2] = [(0, 30), (2, 13)];

/// Above the table.
pub(super) fn title(statements: &[Statement]) -> String {
    let mut known = statements
        .iter()
        .flat_map(|statement| &statement.measured)
        .filter_map(|beside| beside.figure.known());
    let star = if known.any(|found| !star(found).is_empty()) { STAR } else { "" };
    let title = "The paper's statements (Fujita, Abe and Lee) beside what was measured";
    [title, star].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// One row per statement; none where there is none.
pub(super) fn table_of(statements: &[Statement]) -> Option<Table> {
    if statements.is_empty() {
        return None;
    }
    let mut rows = table(&["the paper says", "here", "agrees"]);
    for column in rows.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Left);
    }
    for (index, width) in NARROW {
        if let Some(column) = rows.column_mut(index) {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
    }
    for statement in statements {
        let Statement { statement: text, place, paper, .. } = statement;
        rows.add_row([
            format!("{text}: {paper} ({place})"),
            here(statement).join("\n"),
            agreement(statement),
        ]);
    }
    Some(rows)
}

/// The same as Markdown.
pub(super) fn markdown(statements: &[Statement]) -> String {
    let mut text = markdown::row(&["the paper says", "its value", "here", "agrees"]);
    text.push_str(&markdown::row(&["---"; 4]));
    for statement in statements {
        let said = format!("{} ({})", statement.statement, statement.place);
        let here = here(statement).join("; ");
        let agrees = agreement(statement);
        text.push_str(&markdown::row(&[&said, &statement.paper, &here, &agrees]));
    }
    text
}

/// What was measured, then what is to be said of it.
pub(super) fn here(statement: &Statement) -> Vec<String> {
    let measured = statement.measured.iter().map(line);
    measured.chain(statement.remarks.iter().cloned()).collect()
}

fn line(Beside { what, method, figure, is_correlation }: &Beside) -> String {
    let style = if *is_correlation { Style::CORRELATION } else { Style::LEVEL };
    let value = match (parts(figure, style), figure) {
        (Some([estimate, interval, _]), Figure::Known(found)) => {
            let notes = found.notes.iter().map(|note| format!(", {}", reasons::note(note)));
            let notes: String = notes.collect();
            format!("{estimate} {interval}{}{notes}", star(found))
        }
        (_, Figure::Null(absent)) => format!("none: {}", reasons::reason(&absent.why)),
        (None, Figure::Known(_)) => "-".into(),
    };
    format!("{method}: {what}: {value}")
}

/// The verdict, with a star where one run led to it.
pub(super) fn agreement(statement: &Statement) -> String {
    let verdict = match statement.agrees {
        Agreement::Yes => "yes",
        Agreement::No => "NO",
        Agreement::CannotTell => "cannot tell",
        Agreement::NotInThisScenario => "not in this scenario",
    };
    let star = if statement.basis == Some(Basis::WithinRun) { "*" } else { "" };
    format!("{verdict}{star}")
}
