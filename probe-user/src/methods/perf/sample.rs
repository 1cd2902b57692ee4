//! `perf-sample-HZ` and `perf-sample-HZ-callchain`: system-wide sampling profilers, like `perf
//! record -a -F HZ`, without and with `-g`.
//!
//! Without call chains, a function's series is the share of samples in its own instructions. With
//! them it is the share of samples with the function anywhere in their chain, and the share of its
//! own instructions is reported beside it. The whole is every sample of the bin on every CPU,
//! including user space and the idle task. Samples in the guest of a virtual CPU are left out, by
//! the PMU if it can and here otherwise (a timer tick during a guest is the host's interrupt, but
//! reports the guest's instruction):
//! - `cpu-clock` also ticks in idle, so the whole is all CPU time, and a share does not change
//!   because the rest of the machine went to sleep.
//! - `cycles` does not count in idle, so the whole is the busy time. The kernel adapts the period
//!   per CPU to keep the frequency, so samples represent different numbers of cycles: each has its
//!   period as its weight.

use std::{collections::BTreeMap, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        bounds,
        item::{ItemId, PerItem},
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::Target,
        units::{Bytes, Hertz, Nanos},
    },
};
use serde_json::json;

use super::ring::{Record, Records, Sample, SampleLayout};
use crate::{
    kernel::{cpus, known::Known, symbols::AddressMap, targets},
    methods::{
        self, AttachContext, Cadence, Detection, Method, Session, Sink,
        entry::number_in,
        options::{Options, PerfRing},
        ticker::{Ticker, check_frequency, running},
    },
    sys::perf::{Event, Reading, Ring},
};

/// Ids of the profiler without call chains, with the frequency for `HZ`.
pub const OWN: &str = "perf-sample-HZ";
/// Ids of the profiler with call chains.
pub const CALLCHAIN: &str = "perf-sample-HZ-callchain";

/// The parameters of the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Samples per second and CPU.
    pub frequency: Hertz,
    /// What ticks.
    pub ticker: Ticker,
    /// Whether samples include their call chain.
    pub chains: bool,
    /// Size of each CPU's ring.
    pub ring: PerfRing,
    /// How often the reader wakes up.
    pub wake_ms: u32,
}

impl Parameters {
    /// What a sample must hold.
    fn layout(&self) -> SampleLayout {
        let mut layout = SampleLayout::IP.and(SampleLayout::TID).and(SampleLayout::TIME);
        if self.chains {
            layout = layout.and(SampleLayout::CALLCHAIN);
        }
        match self.ticker {
            // A timer's ticks all represent the same time.
            Ticker::CpuClock => layout,
            Ticker::Cycles | Ticker::Untold { .. } => layout.and(SampleLayout::PERIOD),
        }
    }
}

/// The method.
#[derive(Debug)]
pub struct SampleProfiler {
    descriptor: Descriptor,
    parameters: Parameters,
}

impl SampleProfiler {
    /// The method named by `options`. Without an event it uses the best one of this machine, and
    /// the id says which, unless the kernel does not tell this user.
    ///
    /// # Errors
    /// A value is wrong, or the kernel did not say which event is the best.
    pub fn of(options: &mut Options) -> Result<Self> {
        let chains = number_in(CALLCHAIN, options.base());
        let frequency = chains.or_else(|| number_in(OWN, options.base())).map_or(Hertz(999), Hertz);
        let ticker = Ticker::of(options)?;
        let parameters = Parameters {
            frequency,
            ticker,
            chains: chains.is_some(),
            // perf's own size, which holds a second of call chains at 999 Hz.
            ring: options.perf_ring(512)?,
            wake_ms: options.number("wake_ms", 100, &bounds::WAKE_MS)?,
        };
        Ok(Self::new(parameters, options))
    }

    /// The method with these parameters.
    pub fn new(parameters: Parameters, options: &Options) -> Self {
        let Parameters { frequency, ticker, chains, ring, wake_ms } = parameters;
        let what = if chains { "call chains" } else { "instructions" };
        let descriptor = Descriptor {
            id: options.id(options.base()),
            family: Family::Perf,
            class: Class::Sampled,
            unit: SeriesUnit::CpuShare,
            durations: false,
            summary: format!("{what} sampled system-wide at {frequency}; share of CPU time"),
            parameters: BTreeMap::from([
                ("frequency_hz".into(), json!(frequency)),
                ("event".into(), json!(ticker.name())),
                ("buffer_kib_per_cpu".into(), json!(ring.kib)),
                ("wake_ms".into(), json!(wake_ms)),
                ("clock".into(), json!("monotonic")),
            ]),
        };
        Self { descriptor, parameters }
    }

    fn event(&self, cpu: u32) -> Result<Event> {
        let Parameters { ticker, frequency, .. } = self.parameters;
        ticker.open(frequency, self.parameters.layout().sample_type(), cpu)
    }

    fn probe(&self) -> Result<()> {
        check_frequency(self.parameters.frequency)?;
        let Parameters { ticker, frequency, .. } = self.parameters;
        ticker.try_out(frequency, self.parameters.layout().sample_type()).map(drop)
    }

    fn attach_on(&self, cpus: &[u32], target: &Target) -> Result<SampleSession> {
        let Parameters { frequency, ticker, .. } = self.parameters;
        check_frequency(frequency)?;
        let pages = self.parameters.ring.pages;
        let events: Vec<_> = cpus.iter().map(|&cpu| self.event(cpu)).collect::<Result<_>>()?;
        let rings: Vec<_> = events.iter().map(|event| event.map(pages)).collect::<Result<_>>()?;
        Ok(SampleSession {
            rings,
            events,
            layout: self.parameters.layout(),
            map: AddressMap::new(target),
            wake: Duration::from_millis(self.parameters.wake_ms.into()),
            event: format!("{} at {frequency} on CPUs {cpus:?}", ticker.name()),
            buffer: Vec::new(),
            functions: Vec::new(),
            tally: Tally::of(target),
        })
    }
}

