//! What a method observed in one trial.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    item::PerItem,
    loss::Loss,
    units::{Bytes, Nanos},
};

/// A session's own account of one trial. Unknown counts are `None`, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// Events recorded (or counted, or sampled) per item of the target, in its order; items beyond
    /// the end, and those that are `None`, were not observed.
    pub recorded: PerItem<u64>,
    /// Methods that count every call and record only some: what they counted, per item as
    /// `recorded`. Empty where `recorded` is all there is.
    #[serde(default, skip_serializing_if = "PerItem::is_empty")]
    pub counted: PerItem<u64>,
    /// Samplers of calls: what they take the true number for, per item. Empty for all others.
    #[serde(default, skip_serializing_if = "PerItem::is_empty")]
    pub estimates: PerItem<EstimatedCalls>,
    /// Methods that measure how long calls take: per item. Empty for all others.
    #[serde(default, skip_serializing_if = "PerItem::is_empty")]
    pub durations: PerItem<Durations>,
    /// Records that the method made and its buffers lost.
    pub lost: Loss,
    /// Calls at which the method's probe did not run.
    pub missed: Loss,
    /// Time from before the first observation until the method was told to stop.
    pub enabled: Nanos,
    /// The part of that time in which it observed (less if the kernel multiplexed it).
    pub running: Nanos,
    /// What was attached, one line each: functions, addresses, programs.
    pub attached: Vec<String>,
    /// Bytes that the reader read from the kernel.
    pub bytes_read: Bytes,
    /// Kernel memory of the method's buffers and maps.
    pub kernel_memory: Bytes,
    /// CPU time of the method's own processes between enable and disable; zero if it has none.
    #[serde(default)]
    pub processes: Nanos,
    /// CPU time of the method's own processes after disable.
    #[serde(default)]
    pub processes_after: Nanos,
    /// The kernel's statistics of the method's BPF programs; empty if the kernel kept none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program_runs: Vec<ProgramRuns>,
    /// Other facts in the method's own terms: total samples, buffer overruns per CPU, …
    pub details: BTreeMap<String, serde_json::Value>,
}

impl Default for Observation {
    /// A session that saw nothing and took no time, as a base for others.
    fn default() -> Self {
        Self {
            recorded: PerItem::default(),
            counted: PerItem::default(),
            estimates: PerItem::default(),
            durations: PerItem::default(),
            lost: Loss::Unknown,
            missed: Loss::Unknown,
            enabled: Nanos(0),
            running: Nanos(0),
            attached: Vec::new(),
            bytes_read: Bytes(0),
            kernel_memory: Bytes(0),
            processes: Nanos(0),
            processes_after: Nanos(0),
            program_runs: Vec::new(),
            details: BTreeMap::new(),
        }
    }
}

/// A sampler's estimate of the number of calls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EstimatedCalls {
    /// The estimate.
    pub calls: f64,
    /// Least number of calls that the samples allow.
    pub lo: f64,
    /// Greatest number of calls that the samples allow.
    pub hi: f64,
    /// How `lo` and `hi` are to be understood.
    pub promise: Promise,
}

/// What an interval guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// The truth is always inside: one in N, taken by counting.
    Always,
    /// The truth is inside in 95 of 100 trials: calls drawn at random.
    Confidence95,
}

/// The kernel's statistics of one BPF program: the time between its first and last instruction,
/// without the path to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramRuns {
    /// Where and how it is attached.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// The total time of these runs.
    pub time: Nanos,
}

/// Durations of the calls of one function: bucket `i` counts those of `[2^i, 2^(i+1))` ns. The
/// first bucket includes 0 ns, the last one everything longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Durations {
    /// Calls per bucket.
    pub log2_ns: Vec<u64>,
}

/// A method's series for one item of the target: one value per bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// The item's name.
    pub function: String,
    /// The series from which fidelity is computed: calls, or inclusive share in per cent.
    pub values: Vec<f64>,
    /// Sampling profilers: share of samples whose innermost frame is the function, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_share: Option<Vec<f64>>,
}
