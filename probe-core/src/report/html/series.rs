//! Calls and throughput over the schedule, with each method's own series over the reference
//! counter.

use maud::{Markup, html};

use super::{
    PageSection,
    figure::Chart,
    svg::{
        Area, CHARACTER, Drawing, LINE, WIDTH, axis, cut, legend,
        lines::{Line, Look, Point, Stroke, extent, strip},
        px,
        scale::{AxisScale, Extent, count},
        width_of,
    },
};
use crate::{
    model::{
        campaign::Campaign,
        method::Descriptor,
        trial::{Measured, SectionMark},
        units::Nanos,
    },
    report::{
        chart::{Of, happened, labels, means, numbers, over_time, r, shown, window},
        shown::first_trial,
        table::{Column, Table},
    },
};

/// One series, in the unit of its strip.
struct Curve {
    label: String,
    values: Vec<f64>,
    /// Whether it is drawn below the other series of its strip.
    behind: bool,
    /// Its colour.
    colour: usize,
}

/// Curves that share a unit.
struct Strip {
    unit: String,
    series: Vec<Curve>,
}

/// The content of one figure.
struct Schedule<'a> {
    trial: &'a Measured,
    strips: Vec<Strip>,
    window: usize,
}

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let figures = campaign.design.methods.iter().enumerate();
    let figures = figures.filter_map(|(index, method)| figure(campaign, index, method));
    let blocks = figures.map(Into::into).collect();
    Some(PageSection { id: "series", title: "Series over the schedule", blocks })
}

fn figure(campaign: &Campaign, index: usize, method: &Descriptor) -> Option<Chart> {
    let trial = first_trial(campaign, method)?;
    let headline = &campaign.summary.headline_function;
    let window = window(campaign);
    let strips = strips(campaign, method, trial);
    let smooth = strips.iter().flat_map(|strip| &strip.series);
    let smooth = smooth.clone().any(|series| means(&series.values, window).is_some());
    let seen = shown(campaign, method, trial);
    let r = seen.map_or_else(String::new, |seen| r(&seen, trial));
    let r = r
        .trim()
        .strip_prefix("r = ")
        .map_or_else(String::new, |r| format!(" In these bins, its r with throughput is {r}."));
    let bold = if smooth {
        " Faint: the bins; bold: their means over the last 10 s, as in the paper's figure 8."
    } else {
        ""
    };
    let about = format!("`{headline}` and throughput in the first successful block.{bold}{r}");
    let schedule = Schedule { trial, strips, window };
    let id = format!("series-{index}-{}", slug(&method.id.0));
    let title = format!("Over the schedule: {}", method.id);
    Some(Chart::new(id, title, about, schedule.drawing(), &schedule.data()))
}

/// A file name made from `name`.
pub(super) fn slug(name: &str) -> String {
    let plain = name.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' });
    plain.take(60).collect()
}

/// Calls, what the method shows if that is something else, and throughput.
fn strips(campaign: &Campaign, method: &Descriptor, trial: &Measured) -> Vec<Strip> {
    let reference = happened(campaign, trial).map(|seen| Curve {
        label: "calls by the reference counter".into(),
        values: seen.drawn,
        behind: !method.id.is_off(),
        colour: usize::from(method.id.is_off()),
    });
    let mut calls = Strip { unit: "calls per s".into(), series: reference.into_iter().collect() };
    let mut other = None;
    let own = shown(campaign, method, trial).filter(|_| !method.id.is_off());
    if let Some(seen) = own {
        let series = |label| Curve { label, values: seen.drawn, behind: false, colour: 2 };
        match seen.of {
            Of::Hits(name) if name == "calls" => {
                calls.series.push(series(format!("by {}", method.id)));
            }
            Of::Hits(name) => {
                let label = format!("{name} by {}", method.id);
                other = Some(Strip { unit: format!("{name} per s"), series: vec![series(label)] });
            }
            Of::Share => {
                let label = format!("share by {}", method.id);
                other = Some(Strip { unit: "% of CPU time".into(), series: vec![series(label)] });
            }
        }
    }
    let mbit = over_time(&numbers(&trial.throughput), trial);
    let mbit = mbit.into_iter().map(|bytes| 8.0 * bytes / 1e6).collect();
    let throughput = Curve { label: "throughput".into(), values: mbit, behind: false, colour: 3 };
    let throughput = Strip { unit: "Mbit/s".into(), series: vec![throughput] };
    let calls = (!calls.series.is_empty()).then_some(calls);
    calls.into_iter().chain(other).chain([throughput]).collect()
}

const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 46.0;
const STRIP: f64 = 110.0;
const BETWEEN: f64 = 26.0;

type OfBins<'a> = Column<'a, (usize, f64)>;

