//! What methods show by the width of the bins, and at which lag.

use comfy_table::Table;

use super::{
    number::Style,
    text::{id, table},
};
use crate::analysis::figures::table::{R_M, SERIES_ERROR};
use crate::model::{
    campaign::MethodSummary,
    figure::Figure,
    figures::{AtWidth, Finest, Lag, Lagged, WidthFigures},
};

/// Above the table.
pub(super) const TITLE: &str = "What it still shows by the width of the bins: r_m, and below it the series error in % (intervals in \
                                campaign.json); the finest of these widths at which all of the error's interval is below 1 %, 5 %";

/// Widths that fit beside each other.
const COLUMNS: usize = 6;

/// One row per method that has a series, one column per width; none where only the scenario's own
/// was looked at.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    let shown: Vec<(&MethodSummary, &WidthFigures)> = methods
        .iter()
        .filter_map(|method| Some((method, method.fidelity.by_width.as_ref()?)))
        .filter(|(_, found)| found.widths.iter().any(is_known))
        .collect();
    // The narrowest tell most.
    let (_, first) = shown.first()?;
    let widths: Vec<f64> = first.widths.iter().take(COLUMNS).map(|at| at.width_s).collect();
    if widths.len() < 2 {
        return None;
    }
    let header = widths.iter().copied().map(width);
    let ends = ["true to 1 %", "true to 5 %"].map(String::from);
    let header: Vec<String> =
        std::iter::once("method".to_owned()).chain(header).chain(ends).collect();
    let mut rows = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for (method, found) in shown {
        let cells = found.widths.iter().take(widths.len()).map(cell);
        let finest = found.finest.iter().map(|finest| told(finest, found));
        rows.add_row(std::iter::once(id(method)).chain(cells).chain(finest));
    }
    Some(rows)
}

/// Methods whose series goes best with a throughput of another time than the reference counter's
/// does beside it.
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
                "{}: its series goes best with the throughput of {}, the reference counter's with that of {}; r of the nearest of nine \
                 lags, without interval.",
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

fn cell(at: &AtWidth) -> String {
    let estimate = |figure: &Figure, scale: f64, decimals: usize| {
        figure.known().map_or("-".into(), |found| format!("{:.decimals$}", scale * found.estimate))
    };
    let r = estimate(at.figures.of(R_M), 1.0, Style::CORRELATION.decimals.unwrap_or(3));
    format!("{r}\n{}", estimate(at.figures.of(SERIES_ERROR), 100.0, 2))
}

/// The scenario's own bin is the finest that there was to look at.
fn told(finest: &Finest, all: &WidthFigures) -> String {
    let own = all.widths.first().map(|at| at.width_s);
    match finest.width_s {
        None => "-".into(),
        Some(found) if Some(found) == own => format!("{}\n(own bin)", width(found)),
        Some(found) => width(found),
    }
}

/// `500 ms`, `2 s`.
pub(super) fn width(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1e3 * seconds) } else { format!("{seconds} s") }
}
