//! What methods still show.

use super::{Chart, PageSection, panels::figure};
use crate::{
    analysis::figures::table::{OBSERVATION_LOSS, PERTURBATION, R_M, R_RETAINED, SERIES_ERROR},
    model::campaign::Campaign,
    report::columns::{fidelity, happened},
};

const CORRELATIONS: [&str; 3] = [
    "fidelity",
    "What methods still show: correlation with throughput",
    "`r_w`: of the calls that happened, by the reference counter (under `off`: `r_0`); `r_m`: of \
     what the method shows; the last is their ratio, `r_m / r_0`.",
];

const LOSSES: [&str; 3] = [
    "fidelity-loss",
    "How much methods change what they observe, and how much they miss",
    "Perturbation `r_0 - r_w`: the calls themselves correlate less with throughput while the \
     method runs. Observation loss `r_w - r_m`: its series shows less than happened. Series error: \
     the sum of the errors of its bins, as a share of all calls.",
];

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let figures = [correlations(campaign), losses(campaign)];
    let blocks = figures.into_iter().flatten().map(Into::into).collect();
    Some(PageSection { id: "fidelity", title: "Fidelity", blocks })
}

fn correlations(campaign: &Campaign) -> Option<Chart> {
    let columns = vec![
        happened().unit("of what happened"),
        fidelity(R_M).unit("of what is shown"),
        fidelity(R_RETAINED).unit("what is left"),
    ];
    figure(campaign, CORRELATIONS, columns)
}

fn losses(campaign: &Campaign) -> Option<Chart> {
    let columns = vec![
        fidelity(PERTURBATION).unit("r_0 - r_w"),
        fidelity(OBSERVATION_LOSS).unit("r_w - r_m"),
        fidelity(SERIES_ERROR).unit("of all calls"),
    ];
    figure(campaign, LOSSES, columns)
}
