//! The result file, `campaign.json`, and the journal it is made from.

use std::{collections::BTreeMap, ops::RangeInclusive};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    checks::Checks,
    cpu_list::CpuList,
    figure::{Figure, Platform},
    figures::{DurationFigures, FidelityFigures, Figures, RunFigures, SizeFigures},
    loss::Loss,
    method::{Descriptor, MethodId},
    observation::EstimatedCalls,
    paper::Statement,
    reason::Reason,
    scenario::{BitRate, Scenario},
    sections::{RttFigures, SectionFigures},
    target::Target,
    trial::{Part, Trial},
};

/// Version of the result schema. It changes when a reader of the old one would misread the new one.
pub const SCHEMA_VERSION: u32 = 4;

/// The versions that this program reads. What was measured has not changed since the oldest of
/// them, only some names have: version 3's are aliases. The summary of an older result is computed
/// anew.
pub const READ_VERSIONS: RangeInclusive<u32> = 3..=SCHEMA_VERSION;

/// `campaign.json`: everything that was measured, and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Campaign {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What all runs of the campaign share.
    pub design: Design,
    /// The processes that measured it, in order; a campaign in VMs has one per VM.
    pub runs: Vec<Run>,
    /// Every trial, failed ones included.
    pub trials: Vec<Trial>,
    /// What follows from them.
    pub summary: Summary,
}

/// What a result of any of [`READ_VERSIONS`] holds beside its summary.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Measurements {
    /// As [`Campaign::design`].
    pub design: Design,
    /// As [`Campaign::runs`].
    pub runs: Vec<Run>,
    /// As [`Campaign::trials`].
    pub trials: Vec<Trial>,
}

/// What all runs of one campaign share; runs that differ in it cannot be merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Design {
    /// Version of tracetoll.
    pub version: String,
    /// Kernel release, `uname -r`.
    pub kernel: String,
    /// The scenario, defaults filled in.
    pub scenario: Scenario,
    /// The target as it resolved on this kernel.
    pub target: Target,
    /// The methods that ran, `off` first, with all their parameters.
    pub methods: Vec<Descriptor>,
    /// Methods that were asked for and cannot work here.
    pub unavailable: Vec<Unavailable>,
    /// Whether another tracer held the target and `--allow-shared` let the run go on.
    pub shared_target: bool,
    /// SHA-256 of the file that the kernel programs came from; absent where they are those built
    /// into tracetoll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Whether the kernel timed each run of BPF programs, which costs time itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bpf_stats: bool,
    /// Whether kernel programs logged (`--bpf-log`), which costs time at each line: nothing in the
    /// campaign is a measurement then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bpf_log: bool,
}

/// A method that cannot work on this kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unavailable {
    /// Its id.
    pub id: MethodId,
    /// Why.
    pub why: String,
    /// What would help.
    #[serde(alias = "remedy")]
    pub hint: String,
}

/// One process that ran trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// When it started.
    pub started: Timestamp,
    /// Its command line.
    pub command_line: Vec<String>,
    /// Seed of the order of methods and of everything else that is drawn.
    pub seed: u64,
    /// Which trials it ran.
    pub parts: Vec<Part>,
    /// The clock its times are in.
    pub platform: Platform,
    /// The machine.
    pub host: Host,
    /// How the claim "the reference counter counts what the target counts" was checked here, per
    /// function; empty in a run without the reference counter.
    #[serde(alias = "witness_checks")]
    pub reference_checks: Vec<ReferenceCheck>,
    /// What the cable to the sink carried at most, where the scenario caps it: as it says, or as
    /// it was calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<BitRate>,
    /// Which CPUs did what; absent in results of before 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Where it ran; absent in results written before this field existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

impl Run {
    /// Whether it ran in a VM of tracetoll's. Only they count instructions.
    pub fn is_in_vm(&self) -> bool {
        match &self.environment {
            Some(environment) => matches!(environment, Environment::Vm { .. }),
            // Results of 0.1 do not say: their VMs' journals went through a port.
            None => {
                let mut words = self.command_line.iter();
                self.platform == Platform::Counted
                    || words.any(|word| word.starts_with("/dev/virtio-ports/"))
            }
        }
    }
}

/// Where a run ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Environment {
    /// On the host itself, whatever that is.
    Host,
    /// In a VM that `tracetoll run` booted for it.
    Vm {
        /// Release of the VM's kernel.
        kernel: String,
        /// What ran its instructions.
        accel: Accel,
        /// What its clock told.
        clock: Clock,
    },
}

/// What runs a VM's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU's emulation of one.
    Tcg,
}

/// What a VM's clock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Real time.
    Wall,
    /// Executed instructions.
    Counted,
}

/// Which CPUs did what in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cpus {
    /// The device under test's: guests, vhost workers and hogs.
    pub load: CpuList,
    /// The sink's, where the reader of counters at the bin edges runs too.
    pub sink: CpuList,
    /// Those that a method's own reader ran on, a thread or an outside program.
    pub reader: CpuList,
}

/// The machine that a run ran on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Model name from /proc/cpuinfo.
    pub cpu: String,
    /// Online CPUs.
    pub cpus: usize,
    /// Physical memory in KiB.
    pub memory_kib: u64,
    /// `/proc/version`.
    pub kernel_version: String,
    /// `/proc/cmdline`.
    pub kernel_command_line: String,
    /// Hypervisor, where the CPU says that there is one. (Version 0.1 told the firmware's vendor
    /// instead.)
    pub hypervisor: Option<String>,
    /// What the run's `platform` follows from; absent in results of version 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<Processor>,
}

