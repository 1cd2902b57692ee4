//! The paper's statements beside the measured values.

use super::{
    number::{Style, parts},
    reasons,
    shown::star,
    table::{Cell, Column, Table},
};
use crate::model::{
    figure::{Basis, Figure},
    paper::{Agreement, Beside, Statement},
};

/// The table's title.
pub(super) const TITLE: &str =
    "The paper's statements (Fujita, Abe and Lee) beside what was measured";

type OfStatements<'a> = Column<'a, &'a Statement>;

/// One row per statement; `None` if there are none.
pub(super) fn table_of(statements: &[Statement]) -> Option<Table<'_, &Statement>> {
    let columns = vec![
        OfStatements::new("the paper says", |said| {
            format!("{}: {} ({})", said.statement, said.paper, said.place).into()
        })
        .within(30),
        OfStatements::new("here", |said| Cell::lines(here(said), "; ")).words(),
        OfStatements::new("agrees", |said| agreement(said).into()).within(13).words(),
    ];
    Table::new(statements, columns).unless_empty()
}

/// The measured values, then the remarks.
fn here(statement: &Statement) -> Vec<String> {
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

/// The verdict, with a star if it rests on one run.
fn agreement(statement: &Statement) -> String {
    let verdict = match statement.agrees {
        Agreement::Yes => "yes",
        Agreement::No => "NO",
        Agreement::CannotTell => "cannot tell",
        Agreement::NotInThisScenario => "not in this scenario",
    };
    let star = if statement.basis == Some(Basis::WithinRun) { "*" } else { "" };
    format!("{verdict}{star}")
}
