//! The figures of a method: one table, and everything derived from it.
//!
//! A row of [`table`] has everything known about a figure. The keys of the result, the test
//! families, the comparison of two campaigns, the definitions in reports, the reference page and
//! the table for other programs are derived from the rows. No other list of figures exists.

mod measured;
pub mod table;
mod unit;

use std::sync::LazyLock;

pub(super) use measured::{of as of_overhead, of_pairs, overhead};
pub use unit::{Unit, Worse};

use super::{
    estimate::Scale,
    pairs::Pair,
    view::{BinQuantity, Rating},
};
use crate::model::{
    campaign::MethodSummary,
    figure::{Estimate, Figure},
    figures::Figures,
    reason::Reason,
    trial::{Measured, Pace},
};

/// Everything known about a figure before it is measured.
#[derive(Debug)]
pub struct Definition {
    /// Its key in the result.
    pub name: &'static str,
    /// A short title, as the heading of a column.
    pub title: &'static str,
    /// The unit of its numbers.
    pub unit: Unit,
    /// Which way is worse.
    pub worse: Worse,
    /// How one value per block becomes a number; figures that are differences have a p.
    pub scale: Scale,
    /// What it is and how it is measured, in one or two sentences.
    pub definition: &'static str,
    /// The value of a block.
    pub(super) value: Value,
}

/// The value of a figure in one block; the error says why there is none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// From the method's trial at fixed load.
    Level(fn(&Measured) -> Result<f64, Reason>),
    /// The same, also for the baseline.
    LevelOfAll(fn(&Measured) -> Result<f64, Reason>),
    /// From the method's trial and the baseline's, at this pace.
    Change(Pace, fn(&Pair<'_>) -> Result<f64, Reason>),
    /// The same in the closed loop, for methods that do work per call.
    PerCall(fn(&Pair<'_>) -> Result<f64, Reason>),
    /// Of the bins of the fidelity trials.
    Bins(BinQuantity, Rating),
}

impl Definition {
    /// Whether the fidelity of the baseline has it.
    pub(super) fn is_of_control(&self) -> bool {
        matches!(self.value, Value::Bins(quantity, _) if quantity.is_of_control())
    }
}

impl Figures {
    /// The figure of this row. It has no number if the result's version did not know it.
    pub fn of(&self, row: &Definition) -> &Figure {
        static UNKNOWN: LazyLock<Figure> = LazyLock::new(|| Figure::null(Reason::NotInThisResult));
        self.get(row.name).unwrap_or(&UNKNOWN)
    }

    #[cfg(test)]
    pub(crate) fn of_mut(&mut self, row: &Definition) -> &mut Figure {
        self.get_mut(row.name).unwrap()
    }
}

/// A figure of one method, with everything that determines how it is compared.
#[derive(Debug, Clone)]
pub struct NamedFigure<'a> {
    /// Its path in the method's summary.
    pub path: String,
    /// The number, or why there is none.
    pub figure: &'a Figure,
    /// Its row in the table.
    pub definition: &'static Definition,
    pub(super) place: Scope<'a>,
}

/// The part of the method's summary.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    Overhead,
    /// On this number of functions, the first ones of the target.
    Size(usize),
    /// For this function; `None` is the headline function.
    Fidelity(Option<&'a str>),
}

/// How far two runs in the counted clock may be apart without any reason: shifts that all blocks
/// have in common, which their scatter does not show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Repeatability {
    /// In the figure's unit.
    pub(super) within: f64,
    /// Whether one block and its replay are judged by it.
    pub(super) of_one: bool,
}

impl NamedFigure<'_> {
    /// By the figure's unit; docs/src/explanation/comparing.md says what each rests on.
    pub(super) fn repeatability(&self, base: &Estimate) -> Repeatability {
        let unit = self.definition.unit;
        Repeatability { within: unit.repeats(base.estimate), of_one: unit == Unit::Ns }
    }
}

