//! The figures of a summary by name, so that each place that lists them lists all.

use super::number::Style;
use crate::model::{
    campaign::MethodSummary,
    figure::Figure,
    figures::{Beside, FidelityFigures, TollFigures},
};

/// A figure of one method, with its name in the result file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'static str,
    pub(super) figure: &'a Figure,
    pub(super) style: Style,
}

/// All figures of a method that the tables are made from.
pub(super) fn of(method: &MethodSummary) -> Vec<Named<'_>> {
    let mut named = toll(&method.toll);
    named.extend(fidelity(&method.fidelity));
    named
}

fn toll(figures: &TollFigures) -> Vec<Named<'_>> {
    let TollFigures {
        kernel_ns_per_event,
        worker_cpu_pct,
        reader_cpu_pct,
        after_s_per_s,
        system_cpu_pct,
        throughput_pct,
        latency_us,
        latency_pct,
        memory_kib,
        read_kib_per_s,
        wakeups_per_s,
    } = figures;
    let difference = |name, figure| Named { name, figure, style: Style::DIFFERENCE };
    let level = |name, figure| Named { name, figure, style: Style::LEVEL };
    vec![
        difference("kernel_ns_per_event", kernel_ns_per_event),
        difference("worker_cpu_pct", worker_cpu_pct),
        level("reader_cpu_pct", reader_cpu_pct),
        level("after_s_per_s", after_s_per_s),
        difference("system_cpu_pct", system_cpu_pct),
        difference("throughput_pct", throughput_pct),
        // Their other percentiles are of the same trials: what keeps one from being known keeps
        // all.
        level("latency_us", &latency_us.p50),
        difference("latency_pct", &latency_pct.p50),
        level("memory_kib", memory_kib),
        level("read_kib_per_s", read_kib_per_s),
        level("wakeups_per_s", wakeups_per_s),
    ]
}

fn fidelity(figures: &FidelityFigures) -> Vec<Named<'_>> {
    let FidelityFigures {
        r_0,
        r_w,
        r_m,
        perturbation,
        observation_loss,
        fidelity_loss,
        r_retained,
        series_error,
        // Not in the tables; in the result file.
        beside: Beside { .. },
        lag: _,
        by_width: _,
    } = figures;
    let named = |style| move |(name, figure)| Named { name, figure, style };
    let levels = [
        ("r_0", r_0),
        ("r_w", r_w),
        ("r_m", r_m),
        ("r_retained", r_retained),
        ("series_error", series_error),
    ];
    let differences = [
        ("perturbation", perturbation),
        ("observation_loss", observation_loss),
        ("fidelity_loss", fidelity_loss),
    ];
    let levels = levels.into_iter().map(named(Style::CORRELATION));
    levels.chain(differences.into_iter().map(named(Style::CORRELATIONS))).collect()
}
