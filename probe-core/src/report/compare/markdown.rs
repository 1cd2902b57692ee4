//! For a pull request: what changed, the gates, and the rest to unfold.

use super::{Row, answered, caveats, clocks, counts, title};
use crate::{
    analysis::compare::{Change, Comparison, Verdict},
    report::markdown::row,
};

/// The whole comparison.
pub fn render(comparison: &Comparison) -> String {
    let changed = |change: &&Change| matches!(change.verdict, Verdict::Worse | Verdict::Better);
    let mut text = format!(
        "**{}** {} clock; {}.\n",
        counts(comparison),
        clocks(comparison),
        title(comparison)
    );
    let changes: Vec<&Change> = comparison.changes.iter().filter(changed).collect();
    if !changes.is_empty() {
        text.push('\n');
        text.push_str(&table(&changes));
    }
    if !comparison.gates.is_empty() {
        text.push('\n');
        text.push_str(&gates(comparison));
    }
    let rest: Vec<&Change> = comparison.changes.iter().filter(|change| !changed(change)).collect();
    if !rest.is_empty() {
        text.push_str(&format!(
            "\n<details><summary>{} figures without a change that can be told</summary>\n\n{}\n</details>\n",
            rest.len(),
            table(&rest)
        ));
    }
    text.push('\n');
    for caveat in caveats(comparison) {
        text.push_str(&format!("- {caveat}\n"));
    }
    text
}

fn table(changes: &[&Change]) -> String {
    let header = ["method", "figure", "base", "new", "difference", "95 % interval", "verdict"];
    let mut text = head(&header);
    for change in changes {
        let Row { base, new, difference, interval, verdict } = Row::of(change);
        let [method, figure] =
            [change.method.0.as_str(), &change.figure].map(|name| format!("`{name}`"));
        text.push_str(&row(&[method, figure, base, new, difference, interval, verdict]));
    }
    text
}

fn gates(comparison: &Comparison) -> String {
    let mut text = head(&["gate", "method", "worse by", "limit", "resolution", ""]);
    for judged in &comparison.gates {
        for answer in &judged.methods {
            let [worse_by, limit, resolution, judgement] =
                answered(answer, &comparison.changes, judged.gate.figure());
            let [gate, method] = [judged.gate.to_string(), answer.method.to_string()]
                .map(|name| format!("`{name}`"));
            text.push_str(&row(&[gate, method, worse_by, limit, resolution, judgement]));
        }
    }
    text
}

fn head<const N: usize>(names: &[&str; N]) -> String {
    row(names) + &row(&names.map(|_| "---"))
}
