//! Overhead against fidelity: what each method costs, and how much of the correlation it keeps.

use maud::{Markup, html};

use super::{
    PageSection,
    figure::{self, Chart, look},
    pareto::{Known, Trade, front},
    svg::{
        Area, Drawing, LINE, WIDTH, axis,
        legend::{self, LegendEntry},
        marks::{Shape, across, point, upright},
        places::Places,
        px,
        scale::{AxisScale, Extent},
        width_of,
    },
};
use crate::analysis::figures::table::{KERNEL_NS_PER_EVENT, R_RETAINED, SYSTEM_CPU_PCT};
use crate::{
    model::{
        campaign::{Campaign, MethodSummary},
        figure::Figure,
    },
    report::{
        figures::of_cost,
        number::Style,
        shown::described,
        table::{Cell, Column, Table},
    },
};

/// From this value on, nearly all of the correlation remains: a second drawing shows only these.
const NEAR: f64 = 0.9;

/// The kind of overhead on an axis.
struct Axis {
    id: &'static str,
    title: &'static str,
    /// The axis label, with its unit.
    unit: String,
    of: fn(&MethodSummary) -> &Figure,
}

/// A method in the drawing.
struct Spot<'a> {
    /// Its index among the campaign's methods.
    number: usize,
    method: &'a MethodSummary,
    shape: Shape,
    series: usize,
    trade: Trade,
    /// Whether it shows something other than calls, whose correlation cannot be compared.
    stands_in: bool,
}

const ABOUT: &str = "Further right costs more; further up is more accurate. Whiskers are 95 % \
                     intervals; points without whiskers come from one block. The line joins the \
                     ringed methods: by the estimates, no other method is both cheaper and more \
                     accurate (Pareto front; values above 1 count as 1). Methods that show \
                     something other than calls are not on it. The data says which methods are \
                     beaten beyond the intervals.";

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let clock = of_cost(&campaign.summary.methods);
    let axes = [
        Axis {
            id: "overhead-fidelity",
            title: "Kernel time per call against fidelity",
            unit: format!("kernel time per call above off, {clock}"),
            of: |method| method.overhead.of(KERNEL_NS_PER_EVENT),
        },
        Axis {
            id: "system-fidelity",
            title: "Busy CPU at fixed load against fidelity",
            unit: "busy CPU above off, points of all CPUs".into(),
            of: |method| method.overhead.of(SYSTEM_CPU_PCT),
        },
    ];
    let blocks = axes.iter().flat_map(|axis| drawn(campaign, axis)).map(Into::into).collect();
    Some(PageSection { id: "trade", title: "Overhead against fidelity", blocks })
}

fn known(figure: &Figure) -> Option<Known> {
    let found = figure.known()?;
    Some(Known { estimate: found.estimate, interval: found.lo.zip(found.hi).map(<[f64; 2]>::from) })
}

/// Of all methods; and, where some keep much less than others, of those alone that keep nearly all.
fn drawn(campaign: &Campaign, axis: &Axis) -> Vec<Chart> {
    let all =
        || campaign.summary.methods.iter().enumerate().filter(|(_, method)| !method.id.is_off());
    let spots = |least: f64| -> Vec<Spot<'_>> {
        let found = all().filter_map(|(number, method)| spot(campaign, axis, number, method));
        found.filter(|spot| spot.trade.kept.estimate >= least).collect()
    };
    let every = spots(f64::NEG_INFINITY);
    if every.is_empty() {
        return Vec::new();
    }
    let missing = all().filter(|(number, _)| !every.iter().any(|spot| spot.number == *number));
    let missing: Vec<String> = missing.map(|(_, method)| format!("`{}`", method.id)).collect();
    let about = match missing.is_empty() {
        true => ABOUT.to_owned(),
        false => {
            let names = missing.join(", ");
            format!("{ABOUT} Not drawn, because one of the two numbers is missing: {names}.")
        }
    };
    let near = spots(NEAR);
    let closer = (1 < near.len() && near.len() < every.len()).then(|| {
        let title = format!("{}: methods that keep nearly all", axis.title);
        let about = format!("The same for the methods whose `r_m / r_0` is {NEAR} or more.");
        one(campaign, axis, [format!("{}-near", axis.id), title, about], &near)
    });
    let whole = one(campaign, axis, [axis.id.into(), axis.title.into(), about], &every);
    std::iter::once(whole).chain(closer).collect()
}

