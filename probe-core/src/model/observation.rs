//! What a method saw in one trial.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    item::PerItem,
    loss::Loss,
    units::{Bytes, Nanos},
};

/// A session's own account of one trial. Counts that are missing are `None`, never zero.
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
    /// Time from before the first thing observed until the method was told to stop.
    pub enabled: Nanos,
    /// Of that, the time it really observed (less when the kernel multiplexed it).
    pub running: Nanos,
    /// What really attached, one line each: functions, addresses, programs.
    pub attached: Vec<String>,
    /// Bytes that went from the kernel to the reader.
    pub bytes_read: Bytes,
    /// Kernel memory that the method held for its buffers and maps.
    pub kernel_memory: Bytes,
    /// CPU time of the method's own processes between enable and disable; zero for methods without
    /// any.
    #[serde(default)]
    pub processes: Nanos,
    /// CPU time of the method's own processes after disable.
    #[serde(default)]
    pub processes_after: Nanos,
    /// What the kernel says of the runs of the method's BPF programs; empty where it kept no
    /// statistics of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program_runs: Vec<ProgramRuns>,
    /// The method's other facts, in its own words: samples in all, buffer overruns per CPU, …
    pub details: BTreeMap<String, serde_json::Value>,
}

impl Default for Observation {
    /// Of a session that saw nothing and took no time: a base for those that saw something.
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
    /// Least and most calls that the samples allow.
    pub lo: f64,
    /// See `lo`.
    pub hi: f64,
    /// What `lo` and `hi` promise.
    pub promise: Promise,
}

/// What an interval promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// The truth lies inside, always: one in N, taken by counting.
    Always,
    /// The truth lies inside in 95 of 100 trials: calls drawn at random.
    Confidence95,
}

/// What the kernel's statistics say of one BPF program: the time between its first and last
/// instruction, without what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramRuns {
    /// Where it is attached, and by which way.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// What all of that took.
    pub time: Nanos,
}

/// How long the calls of one function took: bucket `i` counts those of `[2^i, 2^(i+1))` ns; the
/// first holds 0 ns too, the last everything longer.
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
    /// The series that fidelity is computed from: calls, or inclusive share in per cent.
    pub values: Vec<f64>,
    /// Sampling profilers: share of samples whose innermost frame is the function, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_share: Option<Vec<f64>>,
}
