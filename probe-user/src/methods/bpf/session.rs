//! The session shared by all methods that count or record with programs: one or two programs per
//! spot of the target, and their reader.
//!
//! A [`Design`] has what differs: which programs with which maps, and what is read from them.

use std::{collections::BTreeMap, fmt, mem, os::fd::BorrowedFd, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        item::ItemId,
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::{Durations, EstimatedCalls, Observation},
        target::Target,
        units::Nanos,
    },
};
use serde_json::{Value, json};

use crate::{
    kernel::{
        bpf::{
            chosen::Programs,
            link,
            loader::{Loader, Spot},
            probe::Probe,
        },
        clock, holders,
        known::Known,
        run::PREFIX,
    },
    methods::{AttachContext, Cadence, Detection, Method, Session, Sink, options::Options},
};

/// What a method does with its programs.
pub(super) trait Design: fmt::Debug + Send + Sync + 'static {
    /// Reads the programs of one spot.
    type Part: Part + 'static;

    /// Whether it sees the tracepoints of a target instead of its functions.
    const SEES_TRACEPOINTS: bool = false;

    /// When the parts must be drained.
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    /// The places in `target` for its programs, in the order of the items.
    fn spots<'t>(&self, target: &'t Target) -> Vec<Spot<'t>> {
        target.functions.iter().map(Spot::Fentry).collect()
    }

    /// Loads the programs for `spot`, not yet attached.
    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Self::Part>>;

    /// Does as little of [`Design::prepare`] as shows whether it works.
    fn try_out(&self, _: &Programs) -> Result<()> {
        Ok(())
    }

    /// Runs once, before the parts of a trial are started. Returns details for the observation.
    fn prepare(&self, _: &Programs, _: &mut [Traced<Self::Part>]) -> Result<Details> {
        Ok(Details::new())
    }
}

/// Reads the programs of one spot.
pub(super) trait Part: fmt::Debug + Send {
    /// Number of items of the target that it reports.
    fn items(&self) -> usize {
        1
    }