/// What tells whether a processor is real.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Processor {
    /// The architecture that tracetoll was built for: `x86_64`.
    pub architecture: String,
    /// Vendor (CPUID leaf 0): `GenuineIntel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Whether the processor says that a hypervisor is present (CPUID leaf 1, ECX bit 31).
    #[serde(default)]
    pub hypervisor_bit: bool,
    /// The hypervisor's signature (CPUID leaf 0x40000000), where there is such a bit: `KVMKVMKVM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor_signature: Option<String>,
    /// The hypervisor that the kernel runs under by its own account, `/sys/hypervisor/type`: `xen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor_of_kernel: Option<String>,
    /// The machine's vendor, by its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Why the platform is `unknown`, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// Calls counted on the target and by the reference counter over the same load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceCheck {
    /// Function.
    pub function: String,
    /// Sites whose sum is the reference counter.
    pub sites: Vec<String>,
    /// Calls counted on the function itself.
    pub target: u64,
    /// Calls counted at the sites.
    #[serde(alias = "witness")]
    pub reference: u64,
    /// What the two may differ by: 0, unless the load was somebody else's and ran on while they
    /// were read.
    #[serde(default)]
    pub slack: u64,
}

impl ReferenceCheck {
    /// Whether the reference counter counted what the function counted.
    pub fn holds(&self) -> bool {
        self.target.abs_diff(self.reference) <= self.slack
    }
}

/// What follows from the trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The function that `fidelity` speaks of: the target's first that has a reference counter.
    pub headline_function: String,
    /// One per method, in the design's order.
    pub methods: Vec<MethodSummary>,
    /// Trials that failed.
    pub failed_trials: usize,
    /// The reference counter's own overhead: `off` with the reference counter against `off`, worker
    /// CPU per frame, in per cent.
    pub reference_worker_cpu_pct: Figure,
    /// The sections of the fidelity trials' schedule, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<SectionFigures>,
    /// The paper's statements beside what was measured; empty where the guests speak no TCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paper: Vec<Statement>,
    /// Whether the blocks are alike; empty in results of before there was such a check.
    #[serde(default)]
    pub checks: Checks,
}

/// All figures of one method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MethodSummary {
    /// The method.
    pub id: MethodId,
    /// What it shows instead of calls: a tracepoint or the frames; absent where it sees functions
    /// of the target, or shows shares of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows_instead: Option<String>,
    /// What it recorded, lost and missed, over all overhead trials in the closed loop.
    pub events: Events,
    /// What it costs.
    pub overhead: Figures,
    /// How long calls took, by a method that measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durations: Option<DurationFigures>,
    /// What the kernel says that its BPF programs take; absent where it was not asked to time them,
    /// or they never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_runs: Option<RunFigures>,
    /// What it costs by the number of functions that it traces, fewest first; empty where only one
    /// number was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_size: Vec<SizeFigures>,
    /// What it still shows, for the headline function.
    pub fidelity: FidelityFigures,
    /// What it still shows of the target's other functions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_functions: BTreeMap<String, FidelityFigures>,
    /// Time between calls against round-trip time; absent where no guest tells of the latter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt: Option<RttFigures>,
}

/// Totals over the closed-loop trials, of what the load is known to do a known number of times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// What is counted here: the function that each kick calls once, or what stands in for it under
    /// a method that sees no functions, a tracepoint or the frames.
    pub item: Option<String>,
    /// Hits that happened: kicks, or frames; null where nothing ties the item to the load.
    pub truth: Option<u64>,
    /// Events recorded, counted or sampled; null for the baseline.
    pub recorded: Option<u64>,
    /// Lost in buffers.
    pub lost: Loss,
    /// Calls at which the probe did not run.
    pub missed: Loss,
    /// `recorded + lost + missed` of a method that counts or records every call, where all three
    /// are exact.
    pub counted_plus_missed: Option<u64>,
    /// What a method counted that counts every call and records only some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u64>,
    /// What a sampler takes the true number for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<EstimatedCalls>,
    /// Whether these numbers agree with the truth.
    pub reconciles: Reconciliation,
}

/// Whether what a method saw agrees with what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reconciliation {
    /// Recorded, lost and missed calls make up the truth. Where the kernel does not tell what was
    /// missed, this shows that nothing was.
    Exact,
    /// One in N: the estimate lies within the bound that N, the CPUs and the trials set.
    WithinBound {
        /// Calls that the estimate may be away by.
        bound: u64,
    },
    /// Calls drawn at random: the truth lies in the sampler's 95 % interval.
    WithinInterval {
        /// Least calls.
        lo: f64,
        /// Most calls.
        hi: f64,
    },
    /// Calls drawn at random: the truth lies outside of the sampler's 95 % interval, as it does
    /// once in twenty times.
    OutsideInterval {
        /// Least calls.
        lo: f64,
        /// Most calls.
        hi: f64,
    },
    /// Calls are neither recorded nor known to be lost, by a method that cannot know all that it
    /// missed.
    Unaccounted {
        /// How many.
        n: u64,
    },
    /// It does not agree: the method's counts must not be used.
    Differs {
        /// Estimated calls less those that happened.
        by: i64,
    },
    /// There is nothing to compare.
    NotApplicable {
        /// Why.
        why: Reason,
    },
}

/// A line of `journal.jsonl`, written as soon as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalLine {
    /// First line: what is to be measured, and where.
    Start {
        /// [`SCHEMA_VERSION`].
        schema_version: u32,
        /// Trials that will follow, unless a rule or the user ends the run before; journals of old
        /// do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned: Option<usize>,
        /// What is measured.
        design: Box<Design>,
        /// Where.
        run: Box<Run>,
    },
    /// One trial ended.
    Trial(Box<Trial>),
}
