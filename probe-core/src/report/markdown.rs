//! The summary as one Markdown table, for a README or a pull request.

use super::{
    columns::{after, costs, counts, fidelity, id, of_series},
    paper, program_runs, sections, shown,
    table::Table,
};
use crate::{
    analysis::figures::table::{R_0, R_M, R_RETAINED, SERIES_ERROR},
    model::campaign::{Campaign, MethodSummary},
};

/// One table with one row per method, each figure with its interval. If the guests speak TCP, also
/// a table of the sections and one of the paper's statements.
pub fn render(campaign: &Campaign) -> String {
    let (summary, design) = (&campaign.summary, &campaign.design);
    let mut text = table(&summary.methods).markdown();
    text.push_str(&format!(
        "\n{}, scenario `{}`, Linux {}; each figure with its 95 % interval and n, the number of \
         blocks.\n",
        summary.headline_function, design.scenario.name, design.kernel
    ));
    if let Some(table) = program_runs::table_of(&summary.methods) {
        text.push_str(&format!("\n{}\n{}\n", table.markdown(), program_runs::CAVEAT));
    }
    if let Some(paper) = paper::table_of(&summary.paper) {
        text.push_str(&format!("\n{}\n\n", sections::overview(summary).markdown()));
        text.push_str(&paper.markdown());
    }
    let stars = shown::stars(&text).map(|stars| format!("\n{stars}\n"));
    text + &stars.unwrap_or_default()
}

fn table(methods: &[MethodSummary]) -> Table<'_, &MethodSummary> {
    let mut columns = vec![id()];
    columns.extend(costs(methods));
    columns.push(after());
    columns.extend(counts());
    columns.extend([
        of_series(R_M, |method| {
            method.fidelity.figures.of(if method.id.is_off() { R_0 } else { R_M })
        })
        .named("r_m (r_0 if off)"),
        of_series(R_RETAINED, |method| method.fidelity.figures.of(R_RETAINED)).named("retained"),
        fidelity(SERIES_ERROR),
    ]);
    Table::new(methods, columns)
}
