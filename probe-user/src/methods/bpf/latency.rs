//! `bpf-fexit-latency`, `bpf-kretprobe-latency`: count each call and how long it took, in the
//! kernel.
//!
//! A start must go with its call: a task is preempted and migrated between entry and exit,
//! interrupts call the same function on its stack, and functions call themselves. So no slot per
//! CPU will do, nor one per task:
//! - on a trampoline the key of a start is the frame in which the trampoline runs the function:
//!   both programs see it, and no other call has it before this one has ended;
//! - on a kprobe and a kretprobe the key is the thread, as scripts for bpftrace have it, or of an
//!   idle task its CPU: of calls of one function that nest in a thread, or in an interrupt of it,
//!   the inner one takes the outer one's place, which is then untimed.

use std::collections::BTreeMap;

use probe_core::{
    error::{Error, Result},
    model::{
        bounds,
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::Target,
        units::{Bytes, Nanos},
    },
};
use serde_json::json;

use super::session::{Details, await_programs};
use crate::{
    kernel::{
        bpf::latency::{Timer, Timers, Way},
        clock,
        known::Known,
        run::PREFIX,
    },
    methods::{AttachContext, Cadence, Detection, Method, Session, Sink, options::Options},
};

/// Id of the method on trampolines.
pub const FEXIT: &str = "bpf-fexit-latency";
/// Id of the method on kprobes.
pub const KRETPROBE: &str = "bpf-kretprobe-latency";

/// What bpftrace allows by default.
const MAX_KEYS: u32 = 4096;

/// One of the two methods.
#[derive(Debug)]
pub struct Latency {
    descriptor: Descriptor,
    way: Way,
    max_keys: u32,
}

impl Latency {
    /// The method that `options` name.
    ///
    /// # Errors
    /// A value is wrong.
    pub fn of(options: &mut Options, way: Way) -> Result<Self> {
        let max_keys = options.number("max_keys", MAX_KEYS, &bounds::MAX_KEYS)?;
        let (summary, key) = match way {
            Way::Trampoline => ("fentry and fexit programs time each call", "frame"),
            Way::Kprobes => ("programs on kprobes and kretprobes time each call", "thread"),
        };
        let descriptor = Descriptor {
            id: options.id(options.base()),
            family: Family::Bpf,
            class: Class::Exact,
            unit: SeriesUnit::Calls { factor: 1.0 },
            durations: true,
            summary: format!("{summary}; log2 histograms in the kernel, keyed by {key}"),
            parameters: BTreeMap::from([
                ("max_keys".into(), json!(max_keys)),
                ("key".into(), json!(key)),
                ("clock".into(), json!("monotonic")),
            ]),
        };
        Ok(Self { descriptor, way, max_keys })
    }

    fn load(&self, target: &Target) -> Result<Timing> {
        if target.functions.is_empty() {
            return Err(Error::unsupported(
                "target",
                format!("it has no function, and {} sees nothing else", self.descriptor.id),
                "Name one, as in --target vhost_net:handle_tx",
            ));
        }
        let mut timers = Timers::new(self.way, self.max_keys, format!("{PREFIX}_time"))?;
        timers.check(&target.functions)?;
        let timers = target.functions.iter().map(|function| timers.load(function));
        let timers = timers.collect::<Result<_>>()?;
        Ok(Timing {
            timers,
            attached: Vec::new(),
            enabled: None,
            disabled: None,
            details: Details::new(),
            reads: 0,
        })
    }

    /// Loading asks the verifier about the programs, and only attaching asks the kernel about their
    /// place.
    fn probe(&self, target: &Target, _: &Known) -> Result<()> {
        let mut session = self.load(target)?;
        session.attach_all()?;
        session.detach_all()
    }
}

impl Method for Latency {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        self.probe(target, known).into()
    }

    fn attach(&self, target: &Target, _: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.load(target)?))
    }
}

#[derive(Debug)]
struct Timing {
    timers: Vec<Timer>,
    attached: Vec<String>,
    enabled: Option<Nanos>,
    disabled: Option<Nanos>,
    /// Said once programs that still ran at the end were waited for.
    details: Details,
    /// Reads of all counts so far.
    reads: u64,
}

impl Timing {
    fn attach_all(&mut self) -> Result<()> {
        let attached = self.timers.iter_mut().try_for_each(Timer::attach);
        if attached.is_err() {
            // The reason that it failed says more than a failure to undo it; what is left goes with
            // the session.
            let _ = self.detach_all();
        }
        attached
    }

    /// Goes on past an error, and reports the first.
    fn detach_all(&mut self) -> Result<()> {
        self.timers.iter_mut().map(Timer::detach).fold(Ok(()), Result::and)
    }

    fn of_each<T>(&self, ask: impl Fn(&Timer) -> Result<T>) -> Result<Vec<T>> {
        self.timers.iter().map(ask).collect()
    }
}

impl Session for Timing {
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn enable(&mut self) -> Result<()> {
        self.attach_all()?;
        self.attached = self.of_each(Timer::describe)?.into_iter().flatten().collect();
        self.enabled = Some(clock::now());
        Ok(())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        for (function, timer) in self.timers.iter().enumerate() {
            sink.count(function, timer.calls());
        }
        self.reads += 1;
        Ok(())
    }

    fn disable(&mut self) -> Result<()> {
        let released = self.detach_all();
        self.disabled = Some(clock::now());
        await_programs(&mut self.details);
        released
    }

    fn detach(mut self: Box<Self>) -> Result<Observation> {
        self.detach_all()?;
        await_programs(&mut self.details);
        let missed = self.of_each(Timer::missed)?.into_iter().fold(Loss::NONE, Loss::and);
        let exits = self.of_each(Timer::missed_exits)?.into_iter().fold(Loss::NONE, Loss::and);
        let memory = self.of_each(Timer::memory)?.iter().map(|bytes| bytes.0).sum();
        let untimed: Vec<_> = self.timers.iter().map(Timer::untimed).collect();
        let kept: Vec<_> = self.timers.iter().map(Timer::kept).collect();
        let left = self.of_each(Timer::starts_left)?;
        let runs = self.of_each(Timer::runs)?;
        let words: usize = self.timers.iter().map(Timer::words).sum();
        let end = self.disabled.unwrap_or_else(clock::now);
        let time = self.enabled.map_or(Nanos(0), |at| end.since(at));
        Ok(Observation {
            recorded: self.timers.iter().map(|timer| Some(timer.calls())).collect(),
            durations: self.timers.iter().map(|timer| Some(timer.durations())).collect(),
            lost: Loss::NONE,
            missed,
            enabled: time,
            running: time,
            attached: self.attached,
            bytes_read: Bytes(self.reads * (words * size_of::<u64>()) as u64),
            kernel_memory: Bytes(memory),
            program_runs: runs.into_iter().flatten().flatten().collect(),
            details: self
                .details
                .into_iter()
                .chain([
                    ("untimed_exits_per_function".into(), json!(untimed)),
                    ("starts_left_at_detach_per_function".into(), json!(left)),
                    ("starts_not_removed_per_function".into(), json!(kept)),
                    ("missed_exits".into(), json!(exits)),
                ])
                .collect(),
            ..Observation::default()
        })
    }
}
