//! How long calls took.

use comfy_table::Table;

use super::text::{id, table};
use crate::model::campaign::MethodSummary;
use crate::model::figures::DurationFigures;

/// One row per method that measures durations; none where no method does.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    let mut rows = table(&["method", "calls", "median\nns", "99 %\nns", "longest\nns"]);
    let measured = methods.iter().filter_map(|method| Some((method, method.durations.as_ref()?)));
    for (method, figures) in measured {
        let DurationFigures { calls, p50_ns, p99_ns, longest_ns, log2_ns: _ } = figures;
        let span = |[from, to]: [u64; 2]| format!("{from} .. {to}");
        rows.add_row([
            id(method),
            calls.to_string(),
            span(*p50_ns),
            span(*p99_ns),
            span(*longest_ns),
        ]);
    }
    (!rows.is_empty()).then_some(rows)
}