    /// Called before the programs are attached.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// What its reader waits for, if the cadence is [`Cadence::Woken`].
    fn ready(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// Hands what is there to `sink`; `item` is the first of its items.
    fn drain(&mut self, _item: ItemId, _: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    /// Called after all programs are detached and have ended; they were detached at `at`.
    fn stop(&mut self, _at: Nanos) -> Result<()> {
        Ok(())
    }

    /// Everything seen by `probes` between start and stop.
    fn account(&mut self, probes: &[Probe]) -> Result<Account>;
}

/// Facts in the method's own terms.
pub(super) type Details = BTreeMap<String, Value>;

/// What one part saw; see [`Observation`].
#[derive(Debug)]
pub(super) struct Account {
    /// Of each of its items; empty where it counts none.
    pub(super) recorded: Vec<u64>,
    pub(super) counted: Option<u64>,
    pub(super) estimate: Option<EstimatedCalls>,
    pub(super) durations: Option<Durations>,
    pub(super) lost: u64,
    /// Calls at which the program ran but failed, in addition to those at which it did not run.
    pub(super) missed: u64,
    pub(super) bytes_read: u64,
    /// Kernel memory in addition to the programs and their maps.
    pub(super) memory: u64,
    /// Details per function.
    pub(super) details: Details,
}

impl Account {
    /// For a part that recorded this many calls and lost none.
    pub(super) fn new(recorded: Option<u64>, bytes_read: u64) -> Self {
        Self {
            recorded: recorded.into_iter().collect(),
            counted: None,
            estimate: None,
            durations: None,
            lost: 0,
            missed: 0,
            bytes_read,
            memory: 0,
            details: Details::new(),
        }
    }
}

/// Checks that no more calls were drawn than made of the function of `probes`.
pub(super) fn check_drawn(drawn: u64, calls: u64, probes: &[Probe]) -> Result<()> {
    if drawn <= calls {
        return Ok(());
    }
    let function = &probes[0].subject;
    let what = format!("{drawn} calls of {function} were drawn, but only {calls} were made");
    Err(Error::Inconsistent(what))
}

/// The programs of one spot, and their reader.
#[derive(Debug)]
pub(super) struct Traced<P> {
    /// In the order in which they see a hit.
    pub(super) probes: Vec<Probe>,
    pub(super) part: P,
}

impl<P> Traced<P> {
    /// One program.
    pub(super) fn new(probe: Probe, part: P) -> Self {
        Self { probes: vec![probe], part }
    }

    /// In reverse order, so that whatever the first one sees the others see too.
    fn attach(&mut self) -> Result<()> {
        self.probes.iter_mut().rev().try_for_each(Probe::attach)
    }
}

/// Continues after an error, and reports the first.
fn detach<P>(traced: &mut [Traced<P>]) -> Result<()> {
    let probes = traced.iter_mut().flat_map(|traced| &mut traced.probes);
    probes.map(Probe::detach).fold(Ok(()), Result::and)
}

/// A method with programs in the kernel.
#[derive(Debug)]
pub(super) struct Programmed<D> {
    descriptor: Descriptor,
    design: D,
}

/// What a method is, beside its design.
pub(super) struct MethodKind {
    pub(super) class: Class,
    pub(super) unit: SeriesUnit,
    pub(super) durations: bool,
    pub(super) summary: String,
    pub(super) parameters: Details,
}

impl MethodKind {
    /// A method of this class without parameters whose series are calls.
    pub(super) fn new(class: Class, summary: impl Into<String>) -> Self {
        let unit = SeriesUnit::Calls { factor: 1.0 };
        let (durations, parameters) = (false, Details::new());
        Self { class, unit, durations, summary: summary.into(), parameters }
    }
}

impl<D: Design> Programmed<D> {
    pub(super) fn make(options: &Options, kind: MethodKind, design: D) -> Box<dyn Method> {
        let MethodKind { class, unit, durations, summary, parameters } = kind;
        let (id, family) = (options.id(options.base()), Family::Bpf);
        let descriptor = Descriptor { id, family, class, unit, durations, summary, parameters };
        Box::new(Self { descriptor, design })
    }

    /// Not attached. Their names do not need the run's tag: they end with the process.
    fn load(&self, programs: &Programs, spots: &[Spot<'_>]) -> Result<Vec<Traced<D::Part>>> {
        // Without the family, which takes half of the 15 bytes.
        let base = self.descriptor.id.0.split(':').next().unwrap_or_default();
        let short = base.trim_start_matches("bpf-").trim_start_matches("fentry-");
        let name = format!("{PREFIX}_{short}").replace('-', "_");
        let mut loader = Loader::new(programs, &name)?;
        loader.check(spots)?;
        spots.iter().map(|spot| self.design.load(&mut loader, *spot)).collect()
    }

    /// Its spots in `target`, of which there must be at least one.
    fn spots<'t>(&self, target: &'t Target) -> Result<Vec<Spot<'t>>> {
        let (there, what, example) = match D::SEES_TRACEPOINTS {
            true => (target.tracepoints.len(), "tracepoint", "tracepoint:net:net_dev_xmit"),
            false => (target.functions.len(), "function", "vhost_net:handle_tx"),
        };
        if there > 0 {
            return Ok(self.design.spots(target));
        }
        Err(Error::unsupported(
            "target",
            format!("it has no {what}, and {} can see nothing else", self.descriptor.id),
            format!("Name one, as in --target {example}"),
        ))
    }

    /// Loading asks the verifier about each program; only attaching asks the kernel about the
    /// place: whether the function can be patched and accepts one more program. That does not
    /// depend on the program, so one method on function entries answers for all.
    fn probe(&self, target: &Target, known: &Known) -> Result<()> {
        let spots = self.spots(target)?;
        let mut traced = self.load(&known.programs, &spots)?;
        let on_entries = spots.iter().all(|spot| matches!(spot, Spot::Fentry(_)));
        let mut attempt = || {
            traced.iter_mut().try_for_each(Traced::attach)?;
            let patched = if on_entries { check_patched(target, known) } else { Ok(()) };
            detach(&mut traced)?;
            patched
        };
        match on_entries {
            true => known.attaches("fentry", &target.functions, attempt)?,
            false => attempt()?,
        }
        self.design.try_out(&known.programs)
    }
}

/// Checks that ftrace calls the programs of each function while they are attached. The kernel's
/// answer is not enough: there are functions whose programs it accepts and never runs
/// (docs/src/explanation/loss.md, "Where exact ends"). Without access to tracefs this cannot be
/// checked.
fn check_patched(target: &Target, known: &Known) -> Result<()> {
    let Ok(tracefs) = known.tracefs() else { return Ok(()) };
    let [first, ..] = holders::unheld(target, tracefs)?[..] else { return Ok(()) };
    Err(Error::unsupported(
        first.listed(),
        "the kernel accepts a BPF program at its entry, but never calls it (it is not in \
         enabled_functions in tracefs)",
        "Use a kprobe or ftrace for this function",
    ))
}

impl<D: Design> Method for Programmed<D> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        self.probe(target, known).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let programs = &context.run.programs;
        let mut traced = self.load(programs, &self.spots(target)?)?;
        let details = self.design.prepare(programs, &mut traced)?;
        let cadence = self.design.cadence();
        let mut next = if D::SEES_TRACEPOINTS { target.first_tracepoint() } else { ItemId::FIRST };
        let first = |one: &Traced<D::Part>| {
            let behind = ItemId(next.0 + one.part.items());
            mem::replace(&mut next, behind)
        };
        let items = traced.iter().map(first).collect();
        Ok(Box::new(ProgramSession { traced, items, cadence, details }))
    }
}

