//! The table of columns: describes each column of the other tables.

use super::{RESULT, bins, figures, trials};
use crate::report::table::{Column, Table};

/// One column of a table: the table, its name, its unit and its description.
type Row = [String; 4];
type OfColumns = Column<'static, Row>;

fn told<Of>(table: &str, columns: &[Column<'_, Of>]) -> Vec<Row> {
    let row = |Column { name, unit, about, .. }: &Column<'_, Of>| {
        [table, name, unit, about].map(str::to_owned)
    };
    columns.iter().map(row).collect()
}

/// The columns of all tables, for one result or for `several`.
pub(super) fn table(several: bool) -> Table<'static, Row> {
    let all = [
        told("trials", &trials::columns()),
        told("bins", &bins::columns()),
        told("figures", &figures::columns()),
    ];
    let rows = all.into_iter().flatten().filter(|[_, name, ..]| several || name != RESULT);
    let columns = vec![
        OfColumns::text("table", "trials, bins or figures", |[table, ..]| Some(table.clone())),
        OfColumns::text("column", "its name", |[_, name, ..]| Some(name.clone())),
        OfColumns::text("unit", "null if its values have none", |[_, _, unit, _]| {
            Some(unit.clone()).filter(|unit| !unit.is_empty())
        }),
        OfColumns::text("about", "what it is", |[.., about]| Some(about.clone())),
    ];
    Table::new(rows, columns)
}
