//! The table of figures, computed from the trials.

use super::{result, trials::word};
use crate::{
    analysis::figures::{self, NamedFigure},
    model::{
        figure::{Estimate, Figure},
        method::MethodId,
    },
    report::{reasons, results::NamedCampaign, table::Column},
};

/// One figure of one method.
pub(super) struct Row<'a> {
    result: &'a str,
    method: &'a MethodId,
    named: NamedFigure<'a>,
}

/// Every figure of every method, those without a number included.
pub(super) fn rows(named: &NamedCampaign) -> impl Iterator<Item = Row<'_>> {
    let NamedCampaign { label, campaign } = named;
    campaign.summary.methods.iter().flat_map(move |method| {
        figures::of(method).map(|named| Row { result: label, method: &method.id, named })
    })
}

impl Row<'_> {
    fn known(&self) -> Option<&Estimate> {
        self.named.figure.known()
    }
}

/// In the order in which the reference lists them.
pub(super) fn columns<'a>() -> Vec<Column<'a, Row<'a>>> {
    vec![
        result(|row| Some(row.result.to_owned())),
        Column::text("method", "id of the method; the baseline is off", |row| {
            Some(row.method.to_string())
        }),
        Column::text("figure", "its path in the method's summary", |row| {
            Some(row.named.path.clone())
        }),
        Column::text("unit", "what its numbers are", |row| word(&row.named.definition.unit)),
        Column::text("worse", "up: more is worse; down: less is", |row| {
            word(&row.named.definition.worse)
        }),
        Column::number("estimate", "", "the estimate, in its unit", |row| {
            Some(row.known()?.estimate)
        }),
        Column::number("lo", "", "lower end of its 95 % interval", |row| row.known()?.lo),
        Column::number("hi", "", "upper end", |row| row.known()?.hi),
        Column::count("n", "blocks", "blocks behind it", |row| u64::try_from(row.known()?.n).ok()),
        Column::number(
            "detectable",
            "",
            "smallest effect that these blocks would have \
                                          detected",
            |row| row.known()?.detectable,
        ),
        Column::number("p", "", "p-value of no difference, after Holm over the methods", |row| {
            row.known()?.p
        }),
        Column::text("platform", "the clock on which it was measured", |row| {
            word(&row.known()?.platform)
        }),
        Column::text(
            "basis",
            "blocks, or within_run if the interval comes from one run's \
                               bins",
            |row| word(&row.known()?.basis),
        ),
        Column::text("notes", "remarks that a reader must see", |row| {
            let notes: Vec<String> = row.known()?.notes.iter().map(reasons::note).collect();
            (!notes.is_empty()).then(|| notes.join("; "))
        }),
        Column::text("why", "why there is no number", |row| match row.named.figure {
            Figure::Null(absent) => Some(reasons::reason(&absent.why)),
            Figure::Known(_) => None,
        }),
    ]
}
