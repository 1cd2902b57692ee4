//! The session that all methods on function entries share: one program per function, each with what
//! reads it.
//!
//! What differs is a [`Design`]: which program with which maps, and what is read of them.

use std::{collections::BTreeMap, fmt, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::{Estimate, Observation},
        target::{Function, Target},
        units::{Bytes, Nanos},
    },
};
use serde_json::{Value, json};

use crate::{
    kernel::{
        bpf::{
            link,
            probe::{Probe, Probes},
        },
        clock, holders,
        known::Known,
        run::PREFIX,
        targets::listed_name,
    },
    methods::{AttachContext, Cadence, Detection, Method, Session, Sink, options::Options},
};

/// What a method does with function entries.
pub(super) trait Design: fmt::Debug + Send + Sync + 'static {
    /// What reads one program.
    type Part: Part + 'static;

    /// When the parts want to be drained.
    fn cadence(&self) -> Cadence;

    /// Loads the program for `function`, not yet attached. `name` is for the kernel.
    fn load(
        &self,
        probes: &mut Probes,
        function: &Function,
        name: &str,
    ) -> Result<(Probe, Self::Part)>;

    /// Does the least of what [`Design::prepare`] needs, to find out whether it can be done.
    fn try_out(&self) -> Result<()> {
        Ok(())
    }

    /// Done once, before the parts of a trial are started. Returns what it found, for the
    /// observation's details.
    fn prepare(&self, _: &mut [Traced<Self::Part>]) -> Result<Details> {
        Ok(Details::new())
    }
}

/// What reads the program of one function.
pub(super) trait Part: fmt::Debug + Send {
    /// Called before the program is attached.
    fn start(&mut self, _: &Probe) -> Result<()> {
        Ok(())
    }

    /// Hands what is there of `item` to `sink`.
    fn drain(&mut self, probe: &Probe, item: usize, sink: &mut dyn Sink) -> Result<()>;

    /// Called after the program is detached and none runs any more; `enabled` is from when all had
    /// been attached to when they were detached.
    fn stop(&mut self, _enabled: (Nanos, Nanos)) -> Result<()> {
        Ok(())
    }

    /// What was seen in all, between start and stop.
    fn account(&mut self, probe: &Probe, observed: Nanos) -> Result<Account>;
}

/// Facts in the method's own words.
pub(super) type Details = BTreeMap<String, Value>;

/// Waits for the programs that still run after they were detached, so that what they write is there
/// when it is read; once for each `details`, which then say whether they were waited for, or why
/// not.
pub(super) fn await_programs(details: &mut Details) {
    details.entry("running_programs_awaited".into()).or_insert_with(
        || match link::await_programs() {
            Ok(()) => json!(true),
            Err(error) => json!(error.to_string()),
        },
    );
}

/// What one part saw; see [`Observation`].
#[derive(Debug)]
pub(super) struct Account {
    pub(super) recorded: Option<u64>,
    pub(super) counted: Option<u64>,
    pub(super) estimate: Option<Estimate>,
    pub(super) lost: u64,
    /// Calls at which the program ran in vain, beside those at which it did not run.
    pub(super) missed: u64,
    pub(super) bytes_read: Bytes,
    /// Kernel memory beside the program and its maps.
    pub(super) memory: Bytes,
    /// Reported per function.
    pub(super) details: Details,
}

impl Account {
    /// Of a part that recorded so many calls and lost none.
    pub(super) fn new(recorded: Option<u64>, bytes_read: u64) -> Self {
        Self {
            recorded,
            counted: None,
            estimate: None,
            lost: 0,
            missed: 0,
            bytes_read: Bytes(bytes_read),
            memory: Bytes(0),
            details: Details::new(),
        }
    }
}

/// Checks that no more calls of `function` were drawn than were made.
pub(super) fn check_drawn(drawn: u64, calls: u64, function: &str) -> Result<()> {
    if drawn <= calls {
        return Ok(());
    }
    let what = format!("{drawn} calls of {function} were drawn, but only {calls} were made");
    Err(Error::Inconsistent(what))
}

