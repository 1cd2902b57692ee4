//! Distributions: quantiles, one box per row.

use maud::{Markup, html};

use super::{
    Area, Drawing, WIDTH, axis, cut, px,
    scale::{AxisScale, Extent, count},
};

/// One row.
pub(crate) struct Spread {
    pub(crate) label: String,
    /// The quantiles below which 5, 25, 50, 75 and 95 of 100 values lie.
    pub(crate) quantiles: [f64; 5],
}

const HEAD: f64 = 34.0;
const ROW: f64 = 36.0;

/// The drawing, with a scale that starts at zero.
pub(crate) fn draw(spreads: &[Spread], title: &str) -> Drawing {
    let height = ROW * count(spreads.len());
    let area = Area { left: 14.0, top: HEAD, width: WIDTH - 38.0, height };
    let extent = Extent::of(spreads.iter().flat_map(|spread| spread.quantiles));
    let extent = extent.unwrap_or(Extent(0.0, 1.0)).with(0.0);
    let scale = AxisScale::linear(extent, [area.left, area.right()], 6.0);
    let marks = html! {
        text class="axis-title" x="8" y="13" { (title) }
        (axis::top(area, &scale, &scale.ticks(6.0)))
        @for (index, spread) in spreads.iter().enumerate() {
            @let top = HEAD + ROW * count(index);
            text class="label" x="8" y=(px(top + 13.0)) { (cut(&spread.label, 84)) }
            (one(spread, &scale, top + 18.0))
        }
    };
    Drawing { height: area.bottom() + 8.0, marks }
}

fn one(spread: &Spread, scale: &AxisScale, top: f64) -> Markup {
    let [p5, p25, p50, p75, p95] = spread.quantiles.map(|value| scale.at(value));
    let (middle, bottom) = (px(top + 6.0), px(top + 12.0));
    html! {
        line class="interval s1" x1=(px(p5)) x2=(px(p95)) y1=(middle) y2=(middle) {}
        rect class="bar s1" x=(px(p25)) y=(px(top)) width=(px(p75 - p25)) height="12" { title { (spread.label) } }
        line class="median" x1=(px(p50)) x2=(px(p50)) y1=(px(top)) y2=(bottom) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_reaches_from_quartile_to_quartile() {
        let spread = Spread { label: "a".into(), quantiles: [0.0, 25.0, 50.0, 75.0, 100.0] };
        let text = draw(&[spread], "Mbit/s").marks.into_string();
        assert!(text.contains(r#"<rect class="bar s1" x="154.5" y="52" width="281""#), "{text}");
    }
}