impl Schedule<'_> {
    /// Seconds from the first edge to each bin's middle.
    fn times(&self) -> Vec<f64> {
        let edges = &self.trial.edges;
        let Some(&first) = edges.first() else { return Vec::new() };
        let middle = |[from, to]: &[Nanos; 2]| {
            f64::midpoint(from.since(first).as_secs(), to.since(first).as_secs())
        };
        edges.array_windows().map(middle).collect()
    }

    fn drawing(&self) -> Drawing {
        let times = self.times();
        let end = self.trial.edges.last().zip(self.trial.edges.first());
        let end = end.map_or(1.0, |(last, first)| last.since(*first).as_secs());
        let drawn = |(index, strip): (usize, &Strip)| {
            let top = TOP + count(index) * (STRIP + BETWEEN);
            let area = Area { left: LEFT, top, width: WIDTH - LEFT - RIGHT, height: STRIP };
            (area, self.lines(strip, &times), strip.unit.clone())
        };
        let strips: Vec<(Area, Vec<Line>, String)> =
            self.strips.iter().enumerate().map(drawn).collect();
        let x = AxisScale::tight(Extent(0.0, end), [LEFT, WIDTH - RIGHT]);
        let bottom = strips.last().map_or(TOP, |(area, ..)| area.bottom());
        let axis = Area { left: LEFT, top: bottom, width: WIDTH - LEFT - RIGHT, height: 0.0 };
        let named = strips.iter().flat_map(|(_, lines, _)| lines);
        let entries: Vec<_> =
            named.filter(|line| !line.label.is_empty()).map(Line::entry).collect();
        let (legend, below) = legend::below(bottom + 38.0, &entries);
        let marks = html! {
            (self.marks(&x, bottom))
            @for (area, lines, unit) in &strips {
                @let y = AxisScale::linear(extent(lines).with(0.0), [area.bottom(), area.top], 3.0);
                (strip(*area, &x, &y, lines, unit))
            }
            (axis::bottom(axis, &x, &x.ticks(8.0), "s from the first bin"))
            (legend)
        };
        Drawing { height: bottom + 38.0 + below + LINE / 2.0, marks }
    }

    /// The bins of a strip's series, and their means on top; only the bolder line has a label.
    fn lines(&self, strip: &Strip, times: &[f64]) -> Vec<Line> {
        let line = |values: &[f64], label: &str, look| Line {
            label: label.into(),
            look,
            points: times
                .iter()
                .zip(values)
                .map(|(&x, &y)| Point { x, y, interval: None })
                .collect(),
        };
        let of = |series: &Curve| {
            let look = |stroke| Look { series: series.colour, stroke };
            let bold = if series.behind { Stroke::Broad } else { Stroke::Solid };
            match means(&series.values, self.window) {
                Some(means) => vec![
                    line(&series.values, "", look(Stroke::Faint)),
                    line(&means, &series.label, look(bold)),
                ],
                None => vec![line(&series.values, &series.label, look(bold))],
            }
        };
        let mut lines: Vec<Line> = strip.series.iter().flat_map(of).collect();
        // Pale lines are drawn first, so that they hide nothing.
        lines.sort_by_key(|line| line.look.stroke != Stroke::Faint);
        lines
    }

    /// Where sections begin, and what they are.
    fn marks(&self, x: &AxisScale, bottom: f64) -> Markup {
        let start = |bin: usize| {
            let edges = &self.trial.edges;
            let edge = edges.get(bin).or(edges.last())?;
            Some(x.at(edge.since(*edges.first()?).as_secs()))
        };
        let sections = &self.trial.sections;
        let told = labels(sections);
        let starts: Vec<f64> =
            sections.iter().filter_map(|section| start(section.first_bin)).collect();
        let ends = starts.iter().skip(1).copied().chain([WIDTH - RIGHT]);
        html! {
            @for ((from, to), told) in starts.iter().zip(ends).zip(&told) {
                line class="section" x1=(px(*from)) x2=(px(*from)) y1="6" y2=(px(bottom)) {}
                @if let Some(label) = fitted(told, to - from - 4.0) {
                    text class="tick" x=(px(from + 3.0)) y="16" { (label) }
                }
            }
        }
    }

    /// One row per bin: its number, and its middle.
    fn data(&self) -> Table<'_, (usize, f64)> {
        let labels = labels(&self.trial.sections);
        let mut columns = vec![
            OfBins::new("middle of the bin", |(_, time)| format!("{time:.2}").into()).unit("s"),
            OfBins::new("section", move |(bin, _)| {
                let begun = |(section, _): &(&SectionMark, _)| section.first_bin <= *bin;
                let begun = self.trial.sections.iter().zip(&labels).rfind(begun);
                begun.map_or("", |(_, label)| label).into()
            }),
        ];
        let column = |label: &str, unit: String, values: Vec<f64>| {
            OfBins::new(label.to_owned(), move |(bin, _)| {
                let value = values.get(*bin).filter(|value| value.is_finite());
                value.map(|value| format!("{value:.2}")).into()
            })
            .unit(unit)
        };
        for strip in &self.strips {
            for Curve { label, values, .. } in &strip.series {
                columns.push(column(label, strip.unit.clone(), values.clone()));
                let mean = format!("{}, mean of 10 s", strip.unit);
                let smooth = means(values, self.window);
                columns.extend(smooth.map(|smooth| column(label, mean, smooth)));
            }
        }
        Table::new(self.times().into_iter().enumerate(), columns)
    }
}

/// As much of a label as fits; `None` if hardly anything does.
fn fitted(label: &str, room: f64) -> Option<String> {
    if width_of(label) <= room {
        return Some(label.to_owned());
    }
    let kept = (1..label.len()).take_while(|&kept| CHARACTER * count(kept) <= room).last()?;
    (kept > 2).then(|| cut(label, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain_and_labels_fit() {
        assert_eq!(slug("perf-sample-999:event=cpu-clock"), "perf-sample-999-event-cpu-clock");
        assert_eq!(fitted("2 hogs", 100.0).as_deref(), Some("2 hogs"));
        assert_eq!(fitted("a long label", 34.0).as_deref(), Some("a lo…"));
        assert_eq!(fitted("a long label", 12.0), None);
    }
}
