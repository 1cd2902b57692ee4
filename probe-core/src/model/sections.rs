//! Results per section of the schedule and per method: figures 4 to 8 of the paper.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{figure::Figure, method::MethodId};

/// A section of the fidelity trials' schedule: a pattern of the paper, or a step of its figure 8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SectionFigures {
    /// Its name in the scenario, or `2 send, 1 hog`.
    pub label: String,
    /// Number of guests that send; null if the load is not ours.
    pub senders: Option<usize>,
    /// Number of hogs.
    pub hogs: usize,
    /// Its scheduled start, in seconds from the first bin.
    pub from_s: f64,
    /// Its scheduled end.
    pub to_s: f64,
    /// What each method that ran shows in it, the baseline first.
    pub methods: Vec<MethodInSection>,
}

/// One section under one method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MethodInSection {
    /// The method.
    pub id: MethodId,
    /// What the sink received from all guests together, in bits per second.
    pub throughput_bps: Figure,
    /// The distribution of throughput over the bins; absent if there is no trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins_bps: Option<Quantiles>,
    /// Standard deviation of the bins' throughput over its mean.
    pub throughput_cv: Figure,
    /// Each guest's part of the throughput in bits per second; `GuestSeries::counted_at` says where
    /// it was counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guests_bps: BTreeMap<String, Figure>,
    /// Frames at the sink per call of `handle_tx`, by the reference counter.
    pub frames_per_call: Figure,
    /// Time that tasks waited for the sink's CPU, in per cent of the section's length.
    pub sink_run_delay_pct: Figure,
    /// Each function of the target.
    pub functions: BTreeMap<String, FunctionInSection>,
}

/// One function in one section under one method. Values that this kind of method cannot have are
/// absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionInSection {
    /// Calls per second by the reference counter.
    pub calls_per_s_w: Figure,
    /// r(reference counter, throughput) over the section's bins.
    pub r_w: Figure,
    /// Calls per second by the method, times its declared sampling factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_s_m: Option<Figure>,
    /// Profilers: share of CPU time of the function and all that it calls (without call chains: of
    /// the function alone), in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_pct: Option<Figure>,
    /// Profilers: share of CPU time of the function's own code, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_share_pct: Option<Figure>,
    /// r(method's series, throughput) over the section's bins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r_m: Option<Figure>,
}

/// Quantiles over the bins of a section, each the mean of the blocks' quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// The least.
    pub p0: f64,
    /// 5 of 100 bins are below it.
    pub p5: f64,
    /// The first quartile.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The third quartile.
    pub p75: f64,
    /// 95 of 100 bins are below it.
    pub p95: f64,
    /// The greatest.
    pub p100: f64,
}

/// Correlation of the time between two calls with the round-trip time that the guests' sockets
/// estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RttFigures {
    /// The function.
    pub function: String,
    /// r(mean time between calls by the reference counter, rtt).
    pub r_w: Figure,
    /// Spearman's coefficient for `r_w`.
    pub spearman_w: Figure,
    /// r(mean time between calls by the method's own series, rtt); absent for the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r_m: Option<Figure>,
    /// Spearman's coefficient for `r_m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spearman_m: Option<Figure>,
}