fn spot<'a>(
    campaign: &Campaign,
    axis: &Axis,
    number: usize,
    method: &'a MethodSummary,
) -> Option<Spot<'a>> {
    let trade = Trade {
        overhead: known((axis.of)(method))?,
        kept: known(method.fidelity.figures.of(R_RETAINED))?,
    };
    let (shape, series) = look(described(campaign, &method.id)?);
    let stands_in = method.shows_instead.is_some();
    Some(Spot { number, method, shape, series, trade, stands_in })
}

fn one(
    campaign: &Campaign,
    axis: &Axis,
    [id, title, about]: [String; 3],
    spots: &[Spot<'_>],
) -> Chart {
    let front = unbeaten(spots);
    let (drawing, data) = (drawing(campaign, axis, spots, &front), data(axis, spots, &front));
    Chart::new(id, title, about, drawing, &data)
}

/// Indices of the front among all spots.
fn unbeaten(spots: &[Spot<'_>]) -> Vec<usize> {
    let of_calls = spots.iter().enumerate().filter(|(_, spot)| !spot.stands_in);
    let (places, trades): (Vec<usize>, Vec<Trade>) =
        of_calls.map(|(place, spot)| (place, spot.trade)).unzip();
    front(&trades).into_iter().filter_map(|index| places.get(index).copied()).collect()
}

/// Cost and correlation of the methods of the front, in its order.
fn trades(spots: &[Spot<'_>], front: &[usize]) -> impl Iterator<Item = Trade> {
    front.iter().filter_map(|&place| spots.get(place)).map(|spot| spot.trade)
}

const PLOT: Area = Area { left: 46.0, top: 26.0, width: WIDTH - 62.0, height: 300.0 };

fn drawing(campaign: &Campaign, title: &Axis, spots: &[Spot<'_>], front: &[usize]) -> Drawing {
    let ends = |known: Known| {
        let [lo, hi] = known.interval.unwrap_or([known.estimate; 2]);
        [lo, known.estimate, hi]
    };
    let overheads = Extent::of(spots.iter().flat_map(|spot| ends(spot.trade.overhead)));
    let kept = Extent::of(spots.iter().flat_map(|spot| ends(spot.trade.kept)));
    let x = AxisScale::linear(
        overheads.unwrap_or(Extent(0.0, 1.0)).with(0.0),
        [PLOT.left, PLOT.right()],
        7.0,
    );
    let y = AxisScale::linear(
        kept.unwrap_or(Extent(0.0, 1.0)).with(1.0),
        [PLOT.bottom(), PLOT.top],
        6.0,
    );
    let (legend, below) = legend::below(PLOT.bottom() + 40.0, &entries(spots, front));
    let key_top = PLOT.bottom() + 48.0 + below;
    let (key, key_height) = legend::below(key_top, &figure::key(campaign));
    let marks = html! {
        (axis::bottom(PLOT, &x, &x.ticks(7.0), &title.unit))
        (axis::left(PLOT, &y, &y.ticks(6.0), "part of the correlation that remains, r_m / r_0"))
        line class="zero" x1=(px(PLOT.left)) x2=(px(PLOT.right())) y1=(px(y.at(1.0))) y2=(px(y.at(1.0))) {}
        path class="front" d=(stairs(spots, front, &x, &y)) {}
        @for spot in spots { (whiskers(spot, &x, &y)) }
        @for trade in trades(spots, front) {
            circle class="front" r="8" cx=(px(x.at(trade.overhead.estimate))) cy=(px(y.at(trade.kept.estimate))) {}
        }
        @for spot in spots {
            (point(spot.shape, spot.series, x.at(spot.trade.overhead.estimate), y.at(spot.trade.kept.estimate), Some(&spot.method.id.0)))
        }
        (numbers(spots, &x, &y))
        (legend)
        line class="rule" x1="8" x2=(px(WIDTH - 8.0)) y1=(px(key_top - 4.0)) y2=(px(key_top - 4.0)) {}
        (key)
    };
    Drawing { height: key_top + key_height + LINE, marks }
}

/// From one method of the front to the next: what can be had at most for that overhead.
fn stairs(spots: &[Spot<'_>], front: &[usize], x: &AxisScale, y: &AxisScale) -> String {
    let place =
        |trade: Trade| (px(x.at(trade.overhead.estimate)), px(y.at(trade.kept.estimate.min(1.0))));
    let mut path = String::new();
    for (step, (across, up)) in trades(spots, front).map(place).enumerate() {
        path.push_str(&if step == 0 {
            format!("M{across} {up}")
        } else {
            format!("H{across}V{up}")
        });
    }
    path
}

fn whiskers(spot: &Spot<'_>, x: &AxisScale, y: &AxisScale) -> Markup {
    let (overhead, kept) = (spot.trade.overhead, spot.trade.kept);
    html! {
        @if let Some([lo, hi]) = overhead.interval { (across(spot.series, x.at(lo), x.at(hi), y.at(kept.estimate))) }
        @if let Some([lo, hi]) = kept.interval { (upright(spot.series, x.at(overhead.estimate), y.at(lo), y.at(hi))) }
    }
}

/// Each method's number beside its mark, where there is room.
fn numbers(spots: &[Spot<'_>], x: &AxisScale, y: &AxisScale) -> Markup {
    let mut places = Places::default();
    let centre =
        |spot: &Spot<'_>| (x.at(spot.trade.overhead.estimate), y.at(spot.trade.kept.estimate));
    for spot in spots {
        let (x, y) = centre(spot);
        places.take([x - 5.0, y - 5.0, 10.0, 10.0]);
    }
    let bounds = [PLOT.left, PLOT.top - 4.0, PLOT.width + 12.0, PLOT.height + 4.0];
    let labels: Vec<(f64, f64, usize)> = spots
        .iter()
        .filter_map(|spot| {
            let ((x, y), width) = (centre(spot), width_of(&spot.number.to_string()));
            let around = [(6.0, -14.0), (6.0, 2.0), (-6.0 - width, -14.0), (-6.0 - width, 2.0)];
            let far =
                [(-width / 2.0, -19.0), (-width / 2.0, 7.0), (12.0, -6.0), (-12.0 - width, -6.0)];
            let tried = around
                .into_iter()
                .chain(far)
                .map(|(right, down)| [x + right, y + down, width, 12.0]);
            let [left, top, ..] = places.first_free(tried, bounds)?;
            Some((left, top + 10.0, spot.number))
        })
        .collect();
    html! {
        @for (x, y, number) in labels { text class="number" x=(px(x)) y=(px(y)) { (number) } }
    }
}

fn entries<'a>(spots: &'a [Spot<'_>], front: &[usize]) -> Vec<LegendEntry<'a>> {
    let entry = |(index, spot): (usize, &'a Spot<'_>)| LegendEntry {
        strong: front.contains(&index),
        ..LegendEntry::new(format!("{} {}", spot.number, spot.method.id), |x, y| {
            point(spot.shape, spot.series, x, y, None)
        })
    };
    spots.iter().enumerate().map(entry).collect()
}

type OfSpots<'a> = Column<'a, (usize, &'a Spot<'a>)>;

fn data<'a>(
    axis: &'a Axis,
    spots: &'a [Spot<'a>],
    front: &'a [usize],
) -> Table<'a, (usize, &'a Spot<'a>)> {
    let columns = vec![
        OfSpots::new("method", |(_, spot)| Cell::Name(spot.method.id.to_string())),
        OfSpots::new(&*axis.unit, |(_, spot)| {
            Cell::short((axis.of)(spot.method), Style::DIFFERENCE)
        }),
        OfSpots::new("r_m / r_0", |(_, spot)| {
            Cell::short(spot.method.fidelity.figures.of(R_RETAINED), Style::CORRELATION)
        }),
        OfSpots::new("number", |(_, spot)| spot.number.to_string().into()),
        OfSpots::new("on the front", |(index, spot)| match spot.stands_in {
            true => "shows no calls".into(),
            false => if front.contains(index) { "yes" } else { "no" }.into(),
        }),
        OfSpots::new("beaten beyond the intervals by", |(_, spot)| {
            let beats =
                |other: &&Spot<'_>| !other.stands_in && other.trade.surely_beats(&spot.trade);
            let better = spots.iter().filter(beats).map(|other| other.method.id.to_string());
            Cell::lines(better, ", ")
        }),
    ];
    Table::new(spots.iter().enumerate(), columns)
}
