//! Data with a known truth for tests: simulated noise, and campaigns whose figures can be computed
//! by hand.

#![expect(clippy::new_without_default, missing_docs, reason = "tests alone use it")]
#![cfg_attr(
    not(test),
    expect(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test may panic"
    )
)]

pub mod drawn;
pub mod steps;
mod whole;

use std::collections::BTreeMap;

use jiff::Timestamp;
use rand::{Rng, RngExt as _};
use statrs::distribution::{ContinuousCDF, Normal};

#[cfg(test)]
pub(crate) use whole::steps as machines_steps;
pub use whole::{campaign, machines};

use super::{interval::Interval, pairs::Trials, summary::summarize};
use crate::model::{
    campaign::{Campaign, Design, Host, JournalLine, Run, SCHEMA_VERSION},
    figure::Platform,
    loss::Loss,
    method::{Class, Descriptor, Family, MethodId, SeriesUnit},
    observation::{Observation, Series},
    target::{Function, Range, Target},
    trial::{
        CountedAt, CpuTimes, Measured, Outcome, Pace, Part, Received, ReferenceCounts,
        ReferenceSeries, SectionMark, Sent, Trial,
    },
    units::Nanos,
};

/// `n` draws from a normal distribution.
pub fn normal(rng: &mut impl Rng, n: usize, mean: f64, sd: f64) -> Vec<f64> {
    let normal = Normal::new(mean, sd).unwrap();
    (0..n).map(|_| normal.inverse_cdf(rng.random_range(f64::EPSILON..1.0))).collect()
}

/// Share of `times` simulated experiments whose interval contains `truth`.
pub fn coverage(times: u32, truth: f64, mut experiment: impl FnMut() -> Option<Interval>) -> f64 {
    let covered = (0..times)
        .filter(|_| experiment().is_some_and(|found| (found.lo..=found.hi).contains(&truth)))
        .count();
    f64::from(u32::try_from(covered).unwrap()) / f64::from(times)
}

/// Bins of a fidelity trial.
pub const BINS: usize = 64;

/// A campaign under construction: it starts with a design and no runs.
pub struct Lab {
    pub design: Design,
    pub runs: Vec<Run>,
    pub trials: Vec<Trial>,
}

impl Lab {
    pub fn new() -> Self {
        Self { design: design(), runs: Vec::new(), trials: Vec::new() }
    }

    /// Starts a new run, to which the next trials belong.
    pub fn run(&mut self, platform: Platform) -> &mut Self {
        self.runs.push(run(platform));
        self
    }

    /// Adds a successful trial, a quiet one `change`d.
    pub fn done(
        &mut self,
        block: u32,
        (part, pace): (Part, Pace),
        method: &str,
        change: impl FnOnce(&mut Measured),
    ) -> &mut Trial {
        let items = self.design.target.item_count();
        let mut measured = quiet(if part == Part::Fidelity { BINS } else { 1 }, items);
        change(&mut measured);
        self.push(block, (part, pace), method, Outcome::Done(Box::new(measured)))
    }

    pub fn failed(
        &mut self,
        block: u32,
        kind: (Part, Pace),
        method: &str,
        why: &str,
    ) -> &mut Trial {
        self.push(block, kind, method, Outcome::Failed { why: why.into() })
    }

    fn push(
        &mut self,
        block: u32,
        (part, pace): (Part, Pace),
        method: &str,
        outcome: Outcome,
    ) -> &mut Trial {
        self.trials.push(Trial {
            run: self.runs.len() - 1,
            block,
            position: 0,
            part,
            pace,
            method: MethodId(method.into()),
            with_reference: part == Part::Fidelity,
            functions: None,
            started: Timestamp::UNIX_EPOCH,
            phases: BTreeMap::new(),
            bpf_log: Vec::new(),
            outcome,
        });
        self.trials.last_mut().unwrap()
    }

    pub fn trials(&self) -> Trials<'_> {
        Trials { runs: &self.runs, all: &self.trials }
    }

    pub fn method(&self, id: &str) -> &Descriptor {
        self.design.methods.iter().find(|method| method.id.0 == id).unwrap()
    }

    pub fn campaign(self) -> Campaign {
        let Self { design, runs, trials } = self;
        let summary = summarize(&design, &runs, &trials, 1);
        Campaign { schema_version: SCHEMA_VERSION, design, runs, trials, summary }
    }

    /// The lines of the newest run's journal.
    pub fn journal(&self) -> Vec<JournalLine> {
        let newest = self.runs.len() - 1;
        let start = JournalLine::Start {
            schema_version: SCHEMA_VERSION,
            planned: None,
            design: Box::new(self.design.clone()),
            run: Box::new(self.runs[newest].clone()),
        };
        let trials = self
            .trials
            .iter()
            .filter(|trial| trial.run == newest)
            .map(|trial| JournalLine::Trial(Box::new(Trial { run: 0, ..trial.clone() })));
        std::iter::once(start).chain(trials).collect()
    }
}

