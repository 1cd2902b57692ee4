//! How long frames take.

use maud::html;

use super::{
    PageSection,
    figure::{self, Chart, FAMILIES},
    panels,
    svg::{
        Area, Drawing, LINE, WIDTH, axis, legend,
        lines::{self, Line, Look, Point, Stroke},
        scale::{AxisScale, Extent},
    },
};
use crate::analysis::figures::table::{
    LATENCY_MAX_US, LATENCY_P50_PCT, LATENCY_P50_US, LATENCY_P90_PCT, LATENCY_P90_US,
    LATENCY_P99_9_PCT, LATENCY_P99_9_US, LATENCY_P99_PCT, LATENCY_P99_US,
};
use crate::{
    analysis::{baseline, latency::curve_us, pairs::Trials},
    model::{
        campaign::Campaign,
        method::{Descriptor, Family, MethodId},
    },
    report::{
        columns::overhead,
        number::Style,
        table::{Cell, Column, Table},
    },
};

/// The percentiles, as shares, at which curves have points.
const SHARES: [f64; 13] =
    [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];

/// The shares that have a tick.
const TICKS: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

const CHANGES: [&str; 3] = [
    "latency-change",
    "How much longer frames take than under off",
    "At fixed load, from when a frame was due until the sink had it: change of each percentile.",
];

const ABOUT: &str = "At fixed load, from when a frame was due, however late it was sent, until the \
                     sink's kernel had it. Each point is the mean over blocks of that percentile \
                     of the trials' histograms; intervals at 50, 90, 99 and 99.9 %. The axis \
                     stretches the tail: 90 to 99 % is as wide as 99 to 99.9 %.";

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let curves = FAMILIES.into_iter().filter_map(|family| curves(campaign, family));
    let figures = changes(campaign).into_iter().chain(curves);
    Some(PageSection { id: "latency", title: "Latency", blocks: figures.map(Into::into).collect() })
}

fn changes(campaign: &Campaign) -> Option<Chart> {
    let columns = [LATENCY_P50_PCT, LATENCY_P90_PCT, LATENCY_P99_PCT, LATENCY_P99_9_PCT];
    panels::figure(campaign, CHANGES, columns.map(overhead).into())
}

/// The baseline and one family's methods; none where no frame was timed.
fn curves(campaign: &Campaign, family: Family) -> Option<Chart> {
    let off =
        line(campaign, &MethodId(MethodId::OFF.into()), Look { series: 0, stroke: Stroke::Broad })?;
    let methods = campaign.design.methods.iter().filter(|method| method.family == family);
    let lines = methods
        .enumerate()
        .filter_map(|(index, Descriptor { id, .. })| line(campaign, id, Look::of(index)));
    let lines: Vec<Line> = std::iter::once(off).chain(lines).collect();
    if lines.len() < 2 {
        return None;
    }
    let name = figure::name(family);
    let [id, title] = [format!("latency-{name}"), format!("How long frames take: {name}")];
    Some(Chart::new(id, title, ABOUT, drawing(&lines), &data(campaign, &lines)))
}

fn line(campaign: &Campaign, id: &MethodId, look: Look) -> Option<Line> {
    let trials = Trials { runs: &campaign.runs, all: &baseline::pooled(&campaign.trials) };
    let levels = curve_us(&trials, id, &SHARES);
    let points = SHARES.iter().zip(levels).filter_map(|(&share, level)| {
        let interval = interval(campaign, id, share);
        Some(Point { x: nines(share), y: level?, interval })
    });
    let points: Vec<Point> = points.collect();
    (!points.is_empty()).then(|| Line { label: id.to_string(), look, points })
}

/// The interval, if this percentile is also a figure.
fn interval(campaign: &Campaign, id: &MethodId, share: f64) -> Option<[f64; 2]> {
    let method = campaign.summary.methods.iter().find(|method| method.id == *id)?;
    let all = [
        (0.5, LATENCY_P50_US),
        (0.9, LATENCY_P90_US),
        (0.99, LATENCY_P99_US),
        (0.999, LATENCY_P99_9_US),
    ];
    let (_, row) = all.into_iter().find(|(known, _)| *known == share)?;
    panels::mark(method.overhead.of(row))?.interval
}

/// 1 for 90 %, 2 for 99 %, and so on.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn per_cent(share: f64) -> String {
    let digits = 100.0 * share;
    format!("{} %", (digits * 100.0).round() / 100.0)
}

fn drawing(lines: &[Line]) -> Drawing {
    let area = Area { left: 52.0, top: 26.0, width: WIDTH - 68.0, height: 240.0 };
    let xs = Extent::of(lines.iter().flat_map(Line::xs)).unwrap_or(Extent(0.0, 4.0));
    let x = AxisScale::tight(xs, [area.left, area.right()]);
    let y = AxisScale::log(lines::extent(lines), [area.bottom(), area.top]);
    let last = lines.iter().flat_map(Line::xs).fold(0.0, f64::max);
    let ticks = TICKS.into_iter().filter(|&share| nines(share) <= last + 1e-9);
    let ticks: Vec<(f64, String)> = ticks.map(|share| (nines(share), per_cent(share))).collect();
    let entries: Vec<_> = lines.iter().map(Line::entry).collect();
    let (legend, below) = legend::below(area.bottom() + 38.0, &entries);
    let marks = html! {
        (axis::bottom(area, &x, &ticks, "of the frames took less"))
        (lines::strip(area, &x, &y, lines, "µs, logarithmic"))
        (legend)
    };
    Drawing { height: area.bottom() + 38.0 + below + LINE / 2.0, marks }
}

type OfShares<'a> = Column<'a, Option<f64>>;

/// One row per percentile, the last for the maximum; one column per method.
fn data<'a>(campaign: &'a Campaign, lines: &'a [Line]) -> Table<'a, Option<f64>> {
    let share = OfShares::new("of the frames took less", |share| {
        share.map_or("longest".to_owned(), per_cent).into()
    });
    let column = |line: &'a Line| {
        let cell = |share: &Option<f64>| {
            share.map_or_else(|| longest(campaign, line), |share| at(line, share))
        };
        OfShares::new(&*line.label, cell).unit("µs")
    };
    let columns = [share].into_iter().chain(lines.iter().map(column));
    Table::new(SHARES.into_iter().map(Some).chain([None]), columns.collect())
}

fn at(line: &Line, share: f64) -> Cell {
    match line.points.iter().find(|point| point.x == nines(share)) {
        Some(Point { y, interval: Some([lo, hi]), .. }) => {
            format!("{y:.1} [{lo:.1}, {hi:.1}]").into()
        }
        Some(Point { y, .. }) => format!("{y:.1}").into(),
        None => "too few frames".into(),
    }
}

fn longest(campaign: &Campaign, line: &Line) -> Cell {
    let method = campaign.summary.methods.iter().find(|method| method.id.0 == line.label);
    method.map(|method| Cell::short(method.overhead.of(LATENCY_MAX_US), Style::LEVEL)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_spread_by_their_nines_and_named_without_noise() {
        assert!((nines(0.9) - 1.0).abs() < 1e-12 && (nines(0.9999) - 4.0).abs() < 1e-9);
        assert_eq!(SHARES.map(per_cent)[8..], ["99.5 %", "99.8 %", "99.9 %", "99.95 %", "99.99 %"]);
    }
}
