//! A small drawing layer: scales, axes, marks, and four kinds of chart, all as inline SVG.
//!
//! Everything is a pure function of numbers. Colours and fonts are CSS classes (`figure.css`), so
//! that a drawing follows the reader's light or dark theme and prints on white. Lengths are in
//! units of the drawing, which is [`WIDTH`] wide.

pub(crate) mod axis;
pub(crate) mod bars;
pub(crate) mod boxes;
pub(crate) mod forest;
pub(crate) mod legend;
pub(crate) mod lines;
pub(crate) mod marks;
pub(crate) mod places;
pub(crate) mod scale;

use maud::{Markup, PreEscaped, html};

/// Width of every drawing.
pub(crate) const WIDTH: f64 = 600.0;

/// Width of a character of the small text, rounded up: only for layout.
pub(crate) const CHARACTER: f64 = 6.0;

/// Height of a line of small text.
pub(crate) const LINE: f64 = 16.0;

/// The style sheet of drawings, which the page includes too.
pub(crate) const STYLE: &str = include_str!("../figure.css");

/// A drawing: its content and its height.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    pub(crate) height: f64,
    pub(crate) marks: Markup,
}

impl Drawing {
    /// The drawing as part of a page, labelled by the element `label`.
    pub(crate) fn inline(&self, label: &str) -> Markup {
        html! {
            svg class="drawing" role="img" aria-labelledby=(label) viewBox=(self.view()) { (self.marks) }
        }
    }

    /// The drawing as a separate file.
    pub(crate) fn file(&self, title: &str) -> String {
        let svg = html! {
            svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" aria-labelledby="title"
                viewBox=(self.view()) width=(px(WIDTH)) height=(px(self.height)) {
                title id="title" { (title) }
                style { (PreEscaped(STYLE)) }
                rect class="paper" width="100%" height="100%" {}
                (self.marks)
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", svg.into_string())
    }

    fn view(&self) -> String {
        format!("0 0 {} {}", px(WIDTH), px(self.height))
    }
}

/// Part of a drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    pub(crate) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// A length, rounded to a tenth.
pub(crate) fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// `text` in at most `room` characters.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Width of `text` in small type, for layout.
pub(crate) fn width_of(text: &str) -> f64 {
    CHARACTER * scale::count(text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_and_names_are_cut() {
        assert_eq!([px(3.0), px(3.12), px(-2.06)], ["3", "3.1", "-2.1"]);
        assert_eq!(cut("bpf-fentry-count", 16), "bpf-fentry-count");
        assert_eq!(cut("bpf-fentry-count", 5), "bpf-…");
    }

    #[test]
    fn what_stands_in_a_drawing_is_escaped_and_a_file_of_its_own_is_xml() {
        let drawing = Drawing { height: 20.0, marks: html! { text { "a < b & \"c\"" } } };
        let file = drawing.file("x < y & z");
        let parsed = roxmltree::Document::parse(&file).unwrap();
        let texts: Vec<_> = parsed.descendants().filter_map(|node| node.text()).collect();
        assert!(texts.contains(&"a < b & \"c\"") && texts.contains(&"x < y & z"), "{texts:?}");
    }
}
