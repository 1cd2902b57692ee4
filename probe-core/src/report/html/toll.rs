//! What methods cost, and where: in the kernel, in their readers, afterwards.

use super::{
    Section,
    panels::{Column, figure, times},
    program_runs,
};
use crate::{
    analysis::{pairs::Trials, split},
    model::{
        campaign::{Campaign, MethodSummary},
        figure::Figure,
        figures::TollFigures,
    },
    report::number::{Style, nanoseconds},
};

const SPLIT: [&str; 3] = [
    "toll-split",
    "The toll at fixed load: kernel, reader, afterwards",
    "All three in per cent of one CPU over the time of the load, each on a scale of its own. Kernel: time of the vhost workers above `off`, \
     for the same frames; it can be below zero where slower workers take more frames at once. Reader: the method's own \
     threads and processes meanwhile. Afterwards: what they take once the load is over, to turn records into counts.",
];

const COSTS: [&str; 3] = [
    "toll-costs",
    "The toll against off in the same block",
    "Kernel time per call is of lockstep, one frame per call; worker and system at fixed load; throughput flat out, where a \
     slower worker can even carry more.",
];

const HELD: [&str; 3] = ["toll-held", "What methods take beside CPU time", "At fixed load."];

pub(super) fn section(campaign: &Campaign) -> Option<Section> {
    let runs = program_runs::figure(campaign);
    let figures = [costs(campaign), parts(campaign), held(campaign), runs];
    let blocks = figures.into_iter().flatten().map(Into::into).collect();
    Some(Section { id: "toll", title: "Toll", blocks })
}

fn of(pick: fn(&TollFigures) -> &Figure) -> impl Fn(&MethodSummary) -> Figure {
    move |method| pick(&method.toll).clone()
}

fn parts(campaign: &Campaign) -> Option<super::Figure> {
    let trials = Trials { runs: &campaign.runs, all: &campaign.trials };
    let seed = campaign.runs.first().map_or(0, |run| run.seed);
    let kernel = |method: &MethodSummary| split::kernel_pct(&trials, &method.id, seed);
    let after = |method: &MethodSummary| times(&method.toll.after_s_per_s, 100.0);
    let reader = of(|toll| &toll.reader_cpu_pct);
    let unit = "% of one CPU";
    let columns = [
        Column { title: "kernel", unit, style: Style::DIFFERENCE, of: &kernel },
        Column { title: "reader", unit, style: Style::LEVEL, of: &reader },
        Column { title: "afterwards", unit, style: Style::LEVEL, of: &after },
    ];
    figure(campaign, SPLIT, &columns)
}

fn costs(campaign: &Campaign) -> Option<super::Figure> {
    let cost = |method: &MethodSummary| Some(method.toll.kernel_ns_per_event.known()?.platform);
    let clock = nanoseconds(campaign.summary.methods.iter().find_map(cost));
    let (kernel, worker) = (of(|toll| &toll.kernel_ns_per_event), of(|toll| &toll.worker_cpu_pct));
    let (system, throughput) = (of(|toll| &toll.system_cpu_pct), of(|toll| &toll.throughput_pct));
    let style = Style::DIFFERENCE;
    let columns = [
        Column { title: "kernel, per call", unit: clock, style, of: &kernel },
        Column { title: "worker, per frame", unit: "% of off", style, of: &worker },
        Column { title: "system", unit: "points of all CPUs", style, of: &system },
        Column { title: "throughput", unit: "% of off", style, of: &throughput },
    ];
    figure(campaign, COSTS, &columns)
}

fn held(campaign: &Campaign) -> Option<super::Figure> {
    let (memory, read) = (of(|toll| &toll.memory_kib), of(|toll| &toll.read_kib_per_s));
    let wakeups = of(|toll| &toll.wakeups_per_s);
    let style = Style::LEVEL;
    let columns = [
        Column { title: "kernel memory", unit: "KiB", style, of: &memory },
        Column { title: "read from the kernel", unit: "KiB per s", style, of: &read },
        Column { title: "reader's wake-ups", unit: "per s", style, of: &wakeups },
    ];
    figure(campaign, HELD, &columns)
}
