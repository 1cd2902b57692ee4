//! Estimates with their intervals, one per row, in panels side by side, each with its own scale.

use maud::{Markup, html};

use super::{
    Area, Drawing, LINE, WIDTH, axis, cut,
    legend::{self, LegendEntry},
    marks::{Shape, across, point},
    px,
    scale::{AxisScale, Extent, count},
};

/// One column of the drawing.
pub(crate) struct Panel {
    /// The title; its second line is the unit.
    pub(crate) title: [String; 2],
}

/// One line: a name above its estimates.
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) shape: Shape,
    pub(crate) series: usize,
    /// One per panel; `None` if there is no number.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// An estimate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) estimate: f64,
    pub(crate) interval: Option<[f64; 2]>,
}

/// Height of titles and ticks.
const HEAD: f64 = 50.0;

/// Height of a row: its label, and its marks.
const ROW: f64 = 33.0;

const GAP: f64 = 10.0;

/// Width of the word `none`.
const NONE: f64 = 36.0;

/// Space for half of the outermost ticks' labels.
const INSET: f64 = 14.0;

/// The drawing; every panel holds zero, and is as wide as its values need.
pub(crate) fn draw(panels: &[Panel], rows: &[Row], key: &[LegendEntry<'_>]) -> Drawing {
    let height = HEAD + ROW * count(rows.len());
    let width =
        (WIDTH - 16.0 - GAP * count(panels.len().saturating_sub(1))) / count(panels.len().max(1));
    let area = |index: usize| Area {
        left: 8.0 + count(index) * (width + GAP),
        top: HEAD,
        width,
        height: height - HEAD,
    };
    let (legend, below) = legend::below(height + 8.0, key);
    let marks = html! {
        @for (index, panel) in panels.iter().enumerate() {
            (column(area(index), index, panel, rows))
        }
        @for (index, row) in rows.iter().enumerate() {
            @let top = HEAD + ROW * count(index);
            @if index > 0 { line class="rule" x1="0" x2=(px(WIDTH)) y1=(px(top)) y2=(px(top)) {} }
            text class="label" x="8" y=(px(top + 13.0)) { (cut(&row.label, 84)) }
        }
        (legend)
    };
    Drawing { height: height + below + LINE, marks }
}

fn column(area: Area, index: usize, panel: &Panel, rows: &[Row]) -> Markup {
    let cells = || rows.iter().filter_map(move |row| row.cells.get(index).copied().flatten());
    let values = cells().flat_map(|cell| {
        let [lo, hi] = cell.interval.unwrap_or([cell.estimate; 2]);
        [lo, cell.estimate, hi]
    });
    let extent = Extent::of(values).unwrap_or(Extent(0.0, 1.0)).with(0.0);
    let about = (area.width / 60.0).max(2.0);
    let scale = AxisScale::linear(extent, [area.left + INSET, area.right() - INSET], about);
    let beside_zero = (scale.at(0.0) + 5.0).min(area.right() - NONE);
    html! {
        text class="axis-title" x=(px(area.left)) y="13" { (panel.title[0]) }
        text class="axis-title soft" x=(px(area.left)) y="28" { (panel.title[1]) }
        (axis::top(area, &scale, &scale.ticks(about)))
        line class="zero" x1=(px(scale.at(0.0))) x2=(px(scale.at(0.0))) y1=(px(area.top)) y2=(px(area.bottom())) {}
        @for (place, row) in rows.iter().enumerate() {
            @let y = area.top + ROW * count(place) + 23.0;
            @match row.cells.get(index).copied().flatten() {
                Some(cell) => (mark(cell, row, &scale, y)),
                None => text class="tick" x=(px(beside_zero)) y=(px(y + 4.0)) { "none" },
            }
        }
    }
}

fn mark(cell: Cell, row: &Row, scale: &AxisScale, y: f64) -> Markup {
    html! {
        @if let Some([lo, hi]) = cell.interval { (across(row.series, scale.at(lo), scale.at(hi), y)) }
        (point(row.shape, row.series, scale.at(cell.estimate), y, Some(&row.label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_mark_per_panel_or_says_that_there_is_none() {
        let panels = ["a", "b"].map(|title| Panel { title: [title.into(), "s".into()] });
        let cell = Cell { estimate: 5.0, interval: Some([-1.0, 10.0]) };
        let row = Row {
            label: "off".into(),
            shape: Shape::Circle,
            series: 0,
            cells: vec![Some(cell), None],
        };
        let drawing = draw(&panels, &[row], &[]);
        let text = drawing.marks.into_string();
        assert_eq!(text.matches("<circle").count(), 1, "{text}");
        assert_eq!(text.matches("class=\"interval").count(), 1, "{text}");
        assert_eq!(text.matches(">none<").count(), 1, "{text}");
    }
}
