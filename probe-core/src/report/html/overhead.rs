//! What methods cost, and where: in the kernel, in their readers, afterwards.

use super::{Chart, PageSection, panels::figure};
use crate::{
    analysis::{
        baseline,
        figures::table::{
            AFTER_S_PER_S, KERNEL_NS_PER_EVENT, READER_CPU_PCT, SYSTEM_CPU_PCT, THROUGHPUT_PCT,
            WORKER_CPU_PCT,
        },
        pairs::Trials,
        split,
    },
    model::campaign::{Campaign, MethodSummary},
    report::{
        columns::{self, OfMethods, overhead},
        figures::{of_cost, times},
        number::Style,
        program_runs,
        table::Cell,
    },
};

const SPLIT: [&str; 3] = [
    "overhead-split",
    "The overhead at fixed load: kernel, reader, afterwards",
    "All three in per cent of one CPU over the time of the load, each with its own scale. Kernel: \
     time of the vhost workers above `off`, for the same frames; it can be below zero if slower \
     workers take more frames at once. Reader: the method's own threads and processes during the \
     load. Afterwards: their time after the load, to turn records into counts.",
];

const COSTS: [&str; 3] = [
    "overhead-costs",
    "The overhead against off in the same block",
    "Kernel time per call is measured in the closed loop, one frame per call; worker and system at \
     fixed load; throughput when saturated, where a slower worker can even carry more.",
];

const HELD: [&str; 3] = ["overhead-held", "What methods take besides CPU time", "At fixed load."];

const RUNS: [&str; 3] = [
    "program-runs",
    "Run time of BPF programs by the kernel's statistics, beside the overhead",
    program_runs::CAVEAT,
];

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let runs = figure(campaign, RUNS, program_runs::columns(&campaign.summary.methods));
    let held = figure(campaign, HELD, columns::held());
    let figures = [costs(campaign), parts(campaign), held, runs];
    let blocks = figures.into_iter().flatten().map(Into::into).collect();
    Some(PageSection { id: "overhead", title: "Overhead", blocks })
}

fn parts(campaign: &Campaign) -> Option<Chart> {
    let trials = Trials { runs: &campaign.runs, all: &baseline::pooled(&campaign.trials) };
    let seed = campaign.runs.first().map_or(0, |run| run.seed);
    let kernel = move |method: &&MethodSummary| {
        Cell::figure(&split::kernel_pct(&trials, &method.id, seed), Style::DIFFERENCE)
    };
    let unit = "% of one CPU";
    let columns = vec![
        OfMethods::new("kernel", kernel).unit(unit),
        overhead(READER_CPU_PCT).unit(unit),
        OfMethods::figure(AFTER_S_PER_S, |method| times(method.overhead.of(AFTER_S_PER_S), 100.0))
            .unit(unit),
    ];
    figure(campaign, SPLIT, columns)
}

fn costs(campaign: &Campaign) -> Option<Chart> {
    let columns = vec![
        overhead(KERNEL_NS_PER_EVENT).unit(of_cost(&campaign.summary.methods)),
        overhead(WORKER_CPU_PCT),
        overhead(SYSTEM_CPU_PCT).unit("points of all CPUs"),
        overhead(THROUGHPUT_PCT),
    ];
    figure(campaign, COSTS, columns)
}