/// A program and what reads it.
#[derive(Debug)]
pub(super) struct Traced<P> {
    pub(super) probe: Probe,
    pub(super) part: P,
}

/// A method on function entries.
#[derive(Debug)]
pub(super) struct Fentry<D> {
    descriptor: Descriptor,
    design: D,
}

/// What a method is, beside its design.
pub(super) struct Kind {
    pub(super) class: Class,
    pub(super) unit: SeriesUnit,
    pub(super) summary: String,
    pub(super) parameters: Details,
}

impl<D> Fentry<D> {
    pub(super) fn new(options: &Options, kind: Kind, design: D) -> Self {
        let Kind { class, unit, summary, parameters } = kind;
        let id = options.id(options.base());
        let family = Family::Bpf;
        let descriptor =
            Descriptor { id, family, class, unit, durations: false, summary, parameters };
        Self { descriptor, design }
    }
}

impl<D: Design> Fentry<D> {
    /// None attached. No name of theirs needs the run's tag: they go with the process.
    fn load(&self, target: &Target) -> Result<Vec<Traced<D::Part>>> {
        if target.functions.is_empty() {
            return Err(Error::unsupported(
                "target",
                "it has no functions, and this method sees nothing else",
                "Name a function",
            ));
        }
        let mut probes = Probes::new()?;
        probes.check(&target.functions)?;
        // Without the family, which takes half of the 15 bytes.
        let base = self.descriptor.id.0.split(':').next().unwrap_or_default();
        let short = base.strip_prefix("bpf-fentry-").unwrap_or(base);
        let name = format!("{PREFIX}_{short}").replace('-', "_");
        let functions = target.functions.iter();
        functions
            .map(|function| {
                let (probe, part) = self.design.load(&mut probes, function, kernel_name(&name))?;
                Ok(Traced { probe, part })
            })
            .collect()
    }

    /// Loading asks the verifier about each function, and only attaching asks whether it can be
    /// patched and takes one program more: of whichever program, so that one method asks for all.
    fn probe(&self, target: &Target, known: &Known) -> Result<()> {
        let mut traced = self.load(target)?;
        known.attaches("fentry", &target.functions, || {
            traced.iter_mut().try_for_each(|traced| traced.probe.attach())?;
            let patched = check_patched(target, known);
            detach(&mut traced)?;
            patched
        })?;
        self.design.try_out()
    }
}

/// Makes sure that ftrace leads to each of the functions while they are attached to. The kernel's
/// word is not enough: there are functions whose programs it accepts and never runs
/// (docs/src/explanation/loss.md, "Where exact ends"). Where tracefs cannot be seen, nothing can be
/// told.
fn check_patched(target: &Target, known: &Known) -> Result<()> {
    let Ok(tracefs) = known.tracefs() else { return Ok(()) };
    let [first, ..] = holders::unheld(target, tracefs)?[..] else { return Ok(()) };
    Err(Error::unsupported(
        listed_name(first),
        "the kernel accepts a BPF program at its entry, but does not lead its calls there (enabled_functions in tracefs \
         does not show it)",
        "Use a kprobe or ftrace for this function",
    ))
}

/// Goes on past an error, and reports the first.
fn detach<P>(traced: &mut [Traced<P>]) -> Result<()> {
    traced.iter_mut().map(|traced| traced.probe.detach()).fold(Ok(()), Result::and)
}

/// The kernel refuses longer names of maps.
fn kernel_name(name: &str) -> &str {
    name.get(..name.floor_char_boundary(15)).unwrap_or(name)
}

impl<D: Design> Method for Fentry<D> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        self.probe(target, known).into()
    }

    fn attach(&self, target: &Target, _: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let mut traced = self.load(target)?;
        let details = self.design.prepare(&mut traced)?;
        let cadence = self.design.cadence();
        Ok(Box::new(FentrySession { traced, cadence, details, enabled: None, observed: Nanos(0) }))
    }
}

