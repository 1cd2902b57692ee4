//! Draws the figures in a table: one panel per column that has any, one row per table row.

use super::{
    figure::{Chart, key, look},
    svg::{
        forest::{self, Cell, Panel, Row},
        marks::Shape,
    },
};
use crate::{
    model::{
        campaign::{Campaign, MethodSummary},
        figure::Figure,
    },
    report::{
        columns::{OfMethods, table},
        shown::described,
        table::{Column, Table},
    },
};

/// The drawing for all methods; `None` if no method has a number.
pub(super) fn figure<'a>(
    campaign: &'a Campaign,
    [id, title, about]: [&str; 3],
    columns: Vec<OfMethods<'a>>,
) -> Option<Chart> {
    let table = table(&campaign.summary.methods, columns)?;
    let of =
        |method: &&MethodSummary| described(campaign, &method.id).map_or((Shape::Cross, 0), look);
    let (panels, rows) = drawn(&table, of);
    let drawing = forest::draw(&panels, &rows, &key(campaign));
    Some(Chart::new(id, title, about, drawing, &table))
}

/// The drawing of a table: each column that holds figures, each row with its look.
pub(super) fn drawn<Of>(
    table: &Table<'_, Of>,
    look: impl Fn(&Of) -> (Shape, usize),
) -> (Vec<Panel>, Vec<Row>) {
    let holds_figures =
        |column: &&Column<'_, Of>| table.rows.iter().any(|row| column.cell(row).shown().is_some());
    let columns: Vec<_> = table.columns.iter().filter(holds_figures).collect();
    let panel = |column: &&Column<'_, Of>| {
        let Column { name, unit, .. } = column;
        Panel { title: [name, unit].map(|part| part.clone().into_owned()) }
    };
    let row = |row| {
        let label = table.columns.first().and_then(|column| column.cell(row).line());
        let (shape, series) = look(row);
        let cells = columns.iter().map(|column| column.cell(row).shown().and_then(mark));
        Row { label: label.unwrap_or_default(), shape, series, cells: cells.collect() }
    };
    (columns.iter().map(panel).collect(), table.rows.iter().map(row).collect())
}

/// As a mark of a drawing.
pub(super) fn mark(figure: &Figure) -> Option<Cell> {
    let found = figure.known()?;
    let interval = found.lo.zip(found.hi).map(<[f64; 2]>::from);
    Some(Cell { estimate: found.estimate, interval })
}
