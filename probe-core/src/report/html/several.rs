//! The page of several results side by side.

use maud::{Markup, html};

use super::{
    Block, Section,
    data::{Data, cell, prose},
    figure::{Figure, key_of, look},
    figures, page,
    panels::mark,
    svg::{
        CHARACTER, WIDTH, cut,
        forest::{self, Panel, Row},
        scale::count,
    },
};
use crate::{
    model::method::{Descriptor, MethodId},
    report::{
        results::Named,
        several::{
            FACTS, GROUPS, Group, LOSS, READ, facts, find, losses, methods, missing, notes, unit,
        },
    },
};

/// Results in one drawing; more of them have another.
const BESIDE: usize = 4;

/// The whole page.
pub fn render(results: &[Named]) -> String {
    let kernels: Vec<&str> =
        results.iter().map(|named| named.campaign.design.kernel.as_str()).collect();
    let title = format!("tracetoll: {} results, on Linux {}", results.len(), kernels.join(", "));
    let head = html! {
        h1 { "What tracing costs, loses and still shows: results side by side" }
        p class="soft" { (prose(READ)) }
    };
    let version = env!("CARGO_PKG_VERSION");
    page::document(&title, "To the results", &head, version, &all(results))
}

/// Each figure as an SVG file of its own, as [`super::drawings`].
pub fn drawings(results: &[Named]) -> Vec<(String, String)> {
    figures(all(results))
}

fn all(results: &[Named]) -> Vec<Section> {
    let notes = html! { ul { @for note in notes(results) { li { (prose(&note)) } } } };
    let section = |id, title, blocks| Section { id, title, blocks };
    let drawn = |group: &Group| drawings_of(group, results).into_iter().map(Block::from).collect();
    let [costs, retained] = &GROUPS;
    vec![
        section("results", "The results", vec![list(results).into(), notes.into()]),
        section("costs", "What a call costs", drawn(costs)),
        section("retained", "What is left of the picture", drawn(retained)),
        section("losses", "What was lost", vec![lost(results).into()]),
    ]
}

/// What they are, by the numbers that drawings call them.
fn list(results: &[Named]) -> Markup {
    let mut data = Data::new(std::iter::once("number").chain(FACTS));
    for (number, named) in (1_usize..).zip(results) {
        data.push(std::iter::once(number.to_string()).chain(facts(named)));
    }
    data.markup("results-data", "The results, and what was measured for them")
}

/// Figures of the group: a panel per result.
fn drawings_of(group: &Group, results: &[Named]) -> Vec<Figure> {
    let known = described(results);
    let key = key_of(&known);
    let numbered: Vec<(usize, &Named)> = (1..).zip(results).collect();
    let parts = (1_usize..).zip(numbered.chunks(BESIDE));
    let figure = |(part, results): (usize, &[(usize, &Named)])| {
        let (panels, mut rows) = (panels(group, results), Vec::new());
        let heads = results.iter().map(|(_, named)| match unit(group, named) {
            "" => named.label.clone(),
            unit => format!("{}, {unit}", named.label),
        });
        let mut data = Data::new(std::iter::once("method".to_owned()).chain(heads));
        for method in &known {
            data.push(told(group, &method.id, results));
            let cells = results
                .iter()
                .map(|(_, named)| find(named, &method.id).and_then(|m| mark((group.of)(m))));
            let (shape, series) = look(method);
            rows.push(Row { label: method.id.to_string(), shape, series, cells: cells.collect() });
        }
        let suffix = if part == 1 { String::new() } else { format!("-{part}") };
        Figure {
            id: format!("{}{suffix}", group.name.replace('_', "-")),
            title: group.title.replace('`', ""),
            about: "A panel per result, each on a scale of its own; the table of results has the numbers.".into(),
            drawing: forest::draw(&panels, &rows, &key),
            data,
        }
    };
    parts.map(figure).collect()
}

/// Titles as long as they fit.
fn panels(group: &Group, results: &[(usize, &Named)]) -> Vec<Panel> {
    // Titles are larger than the small type.
    let room = WIDTH / count(results.len()) / (CHARACTER + 1.0) - 4.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above 10")]
    let room = room as usize;
    let title = |at: &usize, named: &Named| cut(&format!("{at}: {}", named.label), room);
    results
        .iter()
        .map(|(at, named)| Panel { title: [title(at, named), unit(group, named).to_owned()] })
        .collect()
}

fn told(group: &Group, id: &MethodId, results: &[(usize, &Named)]) -> Vec<String> {
    let of = |(_, named): &(usize, &Named)| match find(named, id) {
        Some(method) => group.cell(method, cell, |item| format!(" {item}")),
        None => missing(named, id).to_owned(),
    };
    std::iter::once(id.to_string()).chain(results.iter().map(of)).collect()
}

fn lost(results: &[Named]) -> Markup {
    let labels = results.iter().map(|named| named.label.clone());
    let mut data = Data::new(std::iter::once("method".to_owned()).chain(labels));
    for id in methods(results) {
        let of = |named: &Named| match find(named, id) {
            Some(method) => losses(method).join(", "),
            None => missing(named, id).to_owned(),
        };
        data.push(std::iter::once(id.to_string()).chain(results.iter().map(of)));
    }
    data.markup("losses-data", LOSS)
}

/// The methods, as the first result that has each describes it.
fn described(results: &[Named]) -> Vec<Descriptor> {
    let all = || results.iter().flat_map(|named| &named.campaign.design.methods);
    let find = |id: &MethodId| all().find(|method| method.id == *id).cloned();
    methods(results).into_iter().filter_map(find).collect()
}
