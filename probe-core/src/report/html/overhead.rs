//! What methods cost, and where: in the kernel, in their readers, afterwards.

use super::{
    Section,
    panels::{Column, figure, times},
    program_runs,
};
use crate::{
    analysis::{
        figures::table::{
            AFTER_S_PER_S, KERNEL_NS_PER_EVENT, MEMORY_KIB, READ_KIB_PER_S, READER_CPU_PCT,
            SYSTEM_CPU_PCT, THROUGHPUT_PCT, WAKEUPS_PER_S, WORKER_CPU_PCT,
        },
        pairs::Trials,
        split,
    },
    model::campaign::{Campaign, MethodSummary},
    report::{figures::of_cost, number::Style},
};

const SPLIT: [&str; 3] = [
    "overhead-split",
    "The overhead at fixed load: kernel, reader, afterwards",
    "All three in per cent of one CPU over the time of the load, each on a scale of its own. Kernel: time of the vhost workers above `off`, \
     for the same frames; it can be below zero where slower workers take more frames at once. Reader: the method's own \
     threads and processes meanwhile. Afterwards: what they take once the load is over, to turn records into counts.",
];

const COSTS: [&str; 3] = [
    "overhead-costs",
    "The overhead against off in the same block",
    "Kernel time per call is of the closed loop, one frame per call; worker and system at fixed load; saturated throughput, where a \
     slower worker can even carry more.",
];

const HELD: [&str; 3] = ["overhead-held", "What methods take beside CPU time", "At fixed load."];

pub(super) fn section(campaign: &Campaign) -> Option<Section> {
    let runs = program_runs::figure(campaign);
    let figures = [costs(campaign), parts(campaign), held(campaign), runs];
    let blocks = figures.into_iter().flatten().map(Into::into).collect();
    Some(Section { id: "overhead", title: "Overhead", blocks })
}

fn parts(campaign: &Campaign) -> Option<super::Figure> {
    let trials = Trials { runs: &campaign.runs, all: &campaign.trials };
    let seed = campaign.runs.first().map_or(0, |run| run.seed);
    let kernel = move |method: &MethodSummary| split::kernel_pct(&trials, &method.id, seed);
    let after = |method: &MethodSummary| times(method.overhead.of(AFTER_S_PER_S), 100.0);
    let unit = "% of one CPU";
    let columns = [
        Column { title: "kernel", unit, style: Style::DIFFERENCE, of: Box::new(kernel) },
        Column::overhead(READER_CPU_PCT).unit(unit),
        Column { of: Box::new(after), ..Column::overhead(AFTER_S_PER_S).unit(unit) },
    ];
    figure(campaign, SPLIT, &columns)
}

fn costs(campaign: &Campaign) -> Option<super::Figure> {
    let columns = [
        Column::overhead(KERNEL_NS_PER_EVENT).unit(of_cost(&campaign.summary.methods)),
        Column::overhead(WORKER_CPU_PCT),
        Column::overhead(SYSTEM_CPU_PCT).unit("points of all CPUs"),
        Column::overhead(THROUGHPUT_PCT),
    ];
    figure(campaign, COSTS, &columns)
}

fn held(campaign: &Campaign) -> Option<super::Figure> {
    figure(campaign, HELD, &[MEMORY_KIB, READ_KIB_PER_S, WAKEUPS_PER_S].map(Column::overhead))
}
