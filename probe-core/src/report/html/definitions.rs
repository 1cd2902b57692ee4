//! A short version of how each figure is computed: docs/src/reference/figures.md has the
//! definitions.

use maud::html;

use super::PageSection;
use crate::{
    analysis::figures::table::{FIDELITY, OVERHEAD},
    model::campaign::Campaign,
    report::table::prose,
};

const SYMBOLS: &str = "`m` is the method, `0` is `off` in the same block. `W` is the CPU time of \
                       all vhost workers, `C` kicks, `F` frames taken by vhost, `S` the time that \
                       any task ran, `T` elapsed time, `θ` bytes at the sink. `w` is the reference \
                       counter's calls per bin, `m` the method's series, `r` Pearson's \
                       coefficient.";

const INTERVALS: [&str; 4] = [
    "The block is the unit of sampling: it runs every method once, in random order. Each block \
     gives one value of a figure, and the interval is that of the mean: Student's t below 15 \
     blocks, BCa bootstrap from 15 on. A single block has no interval, except for correlations: \
     theirs comes from the run's own bins, and is marked.",
    "`n` is the number of blocks, `d` the smallest effect that this number of blocks with this \
     scatter would have detected in four of five campaigns; below four blocks it is not known. “No \
     overhead” only means “below d”.",
    "Differences have a two-sided p, adjusted by Holm's method over the methods of a figure.",
    "All random choices follow from the seed.",
];

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let seeds = campaign.runs.first().map(|run| run.seed);
    let text = html! {
        p {
            "This is a summary. docs/src/reference/figures.md of tracetoll \
             " (campaign.design.version)
            " has the definitions; docs/src/explanation/biases.md says what these numbers cannot \
             tell."
        }
        p { (prose(SYMBOLS)) }
        dl {
            @for row in OVERHEAD.iter().chain(FIDELITY) {
                dt { code { (row.name) } }
                dd { (prose(row.definition)) }
            }
        }
        h3 { "Intervals" }
        ul { @for text in INTERVALS { li { (prose(text)) } } }
        @if let Some(seed) = seeds { p { "The figures' own seed is that of the first run: " code { (seed) } "." } }
    };
    Some(PageSection {
        id: "how",
        title: "How each figure was computed",
        blocks: vec![text.into()],
    })
}
