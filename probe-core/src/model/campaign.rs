//! The result file, `campaign.json`, and the journal from which it is made.

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

/// Version of the result schema. It changes if a reader of the old version would misread the new
/// one.
pub const SCHEMA_VERSION: u32 = 4;

/// The versions that this program reads. The measured data has not changed since the oldest of
/// them; only some names have, and those of version 3 are aliases. The summary of an older result
/// is computed again.
pub const READ_VERSIONS: RangeInclusive<u32> = 3..=SCHEMA_VERSION;

/// `campaign.json`: everything that was measured, and what was computed from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Campaign {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What all runs of the campaign share.
    pub design: Design,
    /// The processes that measured it, in order; a campaign in VMs has one per VM.
    pub runs: Vec<Run>,
    /// Every trial, including failed ones.
    pub trials: Vec<Trial>,
    /// What was computed from the trials.
    pub summary: Summary,
}

/// The content of a result of any of [`READ_VERSIONS`], without its summary.
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
    /// The scenario, with defaults filled in.
    pub scenario: Scenario,
    /// The target as resolved on this kernel.
    pub target: Target,
    /// The methods that ran, `off` first, with all their parameters.
    pub methods: Vec<Descriptor>,
    /// Methods that were requested and cannot work here.
    pub unavailable: Vec<Unavailable>,
    /// Whether the run continued because of `--allow-shared` although another tracer held the
    /// target.
    pub shared_target: bool,
    /// SHA-256 of the file with the kernel programs; absent if they are those built into tracetoll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Whether the kernel timed each run of a BPF program, which itself costs time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bpf_stats: bool,
    /// Whether kernel programs logged (`--bpf-log`). Each line costs time, so such a campaign
    /// measures nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bpf_log: bool,
}

/// A method that cannot work on this kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unavailable {
    /// Its id.
    pub id: MethodId,
    /// Why it cannot work.
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
    /// Seed of the order of methods and of all other random choices.
    pub seed: u64,
    /// Which trials it ran.
    pub parts: Vec<Part>,
    /// The clock of its times.
    pub platform: Platform,
    /// The machine.
    pub host: Host,
    /// For each function, the check that the reference counter counts what the target counts; empty
    /// in a run without the reference counter.
    #[serde(alias = "witness_checks")]
    pub reference_checks: Vec<ReferenceCheck>,
    /// Limit of the cable to the sink, if the scenario sets one: as given, or as calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<BitRate>,
    /// Which CPUs did what; absent in results written before version 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Where it ran; absent in results written before this field existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

impl Run {
    /// Whether it ran in a VM booted by tracetoll. Only those count instructions.
    pub fn is_in_vm(&self) -> bool {
        match &self.environment {
            Some(environment) => matches!(environment, Environment::Vm { .. }),
            // Results of version 0.1 do not say this: the journals of their VMs went through a
            // port.
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
    /// On the host itself, whether that is hardware or a VM.
    Host,
    /// In a VM that `tracetoll run` booted for it.
    Vm {
        /// Release of the VM's kernel.
        kernel: String,
        /// What executed its instructions.
        accel: Accel,
        /// What its clock counted.
        clock: Clock,
    },
}

/// What executes a VM's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// The processor itself, through KVM.
    Kvm,
    /// QEMU's emulation of a processor.
    Tcg,
}

/// What a VM's clock counts.
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
    /// CPUs of the device under test: guests, vhost workers and hogs.
    pub load: CpuList,
    /// CPUs of the sink, where the thread that reads counters at the bin edges also runs.
    pub sink: CpuList,
    /// CPUs of the method's own reader, a thread or an external program.
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
    /// Hypervisor, if the CPU reports one. (Version 0.1 recorded the firmware's vendor instead.)
    pub hypervisor: Option<String>,
    /// What determined the run's `platform`; absent in results of version 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<Processor>,
}

/// What shows whether a processor is real.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Processor {
    /// The architecture that tracetoll was built for: `x86_64`.
    pub architecture: String,
    /// Vendor (CPUID leaf 0): `GenuineIntel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Whether the processor reports a hypervisor (CPUID leaf 1, ECX bit 31).
    #[serde(default)]
    pub hypervisor_bit: bool,
    /// The hypervisor's signature (CPUID leaf 0x40000000), if one is reported: `KVMKVMKVM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor_signature: Option<String>,
    /// The hypervisor that the kernel itself reports, `/sys/hypervisor/type`: `xen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor_of_kernel: Option<String>,
    /// The machine's vendor, from its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Why the platform is `unknown`, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// Calls counted on the target and by the reference counter over the same load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceCheck {
    /// The function.
    pub function: String,
    /// The sites whose sum is the reference counter.
    pub sites: Vec<String>,
    /// Calls counted on the function itself.
    pub target: u64,
    /// Calls counted at the sites.
    #[serde(alias = "witness")]
    pub reference: u64,
    /// By how much the two may differ: 0, unless the load was not ours and continued while they
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