/// `handle_tx` and `handle_rx` under five methods, one of each class.
fn design() -> Design {
    let calls = |factor| SeriesUnit::Calls { factor };
    let method = |id: &str, family, class, unit| Descriptor {
        id: MethodId(id.into()),
        family,
        class,
        unit,
        durations: false,
        summary: String::new(),
        parameters: BTreeMap::new(),
    };
    let function = |name: &str| Function {
        name: name.into(),
        module: Some("vhost_net".into()),
        addresses: Range::default(),
    };
    Design {
        version: "0.1.0".into(),
        kernel: "6.12.0-test".into(),
        scenario: toml::from_str(SCENARIO).unwrap(),
        target: Target {
            functions: vec![function("handle_tx"), function("handle_rx")],
            ..Target::default()
        },
        methods: vec![
            method("off", Family::Baseline, Class::Nothing, SeriesUnit::Nothing),
            method("bpf-fentry-count", Family::Bpf, Class::Exact, calls(1.0)),
            method("ftrace-function", Family::Ftrace, Class::Recorded, calls(1.0)),
            method("perf-sample-999-callchain", Family::Perf, Class::Sampled, SeriesUnit::CpuShare),
            method("perf-kprobe-record-10", Family::Perf, Class::Sampled, calls(10.0)),
        ],
        unavailable: Vec::new(),
        shared_target: false,
        object: None,
        bpf_stats: false,
        bpf_log: false,
    }
}

const SCENARIO: &str = r#"
name = "test"
summary = "a known truth"
bin = "250ms"
settle = "300ms"
load_cpus = 1
[guests]
kind = "blast"
count = 1
frame = 1514
ring = 256
batch = 64
[overhead.closed_loop]
kicks = 1000
[overhead.paced]
rate = "5kpps"
duration = "2s"
[overhead.saturated]
duration = "2s"
[fidelity]
sections = [{ hogs = 0, duration = "8s" }, { hogs = 1, duration = "8s" }]
"#;

fn run(platform: Platform) -> Run {
    Run {
        started: Timestamp::UNIX_EPOCH,
        command_line: vec!["tracetoll".into(), "run".into()],
        seed: 1,
        parts: vec![Part::Overhead, Part::Fidelity],
        platform,
        host: Host {
            cpu: "a CPU".into(),
            cpus: 2,
            memory_kib: 1 << 21,
            kernel_version: "Linux version 6.12.0-test".into(),
            kernel_command_line: String::new(),
            hypervisor: (platform != Platform::Native).then(|| "a hypervisor".into()),
            processor: None,
        },
        reference_checks: Vec::new(),
        link: None,
        cpus: None,
        environment: None,
    }
}

/// 2 s on 2 CPUs without load, reference counter, loss or series.
fn quiet(bins: usize, functions: usize) -> Measured {
    let elapsed = Nanos(2_000_000_000);
    let width = elapsed.0 / bins as u64;
    Measured {
        sent: Sent::default(),
        received: Received::default(),
        refused: 0,
        cpu: CpuTimes {
            elapsed,
            workers: vec![Nanos(0)],
            load: Nanos(0),
            hogs: Nanos(0),
            reader: Nanos(0),
            reader_wakeups: None,
            after: Nanos(0),
            system: Nanos(0),
            cpus: 2,
            sink_run_delay: Nanos(0),
        },
        edges: (0..=bins as u64).map(|edge| Nanos(edge * width)).collect(),
        edge_jitter: Nanos(0),
        frames: Vec::new(),
        latency: None,
        guests: Vec::new(),
        throughput: vec![0; bins],
        counted_at: Some(CountedAt::Sink),
        reference: None,
        sections: vec![
            SectionMark::default(),
            SectionMark { first_bin: bins.div_ceil(2), hogs: 1, ..SectionMark::default() },
        ],
        degradations: Vec::new(),
        observation: Observation {
            recorded: vec![None; functions].into(),
            lost: Loss::NONE,
            missed: Loss::NONE,
            enabled: elapsed,
            running: elapsed,
            ..Observation::default()
        },
        series: Vec::new(),
    }
}

/// 64 bins, alternately on and off.
pub fn on_and_off() -> Vec<bool> {
    (0..BINS).map(|bin| bin % 2 == 0).collect()
}

/// [`on_and_off`] with `pairs` of neighbours exchanged. Its correlation with the original is `1 -
/// pairs/16`, since each exchange removes `2/32` of the agreement of 32 bins that are on.
pub fn exchanged(pairs: usize) -> Vec<bool> {
    let mut bins = on_and_off();
    // Every other pair, so that the exchanges spread over the run.
    for pair in 0..pairs {
        bins.swap(4 * pair, 4 * pair + 1);
    }
    bins
}

/// 200 for on, 100 for off: the counts of the reference counter.
pub fn calls(bins: &[bool]) -> Vec<u64> {
    bins.iter().map(|&on| if on { 200 } else { 100 }).collect()
}

/// Fills in a fidelity trial whose throughput is [`on_and_off`].
pub fn shows(measured: &mut Measured, reference: &[bool], method: Option<(&[bool], f64)>) {
    measured.throughput = calls(&on_and_off()).iter().map(|calls| calls * 15_140).collect();
    measured.reference = Some(ReferenceSeries {
        functions: vec![
            ReferenceCounts::Calls(calls(reference)),
            ReferenceCounts::None { why: "handle_rx has no caller that fentry can hold".into() },
        ],
        missed: Loss::NONE,
    });
    if let Some((bins, per_call)) = method {
        let values: Vec<f64> = calls(bins).iter().map(|&n| n as f64 * per_call).collect();
        measured.observation.recorded[0] = Some(values.iter().sum::<f64>() as u64);
        measured.series = vec![Series { function: "handle_tx".into(), values, self_share: None }];
    }
}
