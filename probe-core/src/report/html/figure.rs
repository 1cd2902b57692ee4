//! A figure: a drawing, a caption, and the table of its data.

use maud::{Markup, html};

use super::svg::{
    Drawing,
    legend::LegendEntry,
    marks::{Shape, point},
};
use crate::{
    model::{
        campaign::Campaign,
        method::{Class, Descriptor, Family},
    },
    report::table::{Table, prose},
};

/// The families that have their own colours.
pub(super) const FAMILIES: [Family; 6] = [
    Family::Ftrace,
    Family::Perf,
    Family::Bpf,
    Family::Capture,
    Family::Counters,
    Family::External,
];

/// A drawing with its name and its data.
pub(super) struct Chart {
    /// Its id in the page, and the name of its file.
    pub(super) id: String,
    pub(super) title: String,
    /// How to read it, and what it omits.
    pub(super) about: String,
    pub(super) drawing: Drawing,
    data: Markup,
}

impl Chart {
    pub(super) fn new<Row>(
        id: impl Into<String>,
        title: impl Into<String>,
        about: impl Into<String>,
        drawing: Drawing,
        data: &Table<'_, Row>,
    ) -> Self {
        let (id, title) = (id.into(), title.into());
        let data = data.html(&format!("{id}-data"), &title);
        Self { id, title, about: about.into(), drawing, data }
    }

    /// The figure as part of the page. If it is wider than the screen it scrolls separately, also
    /// by keyboard.
    pub(super) fn markup(&self) -> Markup {
        let title = format!("{}-title", self.id);
        html! {
            figure id=(self.id) aria-labelledby=(title) {
                figcaption {
                    h3 id=(title) { (self.title) }
                    @if !self.about.is_empty() { p { (prose(&self.about)) } }
                }
                div class="scroll" tabindex="0" role="group" aria-labelledby=(title) { (self.drawing.inline(&title)) }
                details {
                    summary { "Data: " (self.title) }
                    (self.data)
                }
            }
        }
    }
}

/// A method's mark in all figures: colour by family, shape by class.
pub(super) fn look(method: &Descriptor) -> (Shape, usize) {
    (shape(method.class), series(method.family))
}

fn shape(class: Class) -> Shape {
    match class {
        Class::Exact => Shape::Circle,
        Class::Recorded => Shape::Square,
        Class::Sampled => Shape::Triangle,
        Class::Inferred => Shape::Diamond,
        Class::Nothing => Shape::Cross,
    }
}

fn series(family: Family) -> usize {
    match family {
        Family::Baseline => 0,
        Family::Ftrace => 1,
        Family::Perf => 2,
        Family::Bpf => 3,
        Family::Capture => 4,
        Family::External => 5,
        Family::Counters => 6,
    }
}

/// What colours and forms mean, of the families and classes that are there.
pub(super) fn key(campaign: &Campaign) -> Vec<LegendEntry<'static>> {
    key_of(&campaign.design.methods)
}

/// The same for these methods.
pub(super) fn key_of(methods: &[Descriptor]) -> Vec<LegendEntry<'static>> {
    let families =
        FAMILIES.into_iter().filter(|family| methods.iter().any(|m| m.family == *family));
    let classes = [Class::Exact, Class::Recorded, Class::Sampled, Class::Inferred, Class::Nothing];
    let there = |class: &Class| methods.iter().any(|m| m.class == *class && !m.id.is_off());
    let families = families.map(|family| {
        LegendEntry::new(name(family), move |x, y| {
            html! { (point(Shape::Circle, series(family), x - 5.0, y, None)) (point(Shape::Square, series(family), x + 6.0, y, None)) }
        })
    });
    let classes = classes
        .into_iter()
        .filter(there)
        .map(|class| LegendEntry::new(kind(class), move |x, y| point(shape(class), 0, x, y, None)));
    families.chain(classes).collect()
}

/// The name of a family.
pub(super) fn name(family: Family) -> &'static str {
    match family {
        Family::Baseline => "baseline",
        Family::Ftrace => "ftrace",
        Family::Perf => "perf",
        Family::Bpf => "bpf",
        Family::Capture => "capture",
        Family::Counters => "counters",
        Family::External => "external",
    }
}

/// What methods of a class do.
pub(super) fn kind(class: Class) -> &'static str {
    match class {
        Class::Exact => "counts every call",
        Class::Recorded => "records every call",
        Class::Sampled => "samples",
        Class::Inferred => "sees effects of calls",
        Class::Nothing => "observes nothing",
    }
}
