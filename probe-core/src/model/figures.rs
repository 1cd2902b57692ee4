//! What is told of a method in figures, by the definitions in METHODOLOGY.md.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figure::{Absent, Figure};

/// The toll, by the definitions in METHODOLOGY.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TollFigures {
    /// CPU ns of the vhost worker per call, above the control.
    pub kernel_ns_per_event: Figure,
    /// Change of worker CPU per frame at fixed load, in per cent.
    pub worker_cpu_pct: Figure,
    /// CPU of the method's own threads and processes, in per cent of one CPU.
    pub reader_cpu_pct: Figure,
    /// CPU time that the method takes once the load is over, in seconds per second of load: turning
    /// what it recorded into counts.
    pub after_s_per_s: Figure,
    /// Change of busy CPU at fixed load, in points of all CPUs.
    pub system_cpu_pct: Figure,
    /// Change of throughput flat out, in per cent.
    pub throughput_pct: Figure,
    /// How long frames took to machine 2, at fixed load, in µs; of the control, too.
    pub latency_us: Percentiles,
    /// Change of that, in per cent.
    pub latency_pct: Percentiles,
    /// Kernel memory of buffers, maps and programs, in KiB.
    pub memory_kib: Figure,
    /// What the reader took from the kernel, in KiB per second of load.
    pub read_kib_per_s: Figure,
    /// How often per second of load the reader was woken.
    pub wakeups_per_s: Figure,
}

/// Figures of a distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Half of all are below.
    pub p50: Figure,
    /// 90 % are.
    pub p90: Figure,
    /// 99 % are.
    pub p99: Figure,
    /// 99.9 % are.
    pub p99_9: Figure,
    /// The largest.
    pub max: Figure,
}

/// What a method costs on so many functions at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SizeFigures {
    /// The first so many functions of the target.
    pub functions: usize,
    /// CPU ns of the vhost worker per kick, above the control; whatever number of calls one kick
    /// makes of them.
    pub kernel_ns_per_kick: Figure,
    /// Hits that the method recorded per kick; null where it records nothing.
    pub events_per_kick: Option<f64>,
}

/// How long the calls took of the function that each kick calls, over all lockstep trials, in
/// powers of two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DurationFigures {
    /// Calls whose duration was measured.
    pub calls: u64,
    /// The bucket that holds the median: from, to.
    pub p50_ns: [u64; 2],
    /// The bucket that holds the 99th percentile.
    pub p99_ns: [u64; 2],
    /// The bucket of the longest call.
    pub longest_ns: [u64; 2],
    /// Calls of `[2^i, 2^(i+1))` ns, by `i`.
    pub log2_ns: Vec<u64>,
}

/// What the kernel says that runs of a method's BPF programs took, over all lockstep trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFigures {
    /// Runs of all its programs.
    pub runs: u64,
    /// ns of one run.
    pub ns_per_run: Figure,
    /// ns of all runs that one kick makes: what `kernel_ns_per_event` is without the way to the
    /// programs.
    pub ns_per_event: Figure,
}

/// The fidelity, by the definitions in METHODOLOGY.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FidelityFigures {
    /// r(witness, throughput) under the control.
    pub r_0: Figure,
    /// r(witness, throughput) under the method.
    pub r_w: Figure,
    /// r(method, throughput).
    pub r_m: Figure,
    /// `r_0 - r_w`.
    pub perturbation: Figure,
    /// `r_w - r_m`.
    pub observation_loss: Figure,
    /// `r_0 - r_m`.
    pub fidelity_loss: Figure,
    /// `r_m / r_0`.
    pub r_retained: Figure,
    /// `Σ|s·m - w| / Σ w`.
    pub series_error: Figure,
    /// The same correlations by other coefficients.
    pub beside: Beside,
    /// The lag at which a series goes best with the throughput; absent where no trial ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<LagFigures>,
    /// What is left in wider bins; absent where no trial ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_width: Option<WidthFigures>,
}

/// Correlations that stand beside the headline's Pearson coefficient of raw bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    /// Spearman's for `r_0`.
    pub spearman_0: Figure,
    /// Spearman's for `r_w`.
    pub spearman_w: Figure,
    /// Spearman's for `r_m`.
    pub spearman_m: Figure,
    /// `r_0` of 10 s moving averages, as the paper plots them; without interval.
    pub moving_average_0: Figure,
    /// `r_w` of 10 s moving averages.
    pub moving_average_w: Figure,
    /// `r_m` of 10 s moving averages.
    pub moving_average_m: Figure,
}

/// At which lag two series go best with the throughput.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagFigures {
    /// The witness's, under the method (of the control: under itself).
    pub witness: Lagged,
    /// The method's own series'; absent for the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Lagged>,
}

/// A lag, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Lagged {
    /// There is one.
    Known(Lag),
    /// A series cannot be correlated.
    Null(Absent),
}

/// The lag with the greatest |r|, of means over blocks. The choice among several has no interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lag {
    /// Bins by which the throughput follows the series; negative where the series follows the
    /// throughput.
    pub bins: i32,
    /// The same in seconds.
    pub seconds: f64,
    /// r at this lag.
    pub r: f64,
    /// Blocks in which this lag is the best by itself.
    pub in_blocks: usize,
    /// Blocks.
    pub n: usize,
    /// r at each lag from -4 to 4 bins.
    pub by_lag: Vec<f64>,
}

/// What a method shows in bins of several widths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WidthFigures {
    /// The scenario's own bin first, then wider ones.
    pub widths: Vec<AtWidth>,
    /// The finest of them at which the method tells the truth, by several bounds.
    pub finest: Vec<Finest>,
}

/// What a method shows in bins of one width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtWidth {
    /// Seconds.
    pub width_s: f64,
    /// r(witness, throughput) under the control.
    pub r_0: Figure,
    /// r(witness, throughput) under the method.
    pub r_w: Figure,
    /// r(method, throughput).
    pub r_m: Figure,
    /// `Σ|s·m - w| / Σ w`.
    pub series_error: Figure,
}

/// The finest width at which the whole interval of `series_error` lies below a bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finest {
    /// The bound.
    pub error_below: f64,
    /// Seconds. Finer bins than the scenario's were not looked at.
    pub width_s: Option<f64>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
