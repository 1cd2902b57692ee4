//! The legend below a drawing.

use maud::{Markup, html};

use super::{LINE, WIDTH, cut, px, scale::count, width_of};

/// A mark, drawn around a place, and what it stands for.
pub(crate) struct LegendEntry<'a> {
    pub(crate) mark: Box<dyn Fn(f64, f64) -> Markup + 'a>,
    pub(crate) label: String,
    pub(crate) strong: bool,
}

impl<'a> LegendEntry<'a> {
    pub(crate) fn new(label: impl Into<String>, mark: impl Fn(f64, f64) -> Markup + 'a) -> Self {
        Self { mark: Box::new(mark), label: label.into(), strong: false }
    }
}

/// Width of a mark.
const MARK: f64 = 24.0;

/// Left edge of the first.
const LEFT: f64 = 8.0;

/// The entries from `top` on, in as many columns as fit; and the height that they take.
pub(crate) fn below(top: f64, entries: &[LegendEntry<'_>]) -> (Markup, f64) {
    let widest =
        entries.iter().map(|entry| width_of(&entry.label)).fold(0.0, f64::max) + MARK + 4.0;
    let columns = ((WIDTH - LEFT) / widest).floor().clamp(1.0, 3.0);
    let rows = (count(entries.len()) / columns).ceil();
    let place = |index: usize| {
        let column = (count(index) / rows).floor();
        let across = (WIDTH - LEFT) / columns;
        (LEFT + column * across, top + LINE * (count(index) - column * rows))
    };
    let marks = html! {
        @for (index, entry) in entries.iter().enumerate() {
            @let (x, y) = place(index);
            ((entry.mark)(x + MARK / 2.0 - 2.0, y + LINE / 2.0))
            text class=(if entry.strong { "label strong" } else { "label" }) x=(px(x + MARK)) y=(px(y + 12.0)) { (cut(&entry.label, 84)) }
        }
    };
    (marks, LINE * rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_labels_stand_beside_each_other_and_long_ones_below() {
        let entries = |label: &str| {
            (0..4).map(|_| LegendEntry::new(label, |_, _| html! {})).collect::<Vec<_>>()
        };
        assert_eq!(below(0.0, &entries("short")).1, 2.0 * LINE);
        assert_eq!(below(0.0, &entries(&"long ".repeat(15))).1, 4.0 * LINE);
        assert_eq!(below(0.0, &[]).1, 0.0);
    }
}
