//! What methods still show.

use super::{Chart, PageSection, panels::figure};
use crate::{
    analysis::figures::table::{
        BITS_PER_BIN, DETECTION, DETECTION_W, LONGEST_GAP_S, OBSERVATION_LOSS, PERTURBATION,
        R_CALLS, R_M, R_RETAINED, R_WITHIN, R_WITHIN_W, SERIES_ERROR,
    },
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

const WITHIN: [&str; 3] = [
    "within",
    "Within sections: does it show the calls, and does what it shows tell the throughput",
    "After the mean of each section is removed. `r_calls`: of what the method shows with the calls \
     that happened. `r_within_w` and `r_within`: of those calls, and of what the method shows, \
     with the throughput. More than of the calls is no merit: something else than calls then goes \
     better with the throughput.",
];

const DETECTION_OF: [&str; 3] = [
    "detection",
    "Does it notice that the network got worse",
    "Chance that a degraded bin shows less than another of its section, by the calls that happened \
     and by what the method shows; 0.5 is chance. Longest gap: bins with calls in which the method \
     recorded nothing.",
];

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let figures = [correlations(campaign), losses(campaign), within(campaign), detection(campaign)];
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

fn within(campaign: &Campaign) -> Option<Chart> {
    let columns = vec![
        fidelity(R_CALLS).unit("of what is shown"),
        fidelity(R_WITHIN_W).unit("of what happened"),
        fidelity(R_WITHIN).unit("of what is shown"),
        fidelity(BITS_PER_BIN).unit("bits"),
    ];
    figure(campaign, WITHIN, columns)
}

fn detection(campaign: &Campaign) -> Option<Chart> {
    let columns = vec![
        fidelity(DETECTION_W).unit("of what happened"),
        fidelity(DETECTION).unit("of what is shown"),
        fidelity(LONGEST_GAP_S).unit("s"),
    ];
    figure(campaign, DETECTION_OF, columns)
}