impl Method for SampleProfiler {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, _: &Target, _: &Known) -> Detection {
        self.probe().into()
    }

    fn open(&self, target: &Target, _: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.attach_on(&cpus::online()?, target)?))
    }
}

/// The content of the rings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    /// Samples that saw each function.
    inclusive: PerItem<u64>,
    samples: u64,
    idle: u64,
    /// Additional samples, in a guest.
    guest: u64,
    lost: u64,
    throttled: u64,
    bytes: u64,
}

/// The method attached.
#[derive(Debug)]
struct SampleSession {
    rings: Vec<Ring>,
    events: Vec<Event>,
    layout: SampleLayout,
    map: AddressMap,
    wake: Duration,
    /// The event, as text.
    event: String,
    buffer: Vec<u8>,
    /// Of the sample at hand.
    functions: Vec<ItemId>,
    tally: Tally,
}

impl Session for SampleSession {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.wake)
    }

    fn start(&mut self) -> Result<()> {
        self.events.iter().try_for_each(Event::enable)
    }

    fn attached(&self, target: &Target) -> Result<Vec<String>> {
        Ok([self.event.clone()].into_iter().chain(targets::describe(target)).collect())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let mut damage = None;
        for (ring, event) in self.rings.iter_mut().zip(&self.events) {
            self.buffer.clear();
            self.tally.bytes += ring.drain(&mut self.buffer)? as u64;
            for record in Records::new(&self.buffer, self.layout) {
                match record {
                    Ok(record) => self.tally.add(record, &self.map, &mut self.functions, sink),
                    Err(error) => {
                        let ring = format!("perf ring of CPU {}", event.cpu());
                        damage.get_or_insert(Error::malformed(ring, error.to_string()));
                    }
                }
            }
        }
        damage.map_or(Ok(()), Err)
    }

    fn stop(&mut self) -> Result<()> {
        self.events.iter().map(Event::disable).fold(Ok(()), Result::and)
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        let readings: Vec<_> =
            self.events.iter().map(|event| event.read(1)).collect::<Result<_>>()?;
        self.seen(&readings, noted)
    }
}

impl Tally {
    /// Empty.
    fn of(target: &Target) -> Self {
        let inclusive = target.functions().map(|(item, _)| (item, 0)).collect();
        Self { inclusive, ..Self::default() }
    }

    /// `functions` is a place to work in.
    fn add(
        &mut self,
        record: Record<'_>,
        map: &AddressMap,
        functions: &mut Vec<ItemId>,
        sink: &mut dyn Sink,
    ) {
        match record {
            Record::Sample(sample) if sample.guest => self.guest += 1,
            Record::Sample(sample) => {
                let innermost = functions_of(&sample, map, functions);
                for &function in &*functions {
                    *self.inclusive.entry(function) += 1;
                }
                self.samples += 1;
                self.idle += u64::from(sample.tid == 0);
                let at = Nanos(sample.time);
                // Without a period they all have the same weight.
                let weight = sample.period.max(1);
                sink.sample(methods::ProfilerSample { at, weight, functions, innermost });
            }
            Record::Lost(n) | Record::LostSamples(n) => self.lost += n,
            Record::Throttle => self.throttled += 1,
            Record::Unthrottle | Record::Other(_) => {}
        }
    }
}

/// Writes the target's functions in a sample's call chain to `functions`, each once; returns the
/// one that was interrupted.
fn functions_of(
    sample: &Sample<'_>,
    map: &AddressMap,
    functions: &mut Vec<ItemId>,
) -> Option<ItemId> {
    functions.clear();
    let innermost = map.find(sample.ip);
    // A return address may be the first one after its function, if that ends in a call: look at the
    // address before it.
    let callers = sample.chain().skip(1).filter_map(|address| map.find(address.wrapping_sub(1)));
    for function in innermost.into_iter().chain(callers) {
        if !functions.contains(&function) {
            functions.push(function);
        }
    }
    innermost
}

impl SampleSession {
    fn seen(&self, readings: &[Reading], noted: Observation) -> Result<Observation> {
        let Tally { inclusive, samples, idle, guest, lost, throttled, bytes } = &self.tally;
        // Exact if the kernel keeps the count; lost records are written only once there is room
        // again.
        let counts = readings.iter().flat_map(|reading| &reading.counts);
        let exact = counts.map(|count| count.lost).sum::<Option<u64>>();
        if let Some(exact) = exact.filter(|exact| exact < lost) {
            let why = format!("its rings report {lost} lost records, its counters {exact}");
            return Err(Error::Inconsistent(format!("perf contradicts itself: {why}")));
        }
        Ok(Observation {
            recorded: inclusive.clone(),
            lost: exact.map_or(Loss::AtLeast(*lost), Loss::Exact),
            missed: Loss::Unknown,
            running: running(noted.enabled, readings),
            bytes_read: Bytes(*bytes),
            kernel_memory: Bytes(self.rings.iter().map(|ring| ring.mapped() as u64).sum()),
            details: BTreeMap::from([
                ("samples".into(), json!(samples)),
                ("samples_in_idle_task".into(), json!(idle)),
                ("samples_in_guests".into(), json!(guest)),
                ("lost_by_records".into(), json!(lost)),
                ("throttled".into(), json!(throttled)),
            ]),
            ..noted
        })
    }
}

#[cfg(test)]
mod tests;
