//! `perf-kprobe-record`, `perf-kprobe-record-N`, `perf-tracepoint-record`: every hit, or one in N,
//! leaves a record in a ring, like `perf record -a -e EVENT -c N`.
//!
//! A record is only the time, and the event if several share the ring: 16 or 24 bytes, without the
//! event's own fields (`PERF_SAMPLE_RAW`), which are of no use here. The events' counts come for
//! free: the kernel counts every hit, recorded or not, so that one in N also has the exact number,
//! and records are checked against it.
//!
//! One in N is taken by counting, on each CPU separately. `PERF_SAMPLE_PERIOD` must not be
//! requested: with it, the kernel records every hit of a software event and writes 1 as its period
//! (`perf_swevent_event`).

use std::{collections::BTreeMap, time::Duration};

use probe_core::{
    error::Result,
    model::{
        bounds,
        item::{ItemId, PerItem},
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::Target,
    },
};
use serde_json::json;

use super::{account::HitFates, attached::Attached, events::Taken, points::PointSource};
use crate::{
    kernel::known::Known,
    methods::{
        AttachContext, Cadence, Detection, Method, Session, Sink,
        entry::number_in,
        options::{Options, PerfRing},
    },
    sys::perf::SampleRate,
};

/// Id of the recorder of every call.
pub const KPROBE: &str = "perf-kprobe-record";
/// Ids of the recorder of one call in `N`.
pub const KPROBE_N: &str = "perf-kprobe-record-N";
/// Id of the recorder of every hit of a tracepoint.
pub const TRACEPOINT: &str = "perf-tracepoint-record";

/// The method.
#[derive(Debug)]
pub struct Recorder {
    descriptor: Descriptor,
    source: PointSource,
    period: u32,
    ring: PerfRing,
    wake: Duration,
}

impl Recorder {
    /// The method named by `options`. The ring has perf's own size by default, 512 KiB: up to 32768
    /// records.
    ///
    /// # Errors
    /// A value is wrong.
    pub fn of(options: &mut Options) -> Result<Self> {
        let period = number_in(KPROBE_N, options.base());
        let (source, what) = match options.base() {
            TRACEPOINT => (PointSource::Tracepoints, "tracepoint hit"),
            _ => (PointSource::Kprobes, "call, by a kprobe,"),
        };
        let ring = options.perf_ring(512)?;
        let wake_ms = options.number("wake_ms", 100, &bounds::WAKE_MS)?;
        let (class, which) = match period {
            Some(period) => (Class::Sampled, format!("one {what} in {period}")),
            None => (Class::Recorded, format!("each {what}")),
        };
        let period = period.unwrap_or(1);
        let descriptor = Descriptor {
            id: options.id(options.base()),
            family: Family::Perf,
            class,
            unit: SeriesUnit::Calls { factor: period.into() },
            durations: false,
            summary: format!("{which} leaves its time in perf's ring"),
            parameters: BTreeMap::from([
                ("period".into(), json!(period)),
                ("buffer_kib_per_cpu".into(), json!(ring.kib)),
                ("wake_ms".into(), json!(wake_ms)),
                ("clock".into(), json!("monotonic")),
            ]),
        };
        let wake = Duration::from_millis(wake_ms.into());
        Ok(Self { descriptor, source, period, ring, wake })
    }

    fn rate(&self) -> SampleRate {
        SampleRate::Period(self.period.into())
    }
}

impl Method for Recorder {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        Attached::try_out(self.source, target, known).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let pages = Some(self.ring.pages);
        let attached = Attached::open(self.source, target, context.run, self.rate(), pages)?;
        let items = attached.items();
        Ok(Box::new(Recording { attached, items, period: self.period.into(), wake: self.wake }))
    }
}

#[derive(Debug)]
struct Recording {
    attached: Attached,
    /// The item at each place.
    items: Vec<ItemId>,
    period: u64,
    wake: Duration,
}

impl Session for Recording {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.wake)
    }

    fn start(&mut self) -> Result<()> {
        self.attached.start()
    }

    fn attached(&self, target: &Target) -> Result<Vec<String>> {
        Ok(self.attached.lines(target))
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let Self { attached, items, .. } = self;
        attached.events.drain(|place, at| sink.event(items[place], at))
    }

    fn stop(&mut self) -> Result<()> {
        self.attached.stop()
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        let Self { attached, period, .. } = *self;
        let ended = attached.close(noted)?;
        let places = ended.counted.len();
        let fates = HitFates::of_all(places, period, &ended.readings, ended.taken.iter())?;
        let estimates = match period {
            1 => PerItem::default(),
            _ => ended.by_item(fates.iter().map(|fate| fate.estimate(period))),
        };
        let counts = ended.readings.iter().flat_map(|reading| &reading.counts);
        let no_room = counts.map(|count| count.lost).sum::<Option<u64>>();
        let of_taken = |of: fn(&Taken) -> u64| ended.taken.iter().map(of).sum::<u64>();
        Ok(Observation {
            recorded: ended.by_item(fates.iter().map(|fate| fate.recorded)),
            counted: ended.by_item(ended.counted.iter().copied()),
            estimates,
            lost: Loss::Exact(fates.iter().map(|fate| fate.lost).sum()),
            details: BTreeMap::from([
                ("lost_by_counter".into(), json!(no_room)),
                ("cut_off".into(), json!(fates.iter().map(|fate| fate.cut_off).sum::<u64>())),
                ("lost_by_records".into(), json!(of_taken(|taken| taken.lost))),
                ("throttled".into(), json!(of_taken(|taken| taken.throttled))),
            ]),
            ..ended.observation
        })
    }
}
