//! A table, defined once, for people and for programs.
//!
//! A table is a list of [`Column`]s over rows. A column has a name, a unit, and a function that
//! gives the cell for a row. `text`, `markdown`, `html`, `csv` and `parquet` each write any table
//! in their own format.

mod cell;
mod csv;
mod html;
mod markdown;
pub(super) mod parquet;
mod text;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use jiff::Timestamp;

pub(super) use self::{cell::Cell, html::prose};
use crate::{analysis::figures::Definition, model::figure::Figure};

/// Columns over rows.
pub(super) struct Table<'a, Row> {
    pub(super) columns: Vec<Column<'a, Row>>,
    pub(super) rows: Vec<Row>,
}

/// A column of a table.
pub(super) struct Column<'a, Row> {
    pub(super) name: Cow<'a, str>,
    /// Empty if its values have no unit.
    pub(super) unit: Cow<'a, str>,
    /// Its description, for the columns of tables that programs read.
    pub(super) about: &'static str,
    /// Whether its cells are sentences, which are left-aligned.
    words: bool,
    /// Greatest width of a cell in a terminal; the rest continues on the cell's next line.
    width: Option<usize>,
    value: Value<'a, Row>,
}

/// How a column's values are read. For programs the type is known before any value is.
enum Value<'a, Row> {
    Cell(Box<dyn Fn(&Row) -> Cell + 'a>),
    Text(fn(&Row) -> Option<String>),
    Count(fn(&Row) -> Option<u64>),
    Number(fn(&Row) -> Option<f64>),
    Flag(fn(&Row) -> Option<bool>),
    Time(fn(&Row) -> Option<Timestamp>),
}

impl<'a, Row> Table<'a, Row> {
    pub(super) fn new(rows: impl IntoIterator<Item = Row>, columns: Vec<Column<'a, Row>>) -> Self {
        Self { columns, rows: rows.into_iter().collect() }
    }

    /// `None` if there are no rows.
    pub(super) fn unless_empty(self) -> Option<Self> {
        (!self.rows.is_empty()).then_some(self)
    }
}

impl<'a, Row> Column<'a, Row> {
    pub(super) fn new(name: impl Into<Cow<'a, str>>, cell: impl Fn(&Row) -> Cell + 'a) -> Self {
        Self::with(name, "", Value::Cell(Box::new(cell)))
    }

    /// A figure with its interval, with the title from its definition.
    pub(super) fn figure(row: &'static Definition, of: impl Fn(&Row) -> Figure + 'a) -> Self {
        let style = row.style();
        Self::new(row.title, move |row| Cell::figure(&of(row), style)).unit(row.unit.symbol())
    }

    pub(super) fn text(
        name: &'a str,
        about: &'static str,
        read: fn(&Row) -> Option<String>,
    ) -> Self {
        Self::with(name, about, Value::Text(read))
    }

    pub(super) fn flag(name: &'a str, about: &'static str, read: fn(&Row) -> Option<bool>) -> Self {
        Self::with(name, about, Value::Flag(read))
    }

    pub(super) fn time(
        name: &'a str,
        about: &'static str,
        read: fn(&Row) -> Option<Timestamp>,
    ) -> Self {
        Self::with(name, about, Value::Time(read))
    }

    pub(super) fn count(
        name: &'a str,
        unit: &'a str,
        about: &'static str,
        read: fn(&Row) -> Option<u64>,
    ) -> Self {
        Self::with(name, about, Value::Count(read)).unit(unit)
    }

    pub(super) fn number(
        name: &'a str,
        unit: &'a str,
        about: &'static str,
        read: fn(&Row) -> Option<f64>,
    ) -> Self {
        Self::with(name, about, Value::Number(read)).unit(unit)
    }

    fn with(name: impl Into<Cow<'a, str>>, about: &'static str, value: Value<'a, Row>) -> Self {
        Self { name: name.into(), unit: "".into(), about, words: false, width: None, value }
    }

    pub(super) fn named(self, name: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(super) fn unit(self, unit: impl Into<Cow<'a, str>>) -> Self {
        Self { unit: unit.into(), ..self }
    }

    /// Limits the width of its cells in a terminal.
    pub(super) fn within(self, width: usize) -> Self {
        Self { width: Some(width), ..self }
    }

    /// Says that its cells are sentences.
    pub(super) fn words(self) -> Self {
        Self { words: true, ..self }
    }

    /// Name and unit in one line.
    fn head(&self) -> String {
        let parts = [&*self.name, &*self.unit];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }

    /// The cell for this row.
    pub(super) fn cell(&self, row: &Row) -> Cell {
        let text = match &self.value {
            Value::Cell(cell) => return cell(row),
            Value::Text(read) => read(row),
            Value::Count(read) => read(row).map(|count| count.to_string()),
            Value::Number(read) => read(row).filter(|n| n.is_finite()).map(|n| n.to_string()),
            Value::Flag(read) => read(row).map(|flag| flag.to_string()),
            Value::Time(read) => read(row).map(|time| time.to_string()),
        };
        text.map_or(Cell::None, Cell::Text)
    }
}
