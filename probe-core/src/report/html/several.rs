//! The page of several results side by side.

use maud::{Markup, html};

use super::{
    Content, PageSection,
    figure::{Chart, key_of, look},
    figures, page,
    panels::drawn,
    svg::{
        CHARACTER, WIDTH, cut,
        forest::{self, Panel},
        marks::Shape,
        scale::count,
    },
};
use crate::{
    model::method::{Descriptor, MethodId},
    report::{
        results::NamedCampaign,
        several::{FigureTable, GROUPS, LOSS, READ, facts, losses, notes},
        table::{Column, prose},
    },
};

/// Number of results in one drawing; further results get another drawing.
const BESIDE: usize = 4;

/// The whole page.
pub fn render(results: &[NamedCampaign]) -> String {
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
pub fn drawings(results: &[NamedCampaign]) -> Vec<(String, String)> {
    figures(all(results))
}

fn all(results: &[NamedCampaign]) -> Vec<PageSection> {
    let notes = html! { ul { @for note in notes(results) { li { (prose(&note)) } } } };
    let section = |id, title, blocks| PageSection { id, title, blocks };
    let drawn =
        |group: &FigureTable| drawings_of(group, results).into_iter().map(Content::from).collect();
    let [costs, retained] = &GROUPS;
    let lost = losses(results, results).html("losses-data", LOSS);
    vec![
        section("results", "The results", vec![list(results).into(), notes.into()]),
        section("costs", "What a call costs", drawn(costs)),
        section("retained", "What remains of the correlation", drawn(retained)),
        section("losses", "What was lost", vec![lost.into()]),
    ]
}

/// What they are, by the numbers that drawings call them.
fn list(results: &[NamedCampaign]) -> Markup {
    let mut table = facts(results);
    let number = |named: &&NamedCampaign| number(results, &named.label).to_string().into();
    table.columns.insert(0, Column::new("number", number));
    table.html("results-data", "The results, and what was measured")
}

fn number(results: &[NamedCampaign], label: &str) -> usize {
    results.iter().take_while(|named| named.label != label).count().saturating_add(1)
}

/// Figures of the group: a panel per result.
fn drawings_of(group: &FigureTable, results: &[NamedCampaign]) -> Vec<Chart> {
    let known = described(results);
    let key = key_of(&known);
    let of = |id: &&MethodId| {
        known.iter().find(|method| method.id == **id).map_or((Shape::Cross, 0), look)
    };
    let figure = |(part, some): (usize, &[NamedCampaign])| {
        let table = group.table(results, some);
        let (mut panels, rows) = drawn(&table, of);
        // Titles are cut to fit; their type is larger than the small type.
        let room = WIDTH / count(panels.len()) / (CHARACTER + 1.0) - 4.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above 10")]
        let room = room as usize;
        for Panel { title: [title, _] } in &mut panels {
            *title = cut(&format!("{}: {title}", number(results, title)), room);
        }
        let suffix = if part == 1 { String::new() } else { format!("-{part}") };
        let id = format!("{}{suffix}", group.name.replace('_', "-"));
        let title = group.title.replace('`', "");
        let about =
            "A panel per result, each on a scale of its own; the table of results has the numbers.";
        Chart::new(id, title, about, forest::draw(&panels, &rows, &key), &table)
    };
    (1_usize..).zip(results.chunks(BESIDE)).map(figure).collect()
}

/// The methods, as the first result that has each describes it.
fn described(results: &[NamedCampaign]) -> Vec<Descriptor> {
    let all = results.iter().flat_map(|named| &named.campaign.design.methods);
    let mut known: Vec<Descriptor> = Vec::new();
    for method in all {
        if !method.id.is_off() && known.iter().all(|other| other.id != method.id) {
            known.push(method.clone());
        }
    }
    known
}
