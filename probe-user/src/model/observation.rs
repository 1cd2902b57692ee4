//! What a method saw in one trial.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    loss::Loss,
    units::{Bytes, Nanos},
};

/// A session's own account of one trial. Counts that are missing are `None`, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Events recorded (or counted, or sampled) per function, in the target's order.
    pub recorded: Vec<Option<u64>>,
    /// Records that the method made and its buffers lost.
    pub lost: Loss,
    /// Calls at which the method's probe did not run.
    pub missed: Loss,
    /// Time between enable and disable.
    pub enabled: Nanos,
    /// Of that, the time it really observed (less when the kernel multiplexed it).
    pub running: Nanos,
    /// What really attached, one line each: functions, addresses, programs.
    pub attached: Vec<String>,
    /// Bytes that went from the kernel to the reader.
    pub bytes_read: Bytes,
    /// Kernel memory that the method held for its buffers and maps.
    pub kernel_memory: Bytes,
    /// The method's other facts, in its own words: samples in all, buffer overruns per CPU, …
    pub details: BTreeMap<String, serde_json::Value>,
}

/// A method's series for one function: one value per bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The function's name.
    pub function: String,
    /// The series that fidelity is computed from: calls, or inclusive share in per cent.
    pub values: Vec<f64>,
    /// Sampling profilers: share of samples whose innermost frame is the function, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_share: Option<Vec<f64>>,
}
