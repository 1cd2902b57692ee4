//! What methods show, by bin width.

use maud::html;

use super::{
    PageSection,
    figure::{self, Chart, FAMILIES},
    panels::mark,
    svg::{
        Area, Drawing, LINE, WIDTH, axis, legend,
        lines::{Line, Look, Point, Stroke, extent, strip},
        scale::{AxisScale, Extent},
    },
};
use crate::analysis::figures::{
    Definition,
    table::{BY_WIDTH, R_0, R_M},
};
use crate::{
    model::{
        campaign::{Campaign, MethodSummary},
        figure::Figure,
        figures::{AtWidth, Finest, WidthFigures},
        method::Family,
    },
    report::{
        shown::described,
        table::{Cell, Column, Table},
        widths,
    },
};

const ABOUT: &str = "Correlation with throughput of what each method shows, in the scenario's own \
                     bins and in wider ones; broad and grey: of the calls that happened, under \
                     `off`. Wider bins hide both the load's swings and the method's errors. \
                     Intervals are 95 %.";

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let figures = FAMILIES.into_iter().filter_map(|family| figure(campaign, family));
    Some(PageSection {
        id: "widths",
        title: "Correlation by bin width",
        blocks: figures.map(Into::into).collect(),
    })
}

fn figure(campaign: &Campaign, family: Family) -> Option<Chart> {
    let belongs = |method: &&MethodSummary| {
        described(campaign, &method.id).is_some_and(|described| described.family == family)
    };
    let found = campaign.summary.methods.iter().filter(belongs);
    let found = found.filter_map(|method| Some((method, method.fidelity.by_width.as_ref()?)));
    let found: Vec<(&MethodSummary, &WidthFigures)> = found
        .filter(|(_, widths)| widths.widths.iter().any(|at| at.figures.of(R_M).known().is_some()))
        .collect();
    let widths = &found.first()?.1.widths;
    if widths.len() < 2 {
        return None;
    }
    let off = campaign.summary.methods.iter().find(|method| method.id.is_off());
    let off = off.and_then(|off| off.fidelity.by_width.as_ref()).map(|widths| {
        let look = Look { series: 0, stroke: Stroke::Broad };
        line("off: the calls that happened", look, widths, |at| at.figures.of(R_0))
    });
    let own = found.iter().enumerate();
    let own = own.map(|(index, (method, widths))| {
        line(&method.id.0, Look::of(index), widths, |at| at.figures.of(R_M))
    });
    let lines: Vec<Line> = off.into_iter().chain(own).collect();
    let name = figure::name(family);
    let title = format!("Correlation by the width of the bins: {name}");
    Some(Chart::new(format!("widths-{name}"), title, ABOUT, drawing(&lines), &data(&found)))
}

fn line(label: &str, look: Look, widths: &WidthFigures, of: fn(&AtWidth) -> &Figure) -> Line {
    let point = |at: &AtWidth| {
        let found = mark(of(at))?;
        Some(Point { x: at.width_s, y: found.estimate, interval: found.interval })
    };
    Line { label: label.into(), look, points: widths.widths.iter().filter_map(point).collect() }
}

fn drawing(lines: &[Line]) -> Drawing {
    let area = Area { left: 46.0, top: 26.0, width: WIDTH - 62.0, height: 220.0 };
    let xs = Extent::of(lines.iter().flat_map(Line::xs)).unwrap_or(Extent(0.1, 1.0));
    let x = AxisScale::log(xs, [area.left + 6.0, area.right() - 6.0]);
    let y = AxisScale::linear(extent(lines).with(1.0), [area.bottom(), area.top], 6.0);
    let mut all: Vec<f64> = lines.iter().flat_map(Line::xs).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let ticks: Vec<(f64, String)> =
        all.into_iter().map(|width| (width, widths::width(width))).collect();
    let entries: Vec<_> = lines.iter().map(Line::entry).collect();
    let (legend, below) = legend::below(area.bottom() + 38.0, &entries);
    let marks = html! {
        (axis::bottom(area, &x, &ticks, "bin width, logarithmic"))
        (strip(area, &x, &y, lines, "r with throughput"))
        (legend)
    };
    Drawing { height: area.bottom() + 38.0 + below + LINE / 2.0, marks }
}

type Row<'a> = (&'a MethodSummary, &'a WidthFigures, &'a AtWidth);

type OfWidths<'a> = Column<'a, Row<'a>>;

fn data<'a>(found: &[(&'a MethodSummary, &'a WidthFigures)]) -> Table<'a, Row<'a>> {
    let rows = found
        .iter()
        .flat_map(|(method, widths)| widths.widths.iter().map(|at| (*method, *widths, at)));
    let names = vec![
        OfWidths::new("method", |(method, ..)| Cell::Name(method.id.to_string())),
        OfWidths::new("width", |(.., at)| widths::width(at.width_s).into()),
    ];
    let figure = |row: &&'static Definition| {
        let row = *row;
        OfWidths::new(row.title, move |(.., at)| Cell::short(at.figures.of(row), row.style()))
    };
    let end = |(at, name)| {
        OfWidths::new(name, move |(_, widths, _)| widths.finest.get(at).map(finest).into())
    };
    let ends = ["true to 1 % from", "true to 5 % from"].into_iter().enumerate().map(end);
    Table::new(rows, names.into_iter().chain(BY_WIDTH.iter().map(figure)).chain(ends).collect())
}

fn finest(finest: &Finest) -> String {
    finest.width_s.map_or("none of these".into(), widths::width)
}
