//! The table of columns: what each column of the other tables is.

use super::{Column, RESULT, bins, figures, trials};

/// One column of a table.
pub(super) struct Row {
    table: &'static str,
    column: [&'static str; 3],
}

/// Name, unit and meaning of each.
pub(super) fn told<Row>(columns: &[Column<Row>]) -> Vec<[&'static str; 3]> {
    columns.iter().map(|column| [column.name, column.unit, column.about]).collect()
}

/// The columns of all tables, as they are of one result or of `several`.
pub(super) fn rows(several: bool) -> Vec<Row> {
    let all = [
        ("trials", told(&trials::columns())),
        ("bins", told(&bins::columns())),
        ("figures", told(&figures::columns())),
    ];
    let rows = all
        .into_iter()
        .flat_map(|(table, columns)| columns.into_iter().map(move |column| Row { table, column }));
    rows.filter(|row| several || row.column[0] != RESULT).collect()
}

/// Of this table.
pub(super) fn columns() -> Vec<Column<Row>> {
    vec![
        Column::text("table", "trials, bins or figures", |row| Some(row.table.to_owned())),
        Column::text("column", "its name", |row| Some(row.column[0].to_owned())),
        Column::text("unit", "null where its values have none", |row| {
            Some(row.column[1].to_owned()).filter(|unit| !unit.is_empty())
        }),
        Column::text("about", "what it is", |row| Some(row.column[2].to_owned())),
    ]
}
