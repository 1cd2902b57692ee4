//! Figures of all methods, row by row: a name, what is shown, and its table.

use super::{
    data::{Data, cell},
    figure::{Figure, key, look},
    svg::forest::{self, Cell, Panel, Row},
};
use crate::{
    analysis::figures::Definition,
    model::{
        campaign::{Campaign, MethodSummary},
        figure::{Estimate, Figure as Number},
    },
    report::{number::Style, shown::described},
};

/// A column: what it is of, in which unit, and how its numbers are written.
pub(super) struct Column<'a> {
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    pub(super) style: Style,
    pub(super) of: Box<dyn Fn(&MethodSummary) -> Number + 'a>,
}

impl<'a> Column<'a> {
    /// Of a figure of the overhead.
    pub(super) fn overhead(row: &'static Definition) -> Self {
        let of = move |method: &MethodSummary| method.overhead.of(row).clone();
        Self { title: row.title, unit: row.unit.symbol(), style: row.style(), of: Box::new(of) }
    }

    /// Of a figure of the fidelity.
    pub(super) fn fidelity(row: &'static Definition) -> Self {
        let of = move |method: &MethodSummary| method.fidelity.figures.of(row).clone();
        Self { title: row.title, unit: row.unit.symbol(), style: row.style(), of: Box::new(of) }
    }

    /// In another unit, or with what stands in its place.
    pub(super) fn unit(self, unit: &'a str) -> Self {
        Self { unit, ..self }
    }
}

/// The figure; none where no method has a number.
pub(super) fn figure(
    campaign: &Campaign,
    [id, title, about]: [&str; 3],
    columns: &[Column<'_>],
) -> Option<Figure> {
    let mut data = Data::new(std::iter::once("method".to_owned()).chain(columns.iter().map(head)));
    let mut rows = Vec::new();
    for method in &campaign.summary.methods {
        let figures: Vec<Number> = columns.iter().map(|column| (column.of)(method)).collect();
        let (Some(described), true) = (
            described(campaign, &method.id),
            figures.iter().any(|figure| figure.known().is_some()),
        ) else {
            continue;
        };
        let (shape, series) = look(described);
        let told = figures.iter().zip(columns).map(|(figure, column)| cell(figure, column.style));
        data.push(std::iter::once(method.id.to_string()).chain(told));
        let cells = figures.iter().map(mark).collect();
        rows.push(Row { label: method.id.to_string(), shape, series, cells });
    }
    let panel =
        |column: &Column<'_>| Panel { title: [column.title, column.unit].map(String::from) };
    let panels: Vec<Panel> = columns.iter().map(panel).collect();
    (!rows.is_empty()).then(|| Figure {
        id: id.into(),
        title: title.into(),
        about: about.into(),
        drawing: forest::draw(&panels, &rows, &key(campaign)),
        data,
    })
}

fn head(column: &Column<'_>) -> String {
    format!("{}, {}", column.title, column.unit)
}

/// As a mark of a drawing.
pub(super) fn mark(figure: &Number) -> Option<Cell> {
    let found = figure.known()?;
    let interval = found.lo.zip(found.hi).map(<[f64; 2]>::from);
    Some(Cell { estimate: found.estimate, interval })
}

/// A figure times a number, for another unit.
pub(super) fn times(figure: &Number, factor: f64) -> Number {
    let scaled = |found: &Estimate| {
        let times = |value: Option<f64>| value.map(|value| factor * value);
        Number::Known(Estimate {
            estimate: factor * found.estimate,
            lo: times(found.lo),
            hi: times(found.hi),
            detectable: times(found.detectable),
            ..found.clone()
        })
    };
    figure.known().map_or_else(|| figure.clone(), scaled)
}
