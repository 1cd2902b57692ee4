//! How each figure was computed, in short: docs/src/reference/figures.md has the definitions.

use maud::html;

use super::{Section, data::prose};
use crate::model::campaign::Campaign;

/// Figures by the names that results have, and what they are.
pub(super) const DEFINITIONS: [(&str, &str); 18] = [
    (
        "kernel_ns_per_event",
        "CPU time of the vhost workers per kick, less that under `off` in the same block; lockstep: one frame in flight, one call of `handle_tx` per kick.",
    ),
    (
        "worker_cpu_pct",
        "Change of the workers' CPU time per frame against `off`, at fixed offered load: the mean of logarithms of ratios, in per cent.",
    ),
    (
        "reader_cpu_pct",
        "CPU time of the method's own threads and processes, in per cent of one CPU, at fixed load.",
    ),
    ("after_s_per_s", "CPU time that the method takes once the load is over, per second of load."),
    (
        "system_cpu_pct",
        "Change of the time that any task ran, in points of all CPUs, at fixed load.",
    ),
    ("throughput_pct", "Change of the bytes that the sink received per second, flat out."),
    (
        "latency_us",
        "Time from when a frame was to be sent until machine 2 has it: percentiles of each trial, averaged over blocks.",
    ),
    ("latency_pct", "Change of each such percentile against `off`."),
    ("memory_kib", "Kernel memory of the method's buffers, maps and programs."),
    ("read_kib_per_s", "What the reader took from the kernel per second."),
    ("wakeups_per_s", "Voluntary context switches of the reader per second."),
    (
        "r_0",
        "Correlation (Pearson's) of true calls with throughput, bin by bin, while nothing traces: the witness counts calls at their callers.",
    ),
    ("r_w", "The same while the method runs."),
    ("r_m", "Correlation of the method's own series with throughput."),
    ("perturbation", "`r_0 - r_w`: how far the method changed what it looked at."),
    ("observation_loss", "`r_w - r_m`: how much of what happened its series does not show."),
    ("r_retained", "`r_m / r_0`: what is left. Null where `r_0` is below 0.2."),
    (
        "series_error",
        "Calls by which the bins of the method's series are away from the witness's, as a share of all calls.",
    ),
];

const INTERVALS: [&str; 4] = [
    "The block is the sample: every method once, in random order. Each block gives one value of a figure, and the interval is that of their mean: Student's t below 15 blocks, BCa bootstrap from there on. Of one block there is none; for correlations, that of the run's own bins, which is marked.",
    "`n` is the number of blocks, `d` the smallest effect that so many blocks with this scatter would have shown in four of five campaigns. “No overhead” means no more than “below d”.",
    "Differences have a two-sided p, adjusted by Holm over the methods of a figure.",
    "Everything that is drawn at random comes from the seed.",
];

pub(super) fn section(campaign: &Campaign) -> Option<Section> {
    let seeds = campaign.runs.first().map(|run| run.seed);
    let text = html! {
        p {
            "In short. docs/src/reference/figures.md of tracetoll " (campaign.design.version)
            " has the definitions, docs/src/explanation/biases.md what these numbers cannot tell."
        }
        dl {
            @for (name, text) in DEFINITIONS {
                dt { code { (name) } }
                dd { (prose(text)) }
            }
        }
        h3 { "Intervals" }
        ul { @for text in INTERVALS { li { (prose(text)) } } }
        @if let Some(seed) = seeds { p { "The figures' own seed is that of the first run: " code { (seed) } "." } }
    };
    Some(Section { id: "how", title: "How each figure was computed", blocks: vec![text.into()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_that_is_explained_here_is_defined_there() {
        let figures = include_str!("../../../../docs/src/reference/figures.md");
        for (name, _) in DEFINITIONS {
            assert!(figures.contains(&format!("`{name}`")), "{name}");
        }
    }
}
