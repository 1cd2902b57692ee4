//! How figures are printed.

use super::number::{Style, nanoseconds};
use crate::{
    analysis::{
        estimate::Scale,
        figures::{
            Definition, Unit,
            table::{FIDELITY, KERNEL_NS_PER_EVENT, OTHER_PERCENTILES, OVERHEAD},
        },
    },
    model::{
        campaign::MethodSummary,
        figure::{Estimate, Figure},
    },
};

impl Definition {
    /// The style of its numbers.
    pub(super) fn style(&self) -> Style {
        match (self.unit, self.scale) {
            (Unit::Correlation, Scale::Difference) => Style::CORRELATIONS,
            (Unit::Correlation | Unit::Bits, _) => Style::CORRELATION,
            (_, Scale::Difference | Scale::PerCentOfControl) => Style::DIFFERENCE,
            (_, Scale::Level(_)) => Style::LEVEL,
        }
    }
}

/// A figure of one method, with its name for use in sentences.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownFigure<'a> {
    pub(super) name: &'static str,
    pub(super) figure: &'a Figure,
    pub(super) style: Style,
}

/// All figures of a method that the tables are made from; of percentiles the first stands for all.
pub(super) fn of(method: &MethodSummary) -> impl Iterator<Item = ShownFigure<'_>> {
    let is_told =
        |row: &&&'static Definition| OTHER_PERCENTILES.iter().all(|other| other.name != row.name);
    let overhead = OVERHEAD.iter().filter(is_told).map(|&row| (row, method.overhead.of(row)));
    let fidelity = FIDELITY.iter().map(|&row| (row, method.fidelity.figures.of(row)));
    let named = |(row, figure): (&'static Definition, _)| ShownFigure {
        name: row.name,
        figure,
        style: row.style(),
    };
    overhead.chain(fidelity).map(named)
}

/// The unit of costs per call, which depends on the clock.
pub(super) fn of_cost(methods: &[MethodSummary]) -> &'static str {
    let clock =
        |method: &MethodSummary| Some(method.overhead.of(KERNEL_NS_PER_EVENT).known()?.platform);
    nanoseconds(methods.iter().find_map(clock))
}

/// A figure multiplied by a number, to change its unit.
pub(super) fn times(figure: &Figure, factor: f64) -> Figure {
    let scaled = |found: &Estimate| {
        let times = |value: Option<f64>| value.map(|value| factor * value);
        Figure::Known(Estimate {
            estimate: factor * found.estimate,
            lo: times(found.lo),
            hi: times(found.hi),
            detectable: times(found.detectable),
            ..found.clone()
        })
    };
    figure.known().map_or_else(|| figure.clone(), scaled)
}
