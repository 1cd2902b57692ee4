//! Lines over a common x: series over time, percentiles, correlations by bin width.

use maud::{Markup, html};

use super::{
    Area, axis,
    legend::LegendEntry,
    marks::{through, upright},
    px,
    scale::{AxisScale, Extent},
};

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) look: Look,
    pub(crate) points: Vec<Point>,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Its colour.
    pub(crate) series: usize,
    pub(crate) stroke: Stroke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    Solid,
    Dashed,
    Dotted,
    /// Broad and pale, below other lines: the reference for them.
    Broad,
    /// Thin and pale: the values whose means other lines show.
    Faint,
}

/// A point of a line, with the interval of its y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) interval: Option<[f64; 2]>,
}

impl Look {
    /// The look of the line at `index` among several: colours vary first, then strokes.
    pub(crate) fn of(index: usize) -> Self {
        let stroke = match (index / 8) % 3 {
            0 => Stroke::Solid,
            1 => Stroke::Dashed,
            _ => Stroke::Dotted,
        };
        Self { series: (index % 8).saturating_add(1), stroke }
    }

    fn class(self) -> String {
        let stroke = match self.stroke {
            Stroke::Solid => "line",
            Stroke::Dashed => "line dashed",
            Stroke::Dotted => "line dotted",
            Stroke::Broad => "line broad",
            Stroke::Faint => "line faint",
        };
        format!("{stroke} s{}", self.series)
    }
}

impl Line {
    /// All ys, including the ends of their intervals.
    pub(crate) fn ys(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().flat_map(|point| {
            let [lo, hi] = point.interval.unwrap_or([point.y; 2]);
            [lo, point.y, hi]
        })
    }

    pub(crate) fn xs(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.x)
    }

    pub(crate) fn entry(&self) -> LegendEntry<'_> {
        LegendEntry::new(self.label.clone(), |x, y| {
            html! { path class=(self.look.class()) d=(through([(x - 11.0, y), (x + 11.0, y)])) {} }
        })
    }
}

/// The least and the greatest y of all lines.
pub(crate) fn extent(lines: &[Line]) -> Extent {
    Extent::of(lines.iter().flat_map(Line::ys)).unwrap_or(Extent(0.0, 1.0))
}

/// The lines, with the axis of their ys.
pub(crate) fn strip(
    area: Area,
    x: &AxisScale,
    y: &AxisScale,
    lines: &[Line],
    title: &str,
) -> Markup {
    let about = (area.height / 36.0).max(2.0);
    html! {
        (axis::left(area, y, &y.ticks(about), title))
        @for line in lines {
            path class=(line.look.class()) d=(through(line.points.iter().map(|p| (x.at(p.x), y_of(y, p.y))))) {}
            @for point in &line.points {
                @if let Some([lo, hi]) = point.interval {
                    (upright(line.look.series, x.at(point.x), y.at(lo), y.at(hi)))
                }
            }
        }
        line class="axis" x1=(px(area.left)) x2=(px(area.right())) y1=(px(area.bottom())) y2=(px(area.bottom())) {}
    }
}

/// What is no number has no place.
fn y_of(scale: &AxisScale, value: f64) -> f64 {
    if value.is_finite() { scale.at(value) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_differ_in_colour_first_and_then_in_stroke() {
        let looks: Vec<Look> = (0..24).map(Look::of).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(look), "{index}");
        }
    }

    #[test]
    fn a_line_has_its_intervals() {
        let points = vec![
            Point { x: 0.0, y: 1.0, interval: None },
            Point { x: 1.0, y: 2.0, interval: Some([1.5, 4.0]) },
        ];
        let line = Line { label: "a".into(), look: Look::of(0), points };
        assert_eq!(extent(std::slice::from_ref(&line)), Extent(1.0, 4.0));
        let area = Area { left: 0.0, top: 0.0, width: 10.0, height: 30.0 };
        let (x, y) = (
            AxisScale::tight(Extent(0.0, 1.0), [0.0, 10.0]),
            AxisScale::tight(Extent(1.0, 4.0), [30.0, 0.0]),
        );
        let text = strip(area, &x, &y, &[line], "y").into_string();
        assert!(text.contains(r#"class="line s1" d="M0 30L10 20""#), "{text}");
        assert_eq!(text.matches("class=\"interval s1\"").count(), 1, "{text}");
    }
}
