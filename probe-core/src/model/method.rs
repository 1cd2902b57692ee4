//! Names and properties of tracing methods.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counter::Counted;

/// Id of a method with its parameters, for example `perf-sample-999:event=cpu-clock`. The baseline
/// is `off`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct MethodId(pub String);

impl MethodId {
    /// The baseline's id.
    pub const OFF: &'static str = "off";

    /// The id of the second baseline, which is treated as a method (A/A control).
    pub const OFF_AGAIN: &'static str = "off-again";

    /// Whether this is the A/A control.
    pub fn is_off_again(&self) -> bool {
        self.0 == Self::OFF_AGAIN
    }

    /// Whether this is the baseline.
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
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Nothing is attached.
    #[serde(alias = "control")]
    Baseline,
    /// The kernel's own tracers, through tracefs.
    Ftrace,
    /// perf_event_open(2).
    Perf,
    /// eBPF programs.
    Bpf,
    /// Packet sockets.
    Capture,
    /// What the kernel counts anyway; nothing is attached.
    Counters,
    /// Another program's command line.
    External,
}

/// How a method's numbers relate to the calls that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Every call is counted: counted + missed = calls.
    Exact,
    /// Every call leaves a record: recorded + lost + missed = calls.
    Recorded,
    /// Some calls, or moments, are seen and represent all of them.
    Sampled,
    /// Calls are not seen, only something that they cause or that goes with them.
    Inferred,
    /// Nothing is observed: the baseline, and hooks that only cost.
    Nothing,
}

/// What one unit of a method's series stands for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SeriesUnit {
    /// Calls; each recorded one represents `factor` calls (1 for exact methods, N for one in N).
    Calls {
        /// The declared sampling factor `s`; never fitted.
        factor: f64,
    },
    /// Share of CPU time, in per cent of all samples of the bin.
    CpuShare,
    /// The increase of one of the kernel's own counters.
    Counter {
        /// What it counts.
        of: Counted,
    },
    /// Nothing is observed.
    Nothing,
}

/// What a user can want from a method.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Gives {
    /// The exact number of calls.
    Counts,
    /// The time of each call.
    Timestamps,
    /// The duration of calls.
    Latency,
    /// The share of CPU time that a function takes.
    Shares,
}

impl fmt::Display for Gives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Counts => "counts",
            Self::Timestamps => "timestamps",
            Self::Latency => "latency",
            Self::Shares => "shares",
        })
    }
}

/// A method's definition: everything that determines what it does. It is part of every result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Descriptor {
    /// The id, including parameters.
    pub id: MethodId,
    /// The facility.
    pub family: Family,
    /// How its numbers relate to calls.
    pub class: Class,
    /// The unit of its series.
    pub unit: SeriesUnit,
    /// Whether it measures the duration of calls. Absent (false) in results written before this
    /// field existed; there the durations themselves show it.
    #[serde(default)]
    pub durations: bool,
    /// One line of description.
    pub summary: String,
    /// Every parameter that affects it, with its unit in the name: `buffer_kib_per_cpu`, `clock`.
    pub parameters: BTreeMap<String, serde_json::Value>,
}

impl Descriptor {
    /// What it gives about all calls: nothing if it records only some of them.
    pub fn gives(&self) -> Vec<Gives> {
        let of_calls: &[Gives] = match (self.class, self.unit) {
            (Class::Recorded, SeriesUnit::Calls { .. }) => &[Gives::Counts, Gives::Timestamps],
            (Class::Exact, SeriesUnit::Calls { .. }) => &[Gives::Counts],
            (_, SeriesUnit::CpuShare) => &[Gives::Shares],
            (Class::Sampled | Class::Inferred | Class::Nothing, _)
            | (_, SeriesUnit::Counter { .. } | SeriesUnit::Nothing) => &[],
        };
        let durations = self.durations.then_some(Gives::Latency);
        of_calls.iter().copied().chain(durations).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_gives_follows_from_what_it_says_of_itself() {
        let gives = |class, unit, durations| {
            let descriptor = Descriptor {
                id: MethodId("a".into()),
                family: Family::Bpf,
                class,
                unit,
                durations,
                summary: String::new(),
                parameters: BTreeMap::new(),
            };
            descriptor.gives()
        };
        let calls = |factor| SeriesUnit::Calls { factor };
        assert_eq!(gives(Class::Exact, calls(1.0), true), [Gives::Counts, Gives::Latency]);
        assert_eq!(gives(Class::Recorded, calls(1.0), false), [Gives::Counts, Gives::Timestamps]);
        // One call in ten represents ten, and none of them was counted.
        assert_eq!(gives(Class::Sampled, calls(10.0), false), []);
        assert_eq!(gives(Class::Sampled, SeriesUnit::CpuShare, false), [Gives::Shares]);
        // Frames are not calls, and a hook alone reports nothing.
        assert_eq!(gives(Class::Inferred, calls(1.0), false), []);
        let of = Counted::Frames;
        assert_eq!(gives(Class::Inferred, SeriesUnit::Counter { of }, false), []);
        assert_eq!(gives(Class::Nothing, SeriesUnit::Nothing, false), []);
    }
}