/// Drained at this interval in ms.
pub(super) fn every(wake_ms: u32) -> Cadence {
    Cadence::Every(Duration::from_millis(wake_ms.into()))
}

#[derive(Debug)]
struct ProgramSession<P> {
    traced: Vec<Traced<P>>,
    /// The first item of each part.
    items: Vec<ItemId>,
    cadence: Cadence,
    details: Details,
}

impl<P: Part> Session for ProgramSession<P> {
    fn cadence(&self) -> Cadence {
        self.cadence
    }

    fn ready(&self) -> Vec<BorrowedFd<'_>> {
        self.traced.iter().flat_map(|traced| traced.part.ready()).collect()
    }

    fn start(&mut self) -> Result<()> {
        self.traced.iter_mut().try_for_each(|traced| traced.part.start())?;
        let attached = self.traced.iter_mut().try_for_each(Traced::attach);
        if attached.is_err() {
            // The original error is more useful than an error while undoing; what is left is
            // dropped with the session.
            let _ = detach(&mut self.traced);
        }
        attached
    }

    fn attached(&self, _: &Target) -> Result<Vec<String>> {
        self.traced.iter().flat_map(|traced| &traced.probes).map(Probe::describe).collect()
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        // What one ring has wrong does not keep the others from being read.
        let parts = self.traced.iter_mut().zip(&self.items);
        parts.map(|(traced, item)| traced.part.drain(*item, sink)).fold(Ok(()), Result::and)
    }

    fn stop(&mut self) -> Result<()> {
        let (detached, at) = (detach(&mut self.traced), clock::now());
        // Data from programs that are still running is complete when it is read.
        let awaited = match link::await_programs() {
            Ok(()) => json!(true),
            Err(error) => json!(error.to_string()),
        };
        self.details.insert("running_programs_awaited".into(), awaited);
        let parts = self.traced.iter_mut();
        parts.map(|traced| traced.part.stop(at)).fold(detached, Result::and)
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        let Self { mut traced, items, details, .. } = *self;
        let (lost, missed) = (Loss::NONE, Loss::NONE);
        let mut observation = Observation { lost, missed, details, ..noted };
        let mut missed = Vec::new();
        for (Traced { probes, part }, item) in traced.iter_mut().zip(items) {
            missed.push(probes.iter().map(Probe::missed).collect::<Result<Vec<_>>>()?);
            for probe in &*probes {
                observation.program_runs.extend(probe.runs()?);
                observation.kernel_memory.0 += probe.memory()?.0;
            }
            add(&mut observation, item, part.account(probes)?);
        }
        tell_missed(&mut observation, &missed);
        Ok(observation)
    }
}

/// Adds what the programs of each spot missed: what the first one missed, the method did not see.
fn tell_missed(observation: &mut Observation, missed: &[Vec<Loss>]) {
    let first: Vec<Loss> = missed.iter().filter_map(|of_spot| of_spot.first().copied()).collect();
    observation.missed = first.iter().copied().fold(observation.missed, Loss::and);
    observation.details.insert("missed_per_program".into(), json!(first));
    let exits = missed.iter().flat_map(|of_spot| of_spot.iter().skip(1)).copied();
    if let Some(exits) = exits.reduce(Loss::and) {
        observation.details.insert("missed_exits".into(), json!(exits));
    }
}

/// Takes in what a part saw of its items, of which `item` is the first.
fn add(observation: &mut Observation, item: ItemId, account: Account) {
    observation.recorded.extend(item.onward().zip(account.recorded));
    observation.counted.extend(item.onward().zip(account.counted));
    observation.estimates.extend(item.onward().zip(account.estimate));
    observation.durations.extend(item.onward().zip(account.durations));
    observation.lost = observation.lost.and(Loss::Exact(account.lost));
    observation.missed = observation.missed.and(Loss::Exact(account.missed));
    observation.bytes_read.0 += account.bytes_read;
    observation.kernel_memory.0 += account.memory;
    for (name, value) in account.details {
        let all = observation.details.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(all) = all {
            all.push(value);
        }
    }
}
