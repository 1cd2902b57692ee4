//! What methods show, by bin width and by lag.

use super::{
    number::Style,
    table::{Cell, Column, Table},
};
use crate::analysis::figures::table::{R_M, SERIES_ERROR};
use crate::model::{
    campaign::MethodSummary,
    figure::Figure,
    figures::{AtWidth, Finest, Lag, Lagged, WidthFigures},
};

/// The table's title.
pub(super) const TITLE: &str = "What it still shows by bin width: r_m, and below it the series \
                                error in % (intervals in campaign.json); the finest of these \
                                widths at which the error's whole interval is below 1 %, 5 %";

/// Number of widths that fit side by side.
const COLUMNS: usize = 6;

type Row<'a> = (&'a MethodSummary, &'a WidthFigures);
type OfWidths<'a> = Column<'a, Row<'a>>;

/// One row per method that has a series, one column per width; `None` if only the scenario's own
/// width was examined.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table<'_, Row<'_>>> {
    let shown: Vec<Row<'_>> = methods
        .iter()
        .filter_map(|method| Some((method, method.fidelity.by_width.as_ref()?)))
        .filter(|(_, found)| found.widths.iter().any(is_known))
        .collect();
    // The narrowest are the most informative.
    let (_, first) = shown.first()?;
    let widths: Vec<f64> = first.widths.iter().take(COLUMNS).map(|at| at.width_s).collect();
    if widths.len() < 2 {
        return None;
    }
    let method = OfWidths::new("method", |(method, _)| Cell::Name(method.id.to_string()));
    let of_width = |(at, seconds)| {
        OfWidths::new(width(seconds), move |(_, found)| found.widths.get(at).map(cell).into())
    };
    let true_to = |(at, name)| {
        OfWidths::new(name, move |(_, found)| {
            found.finest.get(at).and_then(|finest| told(finest, found)).into()
        })
    };
    let columns = [method].into_iter().chain(widths.into_iter().enumerate().map(of_width));
    let ends = ["true to 1 %", "true to 5 %"].into_iter().enumerate().map(true_to);
    Some(Table::new(shown, columns.chain(ends).collect()))
}

/// Methods whose series correlates best with throughput at another lag than the reference counter
/// does.
pub(super) fn lags(methods: &[MethodSummary]) -> Vec<String> {
    let apart = |method: &MethodSummary| {
        let found = method.fidelity.lag.as_ref()?;
        let (Some(Lagged::Known(own)), Lagged::Known(reference)) =
            (&found.method, &found.reference)
        else {
            return None;
        };
        (own.bins != reference.bins).then(|| {
            format!(
                "{}: its series correlates best with the throughput of {}, the reference counter's \
                 with that of {}; best of nine lags, without interval.",
                method.id,
                at(own),
                at(reference)
            )
        })
    };
    methods.iter().filter_map(apart).collect()
}

fn at(lag: &Lag) -> String {
    let when = match lag.bins {
        0 => "the same bin".to_owned(),
        bins if bins < 0 => format!("{} before", width(-lag.seconds)),
        _ => format!("{} after", width(lag.seconds)),
    };
    format!("{when} (r {:.3}, in {} of {} blocks)", lag.r, lag.in_blocks, lag.n)
}

fn is_known(at: &AtWidth) -> bool {
    at.figures.of(R_M).known().is_some() || at.figures.of(SERIES_ERROR).known().is_some()
}

fn cell(at: &AtWidth) -> Cell {
    let estimate = |figure: &Figure, scale: f64, decimals: usize| {
        figure.known().map_or("-".into(), |found| format!("{:.decimals$}", scale * found.estimate))
    };
    let r = estimate(at.figures.of(R_M), 1.0, Style::CORRELATION.decimals.unwrap_or(3));
    Cell::lines([r, estimate(at.figures.of(SERIES_ERROR), 100.0, 2)], ", ")
}

/// The scenario's own bin is the finest that was examined.
fn told(finest: &Finest, all: &WidthFigures) -> Option<Cell> {
    let found = finest.width_s?;
    let own = all.widths.first().is_some_and(|at| at.width_s == found);
    Some(Cell::lines([width(found)].into_iter().chain(own.then(|| "(own bin)".into())), " "))
}

/// `500 ms`, `2 s`.
pub(super) fn width(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1e3 * seconds) } else { format!("{seconds} s") }
}