/// What is computed from the trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The function that `fidelity` is about: the first of the target that has a reference counter.
    pub headline_function: String,
    /// One per method, in the design's order.
    pub methods: Vec<MethodSummary>,
    /// Trials that failed.
    pub failed_trials: usize,
    /// The overhead of the reference counter itself: `off` with it against `off` without it, worker
    /// CPU per frame, in per cent.
    pub reference_worker_cpu_pct: Figure,
    /// The sections of the fidelity trials' schedule, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<SectionFigures>,
    /// The paper's statements beside the measured values; empty if the guests do not use TCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paper: Vec<Statement>,
    /// Whether the blocks are alike; empty in results written before this check existed.
    #[serde(default)]
    pub checks: Checks,
}

/// All figures of one method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MethodSummary {
    /// The method.
    pub id: MethodId,
    /// What it shows instead of calls: a tracepoint or the frames. Absent if it sees functions of
    /// the target, or shows shares of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows_instead: Option<String>,
    /// What it recorded, lost and missed in all closed-loop overhead trials.
    pub events: Events,
    /// What it costs.
    pub overhead: Figures,
    /// How long calls took, if the method measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durations: Option<DurationFigures>,
    /// The kernel's statistics of its BPF programs; absent if the kernel was not asked to time
    /// them, or they never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_runs: Option<RunFigures>,
    /// Its overhead by the number of functions that it traces, fewest first; empty if only one
    /// number was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_size: Vec<SizeFigures>,
    /// What it still shows, for the headline function.
    pub fidelity: FidelityFigures,
    /// What it still shows of the target's other functions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_functions: BTreeMap<String, FidelityFigures>,
    /// Time between calls against round-trip time; absent if no guest reports the latter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt: Option<RttFigures>,
}

/// Totals over the closed-loop trials, of an item that the load hits a known number of times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// The counted item: the function that each kick calls once, or, for a method that sees no
    /// functions, the tracepoint or the frames that stand in for it.
    pub item: Option<String>,
    /// Hits that happened: kicks, or frames; null if the item's hits do not follow from the load.
    pub truth: Option<u64>,
    /// Events recorded, counted or sampled; null for the baseline.
    pub recorded: Option<u64>,
    /// Lost in buffers.
    pub lost: Loss,
    /// Calls at which the probe did not run.
    pub missed: Loss,
    /// `recorded + lost + missed` of a method that counts or records every call, if all three are
    /// exact.
    pub counted_plus_missed: Option<u64>,
    /// What was counted by a method that counts every call but records only some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u64>,
    /// A sampler's estimate of the true number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<EstimatedCalls>,
    /// Whether these numbers agree with the truth.
    pub reconciles: Reconciliation,
}

/// Whether what a method saw agrees with what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reconciliation {
    /// Recorded, lost and missed calls add up to the truth. If the kernel does not report missed
    /// calls, this shows that none were missed.
    Exact,
    /// One in N: the estimate is within the bound that follows from N, the CPUs and the trials.
    WithinBound {
        /// By how many calls the estimate may be off.
        bound: u64,
    },
    /// Calls drawn at random: the truth is in the sampler's 95 % interval.
    WithinInterval {
        /// Least calls.
        lo: f64,
        /// Most calls.
        hi: f64,
    },
    /// Calls drawn at random: the truth is outside the sampler's 95 % interval, as happens once in
    /// twenty times.
    OutsideInterval {
        /// Least calls.
        lo: f64,
        /// Most calls.
        hi: f64,
    },
    /// Some calls are neither recorded nor known to be lost, and the method cannot know everything
    /// that it missed.
    Unaccounted {
        /// Number of calls.
        n: u64,
    },
    /// It does not agree: the method's counts must not be used.
    Differs {
        /// Estimated calls minus those that happened.
        by: i64,
    },
    /// There is nothing to compare.
    NotApplicable {
        /// Why.
        why: Reason,
    },
}

/// A line of `journal.jsonl`, written as soon as its content is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalLine {
    /// First line: what will be measured, and where.
    Start {
        /// [`SCHEMA_VERSION`].
        schema_version: u32,
        /// Number of trials to come, unless a rule or the user ends the run earlier; absent in old
        /// journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned: Option<usize>,
        /// What will be measured.
        design: Box<Design>,
        /// Where it will be measured.
        run: Box<Run>,
    },
    /// One trial ended.
    Trial(Box<Trial>),
}
