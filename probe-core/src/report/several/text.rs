//! For a terminal.

use comfy_table::Table;

use super::{
    super::{
        lines::{broken, paragraph},
        results::Named,
        text::{ID, cell, table},
    },
    FACTS, GROUPS, LOSS, READ, facts, find, losses, methods, missing, notes, unit,
};
use crate::model::{campaign::MethodSummary, method::MethodId};

/// Results that stand beside each other; more of them go on in further tables.
const BESIDE: usize = 5;

/// Columns of a result's name, longer ones go on in the next line.
const LABEL: usize = 15;

/// All tables.
pub fn render(results: &[Named]) -> String {
    let mut text = format!("tracetoll: {} results side by side\n\n", results.len());
    let mut of = table(&FACTS);
    results.iter().for_each(|named| {
        of.add_row(facts(named));
    });
    text.push_str(&format!("{}\n", of.trim_fmt()));
    let methods = methods(results);
    for group in &GROUPS {
        let head = |named: &Named| unit(group, named).to_owned();
        let written = |method: &MethodSummary| group.cell(method, cell, |item| format!("\n{item}"));
        push(&mut text, group.title, results, &methods, &head, &written);
    }
    let written = |method: &MethodSummary| losses(method).join("\n");
    push(&mut text, LOSS, results, &methods, &|_| String::new(), &written);
    text.push('\n');
    text.push_str(&paragraph("", READ));
    text.push_str("\nBefore numbers are set against each other\n");
    notes(results).iter().for_each(|note| text.push_str(&paragraph("- ", note)));
    text
}

/// A group's tables under its title; `head` stands below the result's name.
fn push(
    text: &mut String,
    title: &str,
    results: &[Named],
    methods: &[&MethodId],
    head: &dyn Fn(&Named) -> String,
    written: &dyn Fn(&MethodSummary) -> String,
) {
    for results in results.chunks(BESIDE) {
        let named = |named: &Named| format!("{}\n{}", broken(&named.label, LABEL), head(named));
        let names: Vec<String> = results.iter().map(named).collect();
        let names = names.iter().map(|name| name.trim_end());
        let heads: Vec<&str> = std::iter::once("method").chain(names).collect();
        let mut table: Table = table(&heads);
        for id in methods {
            let cell = |named: &Named| {
                find(named, id).map_or_else(|| missing(named, id).to_owned(), written)
            };
            let cells = results.iter().map(cell);
            table.add_row(std::iter::once(broken(&id.0, ID)).chain(cells));
        }
        text.push_str(&format!("\n{}{}\n", paragraph("", title), table.trim_fmt()));
    }
}
