//! `bpf-fentry-count`: counts every call in the kernel, and reads the counts from shared memory.
//!
//! One program per function, each with one slot per CPU that nobody else writes to, so that the increment is a plain
//! add. Reading costs no system call. The price is the trampoline's and some ten instructions; what it does not give
//! is when within a bin a call was made.

use std::collections::BTreeMap;

use crate::{
    error::Result,
    kernel::{
        bpf::counter::{Counter, Counters},
        clock,
        run::PREFIX,
    },
    methods::{Cadence, Detection, Method, Scene, Session, Sink},
    model::{
        loss::Loss,
        method::{Class, Descriptor, Family, MethodId, SeriesUnit},
        observation::Observation,
        target::Target,
        units::{Bytes, Nanos},
    },
};

/// The method.
#[derive(Debug)]
pub struct FentryCount {
    descriptor: Descriptor,
}

impl FentryCount {
    /// Its id.
    pub const ID: &'static str = "bpf-fentry-count";

    /// The method; it has no parameters.
    pub fn new() -> Self {
        Self {
            descriptor: Descriptor {
                id: MethodId(Self::ID.into()),
                family: Family::Bpf,
                class: Class::Exact,
                unit: SeriesUnit::Calls { factor: 1.0 },
                summary: "fentry programs count each call per CPU; read from shared memory".into(),
                parameters: BTreeMap::new(),
            },
        }
    }
}

impl Default for FentryCount {
    fn default() -> Self {
        Self::new()
    }
}

impl Method for FentryCount {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, target: &Target) -> Detection {
        // Loading asks the verifier about each function and changes none of them.
        load(target).map(drop).into()
    }

    fn attach(&self, target: &Target, _: &Scene<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(Counting { counters: load(target)?, enabled: None, disabled: None, reads: 0 }))
    }
}

/// A counter per function, none attached. No name of theirs needs the run's tag: they go with the process.
fn load(target: &Target) -> Result<Vec<Counter>> {
    let mut counters = Counters::new()?;
    let name = format!("{PREFIX}_count");
    target.functions.iter().map(|function| counters.load(function, &name)).collect()
}

#[derive(Debug)]
struct Counting {
    counters: Vec<Counter>,
    enabled: Option<Enabled>,
    disabled: Option<Nanos>,
    /// Counters read so far.
    reads: u64,
}

#[derive(Debug)]
struct Enabled {
    at: Nanos,
    /// What attached, one line each.
    attached: Vec<String>,
}

impl Counting {
    fn attach_all(&mut self) -> Result<Vec<String>> {
        self.counters.iter_mut().try_for_each(Counter::attach)?;
        self.counters.iter().map(Counter::describe).collect()
    }

    /// Goes on past an error, and reports the first.
    fn detach_all(&mut self) -> Result<()> {
        self.counters.iter_mut().map(Counter::detach).fold(Ok(()), Result::and)
    }
}

impl Session for Counting {
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn enable(&mut self) -> Result<()> {
        match self.attach_all() {
            Ok(attached) => self.enabled = Some(Enabled { at: clock::now(), attached }),
            Err(error) => {
                // The reason that it failed says more than a failure to undo it; what is left goes with the session.
                let _ = self.detach_all();
                return Err(error);
            }
        }
        Ok(())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        for (function, counter) in self.counters.iter().enumerate() {
            sink.count(function, counter.calls());
        }
        self.reads += 1;
        Ok(())
    }

    fn disable(&mut self) -> Result<()> {
        let released = self.detach_all();
        self.disabled = Some(clock::now());
        released
    }

    fn detach(mut self: Box<Self>) -> Result<Observation> {
        self.detach_all()?;
        let Self { counters, enabled, disabled, reads } = *self;
        let missed = counters.iter().map(Counter::missed).collect::<Result<Vec<_>>>()?;
        let memory = counters.iter().map(Counter::memory).collect::<Result<Vec<_>>>()?;
        let slots: u64 = counters.iter().map(Counter::slots).sum();
        let (at, attached) = enabled.map_or((None, Vec::new()), |e| (Some(e.at), e.attached));
        let end = disabled.unwrap_or_else(clock::now);
        let time = at.map_or(Nanos(0), |at| end.since(at));
        let per_function = serde_json::to_value(&missed).unwrap_or_default();
        Ok(Observation {
            recorded: counters.iter().map(|counter| Some(counter.calls())).collect(),
            lost: Loss::NONE,
            missed: missed.into_iter().fold(Loss::NONE, Loss::and),
            enabled: time,
            running: time,
            attached,
            bytes_read: Bytes(reads * slots * size_of::<u64>() as u64),
            kernel_memory: Bytes(memory.iter().map(|bytes| bytes.0).sum()),
            details: BTreeMap::from([("recursion_misses_per_function".into(), per_function)]),
            ..Observation::default()
        })
    }
}
