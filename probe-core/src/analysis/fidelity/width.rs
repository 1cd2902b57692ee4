//! What a method still shows, by bin width, and the finest width at which it is accurate.

use super::Fidelity;
use crate::analysis::figures::{Definition, table};
use crate::model::{
    figure::Figure,
    figures::{AtWidth, Finest, WidthFigures},
    method::MethodId,
    reason::Reason,
    units::Nanos,
};

/// Examined widths besides the scenario's own, in ms, if they are whole multiples of it.
const WIDTHS_MS: [u64; 8] = [10, 20, 50, 100, 200, 500, 1000, 2000];

/// A series counts as accurate if its error is below one of these.
const BOUNDS: [f64; 2] = [0.01, 0.05];

/// The figures by width, the narrowest first.
pub(super) fn figures(fidelity: &Fidelity, method: &MethodId, bin: Nanos) -> WidthFigures {
    let at = |by: u64| {
        let wider;
        let fidelity = if by == 1 {
            fidelity
        } else {
            wider = fidelity.widened(usize::try_from(by).unwrap_or(usize::MAX));
            &wider
        };
        let figure = |&row: &&'static Definition| (row.name, fidelity.row(row, method, 1));
        AtWidth {
            width_s: Nanos(by.saturating_mul(bin.0)).as_secs(),
            figures: table::BY_WIDTH.iter().map(figure).collect(),
        }
    };
    let widths: Vec<AtWidth> = multiples(bin).map(at).collect();
    let finest = BOUNDS.map(|bound| finest(&widths, bound)).into();
    WidthFigures { widths, finest }
}

/// The scenario's bin and its whole multiples among the others: the number of bins in each.
fn multiples(bin: Nanos) -> impl Iterator<Item = u64> {
    let others = WIDTHS_MS.into_iter().map(|ms: u64| ms.saturating_mul(1_000_000));
    let wider = others.filter(move |other| *other > bin.0 && other.is_multiple_of(bin.0));
    std::iter::once(1).chain(wider.filter_map(move |other| other.checked_div(bin.0)))
}

/// The narrowest width at which the error's whole interval is below `bound`.
fn finest(widths: &[AtWidth], bound: f64) -> Finest {
    let ends = || {
        widths
            .iter()
            .filter_map(|at| Some((at.width_s, at.figures.of(table::SERIES_ERROR).known()?.hi?)))
    };
    let found = ends().find(|(_, hi)| *hi < bound).map(|(width, _)| width);
    let least = ends().min_by(|a, b| a.1.total_cmp(&b.1));
    let why = match (found, least, widths.first().map(|at| at.figures.of(table::SERIES_ERROR))) {
        (Some(_), ..) => None,
        (None, Some((width_s, hi)), _) => Some(Reason::ErrorNotBelow { bound, hi, width_s }),
        (None, None, Some(Figure::Null(absent))) => Some(absent.why.clone()),
        (None, None, _) => Some(Reason::NoIntervalOfError),
    };
    Finest { error_below: bound, width_s: found, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_whole_multiples_of_the_scenarios_bin() {
        let of =
            |ms: u64| -> Vec<u64> { multiples(Nanos(ms * 1_000_000)).map(|by| by * ms).collect() };
        assert_eq!(of(10), [10, 20, 50, 100, 200, 500, 1000, 2000]);
        assert_eq!(of(250), [250, 500, 1000, 2000]);
        assert_eq!(of(300), [300]);
        assert_eq!(of(5000), [5000]);
    }
}
