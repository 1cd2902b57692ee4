//! Axes: ticks with grid lines, and a title.

use maud::{Markup, html};

use super::{Area, px, scale::AxisScale};

/// Ticks along the bottom, and their lines up to the top.
pub(crate) fn bottom(
    area: Area,
    scale: &AxisScale,
    ticks: &[(f64, String)],
    title: &str,
) -> Markup {
    html! {
        @for (value, label) in ticks {
            @let x = px(scale.at(*value));
            line class="grid" x1=(x) x2=(x) y1=(px(area.top)) y2=(px(area.bottom())) {}
            text class="tick middle" x=(x) y=(px(area.bottom() + 14.0)) { (label) }
        }
        line class="axis" x1=(px(area.left)) x2=(px(area.right())) y1=(px(area.bottom())) y2=(px(area.bottom())) {}
        text class="axis-title end" x=(px(area.right())) y=(px(area.bottom() + 30.0)) { (title) }
    }
}

/// Ticks along the left side, and their lines to the right; the title stands above.
pub(crate) fn left(area: Area, scale: &AxisScale, ticks: &[(f64, String)], title: &str) -> Markup {
    html! {
        @for (value, label) in ticks {
            @let y = scale.at(*value);
            line class="grid" x1=(px(area.left)) x2=(px(area.right())) y1=(px(y)) y2=(px(y)) {}
            text class="tick end" x=(px(area.left - 5.0)) y=(px(y + 4.0)) { (label) }
        }
        text class="axis-title" x="4" y=(px(area.top - 8.0)) { (title) }
    }
}

/// Ticks above, and their lines down to the bottom.
pub(crate) fn top(area: Area, scale: &AxisScale, ticks: &[(f64, String)]) -> Markup {
    html! {
        @for (value, label) in ticks {
            @let x = px(scale.at(*value));
            line class="grid" x1=(x) x2=(x) y1=(px(area.top)) y2=(px(area.bottom())) {}
            text class="tick middle" x=(x) y=(px(area.top - 5.0)) { (label) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::scale::Extent, *};

    #[test]
    fn each_tick_has_a_line_and_a_label() {
        let area = Area { left: 10.0, top: 20.0, width: 100.0, height: 50.0 };
        let scale = AxisScale::linear(Extent(0.0, 2.0), [10.0, 110.0], 2.0);
        let ticks = scale.ticks(2.0);
        for axis in [bottom(area, &scale, &ticks, "a < b"), left(area, &scale, &ticks, "a < b")] {
            let text = axis.into_string();
            assert_eq!(text.matches("class=\"grid\"").count(), 3, "{text}");
            assert_eq!(text.matches("class=\"tick").count(), 3, "{text}");
            assert!(text.contains("a &lt; b"), "{text}");
        }
        assert!(top(area, &scale, &ticks).into_string().contains("x1=\"60\""));
    }
}