/// The figures of a method that are compared and judged, those without a number included; of the
/// control, what there is to see.
pub fn of(method: &MethodSummary) -> impl Iterator<Item = NamedFigure<'_>> {
    let overhead = table::OVERHEAD.iter().map(|&definition| NamedFigure {
        path: format!("overhead.{}", definition.name),
        figure: method.overhead.of(definition),
        definition,
        place: Scope::Overhead,
    });
    // The baseline has no size: its row would be a difference from itself.
    let sizes = method.by_size.iter().filter(|_| !method.id.is_off()).flat_map(|size| {
        table::SIZE.iter().map(|&definition| NamedFigure {
            path: format!("by_size.{}.{}", size.functions, definition.name),
            figure: size.figures.of(definition),
            definition,
            place: Scope::Size(size.functions),
        })
    });
    let others = method.other_functions.iter().flat_map(|(name, found)| {
        fidelity(method, format!("other_functions.{name}"), &found.figures, Some(name.as_str()))
    });
    overhead
        .chain(sizes)
        .chain(fidelity(method, "fidelity".into(), &method.fidelity.figures, None))
        .chain(others)
}

/// `r_0` belongs to the baseline: all methods have the same one. The baseline's other figures are
/// those that the reference counter alone determines.
fn fidelity<'a>(
    method: &'a MethodSummary,
    above: String,
    figures: &'a Figures,
    function: Option<&'a str>,
) -> impl Iterator<Item = NamedFigure<'a>> {
    let theirs = table::FIDELITY.iter().filter(|definition| match method.id.is_off() {
        true => definition.is_of_control(),
        false => definition.name != table::R_0.name,
    });
    theirs.map(move |&definition| NamedFigure {
        path: format!("{above}.{}", definition.name),
        figure: figures.of(definition),
        definition,
        place: Scope::Fidelity(function),
    })
}

/// The p of each figure of a method, by the figure's path. The same path under several methods is
/// one family of tests.
pub(super) fn p_values(method: &mut MethodSummary) -> impl Iterator<Item = (String, &mut f64)> {
    let overhead =
        method.overhead.iter_mut().map(|(name, figure)| (format!("overhead.{name}"), figure));
    let sizes = method.by_size.iter_mut().flat_map(|size| {
        let functions = size.functions;
        let path = move |name: &str| format!("by_size.{functions}.{name}");
        size.figures.iter_mut().map(move |(name, figure)| (path(name), figure))
    });
    let headline = method.fidelity.figures.iter_mut();
    let headline = headline.map(|(name, figure)| (format!("fidelity.{name}"), figure));
    let others = method.other_functions.iter_mut().flat_map(|(function, found)| {
        let path = move |name: &str| format!("other_functions.{function}.{name}");
        found.figures.iter_mut().map(move |(name, figure)| (path(name), figure))
    });
    overhead.chain(sizes).chain(headline).chain(others).filter_map(|(path, figure)| match figure {
        Figure::Known(Estimate { p: Some(p), .. }) => Some((path, p)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{table::ALL, *};
    use crate::analysis::fixture::campaign;

    #[test]
    fn each_name_stands_once_and_units_fit_their_scales() {
        for (group, rows) in ALL {
            let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
            assert_eq!(names.len(), rows.len(), "{group}");
            for row in rows {
                let of_control = row.unit == Unit::PerCentOfControl;
                assert_eq!(row.scale == Scale::PerCentOfControl, of_control, "{}", row.name);
                assert!(row.definition.ends_with('.'), "{}", row.name);
            }
        }
    }

    #[test]
    fn a_summary_holds_all_rows_and_no_others() {
        for method in campaign().summary.methods {
            let keys = |figures: &Figures| -> Vec<String> {
                figures.iter().map(|(name, _)| name.to_owned()).collect()
            };
            let rows = |rows: &[&Definition]| -> Vec<String> {
                rows.iter().map(|row| row.name.to_owned()).collect()
            };
            assert_eq!(keys(&method.overhead), rows(table::OVERHEAD));
            assert_eq!(keys(&method.fidelity.figures), rows(table::FIDELITY));
            assert_eq!(keys(&method.fidelity.beside), rows(table::BESIDE));
        }
    }
}
