//! `bpf-sample-HZ`: a system-wide sampling profiler without records: at each tick a program walks
//! the kernel stack and counts for each function of the target.
//!
//! Its series is that of `perf-sample-HZ-callchain`: the share of samples with the function
//! anywhere in their stack, together with the share of those in the function itself, out of all
//! samples on all CPUs. All samples have the same weight: with `cycles`, whose period the kernel
//! adapts per CPU, samples of a mostly idle CPU represent fewer cycles than those of a busy one.

use std::{collections::BTreeMap, os::fd::AsFd as _};

use probe_core::{
    error::Result,
    model::{
        item::ItemId,
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::Target,
        units::{Bytes, Hertz},
    },
};
use serde_json::json;

use crate::{
    kernel::{
        bpf::{
            chosen::Programs,
            sampler::{SampleCounts, Sampler},
        },
        cpus,
        known::Known,
        run::PREFIX,
        targets,
    },
    methods::{
        AttachContext, Cadence, Detection, Method, Session, Share, Sink,
        entry::number_in,
        options::Options,
        ticker::{Ticker, check_frequency, running},
    },
    sys::perf::Event,
};

/// The ids, with the frequency for `HZ`.
pub const PATTERN: &str = "bpf-sample-HZ";

/// The method.
#[derive(Debug)]
pub struct Sampling {
    descriptor: Descriptor,
    frequency: Hertz,
    ticker: Ticker,
}

impl Sampling {
    /// The method named by `options`. Without an event it uses the best one of this machine, and
    /// the id says which, unless the kernel does not tell this user.
    ///
    /// # Errors
    /// A value is wrong, or the kernel did not say which event is the best.
    pub fn of(options: &mut Options) -> Result<Self> {
        let frequency = number_in(PATTERN, options.base()).map_or(Hertz(999), Hertz);
        let ticker = Ticker::of(options)?;
        let descriptor = Descriptor {
            id: options.id(options.base()),
            family: Family::Bpf,
            class: Class::Sampled,
            unit: SeriesUnit::CpuShare,
            durations: false,
            summary: format!("stacks sampled system-wide at {frequency}, counted in the kernel"),
            parameters: BTreeMap::from([
                ("frequency_hz".into(), json!(frequency)),
                ("event".into(), json!(ticker.name())),
            ]),
        };
        Ok(Self { descriptor, frequency, ticker })
    }

    fn load(&self, programs: &Programs, target: &Target) -> Result<Sampler> {
        check_frequency(self.frequency)?;
        Sampler::load(programs, &target.functions, &format!("{PREFIX}_stack"))
    }

    /// Whether the kernel accepts the program, and a ticker can run it.
    fn probe(&self, target: &Target, known: &Known) -> Result<()> {
        let mut sampler = self.load(&known.programs, target)?;
        let event = self.ticker.try_out(self.frequency, 0)?;
        sampler.attach_to(event.as_fd(), "perf event of this thread")?;
        sampler.detach()
    }

    /// Opens it on `cpus`, attached and not yet ticking.
    fn open_on(&self, programs: &Programs, target: &Target, cpus: &[u32]) -> Result<SampleSession> {
        let mut sampler = self.load(programs, target)?;
        // No record is written, so no space is needed for any.
        let open = |&cpu| self.ticker.open(self.frequency, 0, cpu);
        let events: Vec<_> = cpus.iter().map(open).collect::<Result<_>>()?;
        events.iter().try_for_each(|event| sampler.attach(event))?;
        let event = format!("{} at {} on CPUs {cpus:?}", self.ticker.name(), self.frequency);
        Ok(SampleSession { events, sampler, event, reads: 0 })
    }
}

impl Method for Sampling {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        self.probe(target, known).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.open_on(&context.run.programs, target, &cpus::online()?)?))
    }
}

#[derive(Debug)]
struct SampleSession {
    events: Vec<Event>,
    sampler: Sampler,
    /// The event, as text.
    event: String,
    /// How often all counts were read.
    reads: u64,
}

impl Session for SampleSession {
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn start(&mut self) -> Result<()> {
        self.events.iter().try_for_each(Event::enable)
    }

    fn attached(&self, target: &Target) -> Result<Vec<String>> {
        Ok([self.event.clone()].into_iter().chain(targets::describe(target)).collect())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        // Functions first: one that is hit in between is in the whole as well, and no share exceeds
        // it.
        let share = |counts: SampleCounts| Share { inclusive: counts.inclusive, own: counts.own };
        let functions = ItemId::FIRST.onward().zip(self.sampler.functions().map(share)).collect();
        sink.shares(self.sampler.samples(), functions);
        self.reads += 1;
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.events.iter().map(Event::disable).fold(Ok(()), Result::and)
    }

    fn account(mut self: Box<Self>, noted: Observation) -> Result<Observation> {
        let readings: Vec<_> =
            self.events.iter().map(|event| event.read(1)).collect::<Result<_>>()?;
        self.sampler.detach()?;
        let own: Vec<_> = self.sampler.functions().map(|counts| counts.own).collect();
        let inclusive = self.sampler.functions().map(|counts| counts.inclusive);
        let words = self.sampler.words() as u64;
        Ok(Observation {
            recorded: ItemId::FIRST.onward().zip(inclusive).collect(),
            // Nothing is handed on that could be lost; ticks that find another program running are
            // not told of.
            lost: Loss::NONE,
            missed: Loss::Unknown,
            running: running(noted.enabled, &readings),
            bytes_read: Bytes(self.reads * words * size_of::<u64>() as u64),
            kernel_memory: self.sampler.memory()?,
            program_runs: self.sampler.runs()?.into_iter().collect(),
            details: BTreeMap::from([
                ("samples".into(), json!(self.sampler.samples())),
                ("own_per_function".into(), json!(own)),
            ]),
            ..noted
        })
    }
}