/// Drained every so many ms.
pub(super) fn every(wake_ms: u32) -> Cadence {
    Cadence::Every(Duration::from_millis(wake_ms.into()))
}

#[derive(Debug)]
struct FentrySession<P> {
    traced: Vec<Traced<P>>,
    cadence: Cadence,
    details: Details,
    enabled: Option<Enabled>,
    observed: Nanos,
}

#[derive(Debug)]
struct Enabled {
    at: Nanos,
    /// What attached, one line each.
    attached: Vec<String>,
}

impl<P: Part> FentrySession<P> {
    fn attach_all(&mut self) -> Result<Vec<String>> {
        self.traced.iter_mut().try_for_each(|Traced { probe, part }| part.start(probe))?;
        self.traced.iter_mut().try_for_each(|traced| traced.probe.attach())?;
        self.traced.iter().map(|traced| traced.probe.describe()).collect()
    }

    /// Goes on past an error, and reports the first.
    fn detach_all(&mut self) -> Result<()> {
        let detached = detach(&mut self.traced);
        let Some(Enabled { at, .. }) = self.enabled else { return detached };
        let enabled = (at, Nanos(at.0 + self.observed.0));
        await_programs(&mut self.details);
        let parts = self.traced.iter_mut();
        parts.map(|traced| traced.part.stop(enabled)).fold(detached, Result::and)
    }
}

impl<P: Part> Session for FentrySession<P> {
    fn cadence(&self) -> Cadence {
        self.cadence
    }

    fn enable(&mut self) -> Result<()> {
        match self.attach_all() {
            Ok(attached) => self.enabled = Some(Enabled { at: clock::now(), attached }),
            Err(error) => {
                // The reason that it failed says more than a failure to undo it; what is left goes
                // with the session.
                let _ = self.detach_all();
                return Err(error);
            }
        }
        Ok(())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let traced = self.traced.iter_mut().enumerate();
        // What one ring has wrong does not keep the others from being read.
        traced
            .map(|(item, Traced { probe, part })| part.drain(probe, item, sink))
            .fold(Ok(()), Result::and)
    }

    fn disable(&mut self) -> Result<()> {
        let detached = detach(&mut self.traced);
        if let Some(enabled) = &self.enabled {
            self.observed = clock::now().since(enabled.at);
        }
        detached.and(self.detach_all())
    }

    fn detach(mut self: Box<Self>) -> Result<Observation> {
        self.detach_all()?;
        let Self { mut traced, details, enabled, observed, .. } = *self;
        let mut observation = Observation {
            lost: Loss::NONE,
            missed: Loss::NONE,
            enabled: observed,
            running: observed,
            attached: enabled.map(|enabled| enabled.attached).unwrap_or_default(),
            details,
            ..Observation::default()
        };
        let mut skipped = Vec::new();
        for Traced { probe, part } in &mut traced {
            let missed = probe.missed()?;
            skipped.push(missed);
            observation.missed = observation.missed.and(missed);
            observation.program_runs.extend(probe.runs()?);
            add(&mut observation, part.account(probe, observed)?, probe.memory()?);
        }
        let skipped = serde_json::to_value(skipped).unwrap_or_default();
        observation.details.insert("recursion_misses_per_function".into(), skipped);
        Ok(observation)
    }
}

fn add(observation: &mut Observation, account: Account, of_program: Bytes) {
    let Account { recorded, counted, estimate, lost, missed, bytes_read, memory, details } =
        account;
    observation.recorded.push(recorded);
    if counted.is_some() {
        observation.counted.push(counted);
    }
    if estimate.is_some() {
        observation.estimates.push(estimate);
    }
    observation.lost = observation.lost.and(Loss::Exact(lost));
    observation.missed = observation.missed.and(Loss::Exact(missed));
    observation.bytes_read.0 += bytes_read.0;
    observation.kernel_memory.0 += of_program.0 + memory.0;
    for (name, value) in details {
        let all = observation.details.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(all) = all {
            all.push(value);
        }
    }
}
