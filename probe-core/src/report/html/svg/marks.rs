//! Single marks: points, intervals, lines.

use maud::{Markup, html};

use super::px;

/// Shape of a point. Colour is never the only difference between two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    /// Hollow: it represents something else.
    Diamond,
    Cross,
}

/// Half the size of a point.
const REACH: f64 = 4.5;

/// A point in colour `series`, with the tooltip `told`.
pub(crate) fn point(shape: Shape, series: usize, x: f64, y: f64, told: Option<&str>) -> Markup {
    let [left, right, over, under] = [x - REACH, x + REACH, y - REACH, y + REACH].map(px);
    let (middle, centre) = (px(x), px(y));
    let path = match shape {
        Shape::Circle => {
            return html! {
                circle class={ "point s" (series) } cx=(middle) cy=(centre) r=(px(REACH)) { @if let Some(told) = told { title { (told) } } }
            };
        }
        Shape::Square => format!("M{left} {over}H{right}V{under}H{left}Z"),
        Shape::Triangle => format!("M{middle} {over}L{right} {under}H{left}Z"),
        Shape::Diamond => {
            format!("M{middle} {over}L{right} {centre}L{middle} {under}L{left} {centre}Z")
        }
        Shape::Cross => format!("M{left} {over}L{right} {under}M{left} {under}L{right} {over}"),
    };
    let filled = if matches!(shape, Shape::Diamond | Shape::Cross) { "hollow" } else { "point" };
    html! {
        path class={ (filled) " s" (series) } d=(path) { @if let Some(told) = told { title { (told) } } }
    }
}

/// A line from one end of an interval to the other, along x.
pub(crate) fn across(series: usize, from: f64, to: f64, y: f64) -> Markup {
    let (from, to, over, under) = (px(from), px(to), px(y - 4.0), px(y + 4.0));
    html! { path class={ "interval s" (series) } d={ "M" (from) " " (over) "V" (under) "M" (from) " " (px(y)) "H" (to) "M" (to) " " (over) "V" (under) } {} }
}

/// The same along y.
pub(crate) fn upright(series: usize, x: f64, from: f64, to: f64) -> Markup {
    let (from, to, left, right) = (px(from), px(to), px(x - 4.0), px(x + 4.0));
    html! { path class={ "interval s" (series) } d={ "M" (left) " " (from) "H" (right) "M" (px(x)) " " (from) "V" (to) "M" (left) " " (to) "H" (right) } {} }
}

/// A path through these points; one that is not a number breaks the line.
pub(crate) fn through(places: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    let mut down = false;
    for (x, y) in places {
        let known = x.is_finite() && y.is_finite();
        if known {
            path.push(if down { 'L' } else { 'M' });
            path.push_str(&format!("{} {}", px(x), px(y)));
        }
        down = known;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_a_line() {
        let places = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 4.0), (4.0, 5.25)];
        assert_eq!(through(places), "M0 1L1 2M3 4L4 5.2");
        assert_eq!(through([]), "");
    }

    #[test]
    fn what_a_point_says_is_escaped() {
        let told = point(Shape::Square, 3, 10.0, 20.0, Some("a<b")).into_string();
        assert_eq!(
            told,
            r#"<path class="point s3" d="M5.5 15.5H14.5V24.5H5.5Z"><title>a&lt;b</title></path>"#
        );
        assert!(point(Shape::Circle, 1, 0.0, 0.0, None).into_string().starts_with("<circle"));
    }
}
