//! What a tracing method is called and what it promises.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Id of a method with its parameters, as in `perf-sample-999:event=cpu-clock`. The control is `off`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MethodId(pub String);

impl MethodId {
    /// The control's id.
    pub const OFF: &'static str = "off";

    /// Whether this is the control.
    pub fn is_off(&self) -> bool {
        self.0 == Self::OFF
    }
}

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The facility that a method is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Nothing is attached.
    Control,
    /// The kernel's own tracers, through tracefs.
    Ftrace,
    /// perf_event_open(2).
    Perf,
    /// eBPF programs.
    Bpf,
    /// Packet sockets.
    Capture,
    /// Another program's command line.
    External,
}

/// How a method's numbers relate to the calls that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Every call is counted: counted + missed = calls.
    Exact,
    /// Every call leaves a record: recorded + lost + missed = calls.
    Recorded,
    /// Some calls, or moments, are seen and stand for all.
    Sampled,
    /// Calls are not seen; something that follows from them is.
    Inferred,
    /// Nothing is observed: the control, and hooks that only cost.
    Nothing,
}

/// What one unit of a method's series stands for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SeriesUnit {
    /// Calls; `factor` calls stand behind each recorded one (1 for exact methods, N for one in N).
    Calls {
        /// The declared sampling factor `s`; never fitted.
        factor: f64,
    },
    /// Share of CPU time, in per cent of all samples of the bin.
    CpuShare,
    /// Nothing is observed.
    Nothing,
}

/// A method's definition: all that decides what it does. It is part of every result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// The id, parameters included.
    pub id: MethodId,
    /// The facility.
    pub family: Family,
    /// What its numbers are.
    pub class: Class,
    /// What its series counts.
    pub unit: SeriesUnit,
    /// One line for people.
    pub summary: String,
    /// Every parameter that shapes it, with its unit in the name: `buffer_kib_per_cpu`, `clock`.
    pub parameters: BTreeMap<String, serde_json::Value>,
}
