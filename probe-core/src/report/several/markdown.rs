//! For a README, a paper or a pull request.

use super::{
    super::{
        markdown::{code, figure, row},
        results::Named,
    },
    FACTS, GROUPS, LOSS, facts, find, losses, methods, missing, notes, unit,
};
use crate::model::{campaign::MethodSummary, method::MethodId};

/// All tables.
pub fn render(results: &[Named]) -> String {
    let mut text = row(&FACTS) + &row(&FACTS.map(|_| "---"));
    results.iter().for_each(|named| text.push_str(&row(&facts(named))));
    let methods = methods(results);
    for group in &GROUPS {
        let head = |named: &Named| match unit(group, named) {
            "" => named.label.clone(),
            unit => format!("{}: {unit}", named.label),
        };
        let written =
            |method: &MethodSummary| group.cell(method, figure, |item| format!(" `{item}`"));
        push(&mut text, group.title, results, &methods, &head, &written);
    }
    let written = |method: &MethodSummary| losses(method).join(", ");
    push(&mut text, LOSS, results, &methods, &|named| named.label.clone(), &written);
    text.push_str("\nEach figure with its 95 % interval and n, the number of blocks.\n\n");
    notes(results).iter().for_each(|note| text.push_str(&format!("- {note}\n")));
    text
}

/// A group's table under its title.
fn push(
    text: &mut String,
    title: &str,
    results: &[Named],
    methods: &[&MethodId],
    head: &dyn Fn(&Named) -> String,
    written: &dyn Fn(&MethodSummary) -> String,
) {
    let heads: Vec<String> =
        std::iter::once("method".to_owned()).chain(results.iter().map(head)).collect();
    let rule: Vec<&str> = heads.iter().map(|_| "---").collect();
    text.push_str(&format!("\n{title}:\n\n{}{}", row(&heads), row(&rule)));
    for id in methods {
        let cell =
            |named: &Named| find(named, id).map_or_else(|| missing(named, id).to_owned(), written);
        let cells: Vec<String> =
            std::iter::once(code(id)).chain(results.iter().map(cell)).collect();
        text.push_str(&row(&cells));
    }
}
