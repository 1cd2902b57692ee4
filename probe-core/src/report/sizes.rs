//! What methods cost by the number of functions that they trace.

use comfy_table::Table;

use super::{
    number::{Style, parts},
    text::{id, table},
};
use crate::analysis::figures::table::KERNEL_NS_PER_KICK;
use crate::model::campaign::MethodSummary;
use crate::model::figures::SizeFigures;

/// Above the table.
pub(super) const TITLE: &str =
    "What it costs by the number of functions traced: ns per kick, above `off`; (hits per kick)";

/// Most numbers that fit beside each other.
const COLUMNS: usize = 6;

/// One row per method, one column per number of functions; none where only one number was measured.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    let sizes: Vec<usize> = methods
        .iter()
        .find(|method| !method.by_size.is_empty())?
        .by_size
        .iter()
        .map(|size| size.functions)
        .collect();
    // The fewest and the most say most.
    let shown: Vec<usize> = match sizes.split_last() {
        Some((most, fewer)) => fewer.iter().take(COLUMNS - 1).chain([most]).copied().collect(),
        None => sizes,
    };
    let header = shown.iter().map(ToString::to_string);
    let header: Vec<String> = std::iter::once("method".to_owned()).chain(header).collect();
    let mut rows = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for method in methods.iter().filter(|method| !method.by_size.is_empty()) {
        let of = |functions: &usize| {
            method.by_size.iter().find(|size| size.functions == *functions).map_or("-".into(), cell)
        };
        rows.add_row(std::iter::once(id(method)).chain(shown.iter().map(of)));
    }
    Some(rows)
}

fn cell(size: &SizeFigures) -> String {
    let hits = size.events_per_kick.map_or(String::new(), |hits| format!("\n({hits:.1})"));
    match parts(size.figures.of(KERNEL_NS_PER_KICK), Style::DIFFERENCE) {
        Some([estimate, interval, _]) => format!("{estimate}\n{interval}{hits}"),
        None => format!("-{hits}"),
    }
}
