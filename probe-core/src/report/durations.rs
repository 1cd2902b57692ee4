//! How long calls took.

use super::table::{Cell, Column, Table};
use crate::{
    analysis::events::CALLED_PER_KICK,
    model::{campaign::MethodSummary, figures::DurationFigures},
};

/// The table's title.
pub(super) fn title() -> String {
    format!(
        "How long calls of {CALLED_PER_KICK} took in the closed loop, including the tracer's own \
         work"
    )
}

type Row<'a> = (&'a MethodSummary, &'a DurationFigures);
type OfDurations<'a> = Column<'a, Row<'a>>;

/// One row per method that measures durations; `None` if no method does.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table<'_, Row<'_>>> {
    let measured = methods.iter().filter_map(|method| Some((method, method.durations.as_ref()?)));
    let span = |name, of: fn(&DurationFigures) -> [u64; 2]| {
        let cell = move |(_, figures): &Row<'_>| {
            let [from, to] = of(figures);
            format!("{from} .. {to}").into()
        };
        OfDurations::new(name, cell).unit("ns")
    };
    let columns = vec![
        OfDurations::new("method", |(method, _)| Cell::Name(method.id.to_string())),
        OfDurations::new("calls", |(_, figures)| figures.calls.to_string().into()),
        span("median", |figures| figures.p50_ns),
        span("99 %", |figures| figures.p99_ns),
        span("longest", |figures| figures.longest_ns),
    ];
    Table::new(measured, columns).unless_empty()
}
