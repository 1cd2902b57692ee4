//! Parts of a whole, one bar per row.

use maud::{Markup, html};

use super::{
    Area, Drawing, LINE, WIDTH, axis, cut,
    legend::{self, LegendEntry},
    px,
    scale::{AxisScale, Extent, count},
};

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    /// One value per part, in the order of the parts' names.
    pub(crate) parts: Vec<f64>,
}

const HEAD: f64 = 34.0;
const ROW: f64 = 33.0;

/// The CSS series of a part, by its index; see `figure.css`.
fn series(part: usize) -> usize {
    (part % 8).saturating_add(1)
}

/// The drawing: the parts of a bar follow one another, on a scale from zero to the longest bar or
/// to `whole`.
pub(crate) fn draw(parts: &[String], bars: &[Bar], title: &str, whole: Option<f64>) -> Drawing {
    let height = ROW * count(bars.len());
    let area = Area { left: 14.0, top: HEAD, width: WIDTH - 38.0, height };
    let longest = bars.iter().map(|bar| bar.parts.iter().sum());
    let extent = Extent::of(longest.chain(whole)).unwrap_or(Extent(0.0, 1.0)).with(0.0);
    let scale = match whole {
        Some(_) => AxisScale::tight(extent, [area.left, area.right()]),
        None => AxisScale::linear(extent, [area.left, area.right()], 6.0),
    };
    let names = parts.iter().enumerate().map(|(part, name)| {
        LegendEntry::new(name, move |x, y| swatch(part, x - 9.0, y - 5.0, 18.0, 10.0, name))
    });
    let (legend, below) = legend::below(area.bottom() + 8.0, &names.collect::<Vec<_>>());
    let marks = html! {
        text class="axis-title" x="8" y="13" { (title) }
        (axis::top(area, &scale, &scale.ticks(6.0)))
        @for (index, bar) in bars.iter().enumerate() {
            @let top = HEAD + ROW * count(index);
            text class="label" x="8" y=(px(top + 13.0)) { (cut(&bar.label, 84)) }
            (stacked(bar, parts, &scale, top + 17.0))
        }
        (legend)
    };
    Drawing { height: area.bottom() + below + LINE, marks }
}

fn stacked(bar: &Bar, parts: &[String], scale: &AxisScale, top: f64) -> Markup {
    let ends = bar.parts.iter().scan(0.0, |end, part| {
        let from = *end;
        *end += part;
        Some((from, *end))
    });
    html! {
        @for (part, (from, to)) in ends.enumerate().filter(|(_, (from, to))| to > from) {
            @let told = parts.get(part).map_or("", String::as_str);
            (swatch(part, scale.at(from), top, scale.at(to) - scale.at(from), 11.0, told))
        }
    }
}

fn swatch(part: usize, left: f64, top: f64, width: f64, height: f64, told: &str) -> Markup {
    let [left, top, width, height] = [left, top, width, height].map(px);
    html! {
        rect class={ "bar s" (series(part)) } x=(left) y=(top) width=(width) height=(height) { title { (told) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_behind_each_other_and_nothing_is_not_drawn() {
        let parts = ["recorded", "lost", "missed"].map(String::from);
        let bar = Bar { label: "a".into(), parts: vec![75.0, 0.0, 25.0] };
        let text = draw(&parts, &[bar], "%", Some(100.0)).marks.into_string();
        // 562 units are 100 %; the legend has a swatch for each part.
        assert!(text.contains(r#"x="14" y="51" width="421.5""#), "{text}");
        assert!(text.contains(r#"x="435.5" y="51" width="140.5""#), "{text}");
        assert_eq!(text.matches("<rect").count(), 2 + 3, "{text}");
    }
}
