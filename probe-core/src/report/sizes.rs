//! What methods cost by the number of functions that they trace.

use super::{
    columns::{OfMethods, id},
    number::{Style, parts},
    table::{Cell, Table},
};
use crate::analysis::figures::table::KERNEL_NS_PER_KICK;
use crate::model::campaign::MethodSummary;
use crate::model::figures::SizeFigures;

/// The table's title.
pub(super) const TITLE: &str =
    "What it costs by the number of traced functions: ns per kick above `off` (hits per kick)";

/// The greatest number of columns that fit side by side.
const COLUMNS: usize = 6;

/// One row per method, one column per number of functions; `None` if only one number was measured.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table<'_, &MethodSummary>> {
    let sizes: Vec<usize> = methods
        .iter()
        .find(|method| !method.by_size.is_empty())?
        .by_size
        .iter()
        .map(|size| size.functions)
        .collect();
    // The fewest and the most are the most informative.
    let shown: Vec<usize> = match sizes.split_last() {
        Some((most, fewer)) => fewer.iter().take(COLUMNS - 1).chain([most]).copied().collect(),
        None => sizes,
    };
    let column = |functions: usize| {
        OfMethods::new(functions.to_string(), move |method| {
            method.by_size.iter().find(|size| size.functions == functions).map(cell).into()
        })
    };
    let columns = [id()].into_iter().chain(shown.into_iter().map(column)).collect();
    let measured = methods.iter().filter(|method| !method.by_size.is_empty());
    Some(Table::new(measured, columns))
}

fn cell(size: &SizeFigures) -> Cell {
    let hits = size.events_per_kick.map(|hits| format!("({hits:.1})"));
    let figure = parts(size.figures.of(KERNEL_NS_PER_KICK), Style::DIFFERENCE);
    let figure =
        figure.map_or(vec!["-".into()], |[estimate, interval, _]| vec![estimate, interval]);
    Cell::lines(figure.into_iter().chain(hits), " ")
}
