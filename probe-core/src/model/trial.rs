//! A scenario run once under one method.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    latency::Latency,
    loss::Loss,
    method::MethodId,
    observation::{Observation, Series},
    units::{Bytes, Nanos},
};

/// What a trial is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The method alone: what it costs.
    #[serde(alias = "toll")]
    Overhead,
    /// The method and the reference counter: what the method still shows.
    Fidelity,
}

/// How the load sends its frames.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// The next kick only after the previous one was served: one call per kick.
    #[serde(alias = "lockstep")]
    ClosedLoop,
    /// A fixed number of frames per second.
    Paced,
    /// As fast as the ring takes them.
    #[serde(alias = "flat")]
    Saturated,
}

/// The phases of a trial, in order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The testbed is built: TAPs, switch, sink, guests.
    Build,
    /// The load runs without the method.
    WarmUp,
    /// Reference counter and method attach, and the method is enabled.
    Attach,
    /// The load runs under the method.
    Load,
    /// The method reads what is left, and is disabled and detached.
    Detach,
    /// Records are counted and checked; the testbed is removed.
    Account,
}

/// A trial, as written to the journal when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// Index into the campaign's runs: which process, on which machine.
    pub run: usize,
    /// The block: every method once, in random order.
    pub block: u32,
    /// Place within the block, from 0.
    pub position: u32,
    /// What the trial is for.
    pub part: Part,
    /// How the load was offered.
    pub pace: Pace,
    /// The method, or `off`.
    pub method: MethodId,
    /// Whether the reference counter ran beside it.
    #[serde(alias = "witnessed")]
    pub with_reference: bool,
    /// In a trial on a smaller target: the number of functions, the first ones of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<usize>,
    /// When it started.
    pub started: Timestamp,
    /// How long each phase took, up to the one that failed; empty in results written before version
    /// 0.2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<Phase, Nanos>,
    /// The lines that kernel programs logged with `--bpf-log`, including those of the reference
    /// counter: the first 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bpf_log: Vec<String>,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome of a trial. A failure is a result, not a gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It ran, and its own checks passed.
    Done(Box<Measured>),
    /// It failed; the campaign continued.
    Failed {
        /// The error, with its causes.
        why: String,
    },
}

/// What one trial measured. In an overhead trial all sums cover the load from idle to idle; in a
/// fidelity trial they cover the time from the first bin edge to the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// What the load sent.
    pub sent: Sent,
    /// What arrived at the sink.
    pub received: Received,
    /// Frames that the sink had no room for, because its CPU had not yet handled earlier ones.
    pub refused: u64,
    /// CPU times.
    pub cpu: CpuTimes,
    /// Bin edges in `CLOCK_MONOTONIC`, one more than there are bins, as actually stamped.
    pub edges: Vec<Nanos>,
    /// The greatest delay of an edge behind its schedule.
    pub edge_jitter: Nanos,
    /// Bytes received at the sink per bin.
    pub throughput: Vec<u64>,
    /// Where these bytes, and `frames`, were counted; null in results of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<CountedAt>,
    /// Frames received at the sink per bin; a frame of several segments counts once.
    #[serde(default)]
    pub frames: Vec<u64>,
    /// How long frames took to the sink, in paced overhead trials of guests that stamp them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Each guest's part of the series, in fidelity trials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<GuestSeries>,
    /// The reference counter, in fidelity trials.
    #[serde(alias = "witness")]
    pub reference: Option<ReferenceSeries>,
    /// Sections of the hog schedule.
    pub sections: Vec<SectionMark>,
    /// When the load was made worse on purpose, in fidelity trials whose schedule is drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degradations: Vec<Degradation>,
    /// The method's own account.
    pub observation: Observation,
    /// The method's series, one per function of the target; empty where it observes nothing.
    pub series: Vec<Series>,
}

/// What one guest did, bin by bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuestSeries {
    /// Its name: `vm1`, or the name of the process that runs it.
    pub name: String,
    /// Bytes of its traffic.
    pub throughput: Vec<u64>,
    /// Where they were counted.
    pub counted_at: CountedAt,
    /// Calls made by its vhost workers, by function, as counted by the reference counter; only
    /// functions that have one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, Vec<u64>>,
    /// Round-trip time estimated by its sending TCP socket, in µs (`tcpi_rtt` in TCP_INFO, from
    /// iperf3): the mean of the reports in the bin. Empty for guests without TCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rtt_us: Vec<Option<f64>>,
}

/// Where bytes were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CountedAt {
    /// On the sink. For one guest: what its TCP received, without headers and retransmissions. For
    /// all guests: what the interface received.
    Sink,
    /// At the TAPs, as the guests sent them.
    Tap,
}

/// What the load sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// Writes to the kick eventfd; null if the guests' driver cannot be observed.
    pub kicks: Option<u64>,
    /// Frames put into TX rings and taken by vhost.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: Bytes,
}

/// What the sink's interface received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// Frames.
    pub frames: u64,
    /// Bytes, without preamble and checksum.
    pub bytes: Bytes,
}

/// CPU time in nanoseconds, from schedstat (not from ticks).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpuTimes {
    /// Length of the window.
    pub elapsed: Nanos,
    /// Each vhost worker.
    pub workers: Vec<Nanos>,
    /// The load's own threads and processes (the guests).
    pub load: Nanos,
    /// Hog threads; zero if hogs are processes in VMs, whose time counts as the load's.
    pub hogs: Nanos,
    /// The method's own threads and processes.
    pub reader: Nanos,
    /// How often the method's own thread woke up in the window; null if it has processes, whose
    /// wake-ups are not counted.
    #[serde(default)]
    pub reader_wakeups: Option<u64>,
    /// CPU time of the method after the window.
    pub after: Nanos,
    /// Time that any task ran on any CPU (`rq_cpu_time`, /proc/schedstat).
    pub system: Nanos,
    /// Number of CPUs behind `system`.
    pub cpus: usize,
    /// Run delay on the sink's CPUs: how long tasks waited there.
    pub sink_run_delay: Nanos,
}

/// Calls of each function, counted exactly at its callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceSeries {
    /// One entry per function of the target: calls per bin, or why there is no reference counter.
    pub functions: Vec<ReferenceCounts>,
    /// Calls at which the reference counter itself did not run.
    pub missed: Loss,
}

/// The reference counter of one function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReferenceCounts {
    /// Calls per bin.
    Calls(Vec<u64>),
    /// There is no exact site for this function.
    None {
        /// Why.
        why: String,
    },
}

/// A short time in which the load was made worse on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Degradation {
    /// Its begin, in seconds from the first bin edge.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
    /// What was made worse.
    pub kind: DegradationKind,
}

/// What was made worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DegradationKind {
    /// More hogs ran.
    Hogs,
    /// Guests offered fewer frames.
    Rate,
}

/// A part of the series in which guests and hogs did the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SectionMark {
    /// Its first bin.
    pub first_bin: usize,
    /// Number of hogs that ran in it.
    pub hogs: usize,
    /// Number of guests that sent; null if the load is not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub senders: Option<usize>,
    /// Its name in the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long tasks on the sink's CPUs waited in it: high if the sink, not the device under test,
    /// limited the load.
    #[serde(default)]
    pub sink_run_delay: Nanos,
}
