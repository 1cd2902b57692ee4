//! What methods still show.

use super::{
    Section,
    panels::{Column, figure},
};
use crate::{
    model::{
        campaign::{Campaign, MethodSummary},
        figure::Figure,
        figures::FidelityFigures,
    },
    report::number::Style,
};

const CORRELATIONS: [&str; 3] = [
    "fidelity",
    "What methods still show: correlation with throughput",
    "`r_w`: of the calls that happened, by the witness (under `off`: `r_0`); `r_m`: of what the method shows; the last is \
     their ratio, `r_m / r_0`.",
];

const LOSSES: [&str; 3] = [
    "fidelity-loss",
    "How far methods change what they look at, and what they miss of it",
    "Perturbation `r_0 - r_w`: the calls themselves go less well with throughput while the method runs. Observation loss \
     `r_w - r_m`: its series shows less than happened. Series error: the calls by which its bins are off, as a share of \
     all calls.",
];

pub(super) fn section(campaign: &Campaign) -> Option<Section> {
    let figures = [correlations(campaign), losses(campaign)];
    let blocks = figures.into_iter().flatten().map(Into::into).collect();
    Some(Section { id: "fidelity", title: "Fidelity", blocks })
}

fn of(pick: fn(&FidelityFigures) -> &Figure) -> impl Fn(&MethodSummary) -> Figure {
    move |method| pick(&method.fidelity).clone()
}

fn correlations(campaign: &Campaign) -> Option<super::Figure> {
    let happened = |method: &MethodSummary| {
        let fidelity = &method.fidelity;
        if method.id.is_off() { fidelity.r_0.clone() } else { fidelity.r_w.clone() }
    };
    let (shown, kept) = (of(|found| &found.r_m), of(|found| &found.r_retained));
    let style = Style::CORRELATION;
    let columns = [
        Column { title: "r_w", unit: "of what happened", style, of: &happened },
        Column { title: "r_m", unit: "of what is shown", style, of: &shown },
        Column { title: "r_m / r_0", unit: "what is left", style, of: &kept },
    ];
    figure(campaign, CORRELATIONS, &columns)
}

fn losses(campaign: &Campaign) -> Option<super::Figure> {
    let (moved, missed) = (of(|found| &found.perturbation), of(|found| &found.observation_loss));
    let error = of(|found| &found.series_error);
    let columns = [
        Column { title: "perturbation", unit: "r_0 - r_w", style: Style::CORRELATIONS, of: &moved },
        Column {
            title: "observation loss",
            unit: "r_w - r_m",
            style: Style::CORRELATIONS,
            of: &missed,
        },
        Column {
            title: "series error",
            unit: "of all calls",
            style: Style::CORRELATION,
            of: &error,
        },
    ];
    figure(campaign, LOSSES, &columns)
}
