//! Open events at their places: the common part of methods that record hits and methods that count
//! them.

use probe_core::{
    error::Result,
    model::{
        item::{ItemId, PerItem},
        observation::Observation,
        target::Target,
        units::Bytes,
    },
};

use super::{
    account::Profiles,
    events::{PerfEvents, Taken},
    points::{Point, PointSource, Points},
};
use crate::{
    kernel::{cpus, known::Known, run::Run},
    methods::ticker::running,
    sys::perf::{Reading, SampleRate},
};

/// Events at a run's own places.
#[derive(Debug)]
pub(super) struct Attached {
    // Events are closed before the probes are removed that they are open at.
    pub(super) events: PerfEvents,
    points: Points,
    profiles: Profiles,
    cpus: String,
}

/// The data at the time when the events were closed.
#[derive(Debug)]
pub(super) struct Ended {
    /// The counts of each CPU's events.
    pub(super) readings: Vec<Reading>,
    /// The content of each CPU's ring.
    pub(super) taken: Vec<Taken>,
    /// Hits of each place, on all CPUs.
    pub(super) counted: Vec<u64>,
    /// The observation that all methods of this kind share, without what they recorded.
    pub(super) observation: Observation,
    items: Vec<ItemId>,
}

impl Ended {
    /// `values`, one for each place, by the items of the target; none for those that have no place.
    pub(super) fn by_item<T>(&self, values: impl IntoIterator<Item = T>) -> PerItem<T> {
        self.items.iter().copied().zip(values).collect()
    }
}

impl Attached {
    /// Opens events at every place of `source` in `target`; with rings of this many pages if they
    /// record.
    ///
    /// # Errors
    /// The kernel refused a probe, an event or a ring; nothing is left behind.
    pub(super) fn open(
        source: PointSource,
        target: &Target,
        run: &Run,
        rate: SampleRate,
        pages: Option<usize>,
    ) -> Result<Self> {
        let cpus = cpus::online()?;
        let points = source.points(target, &run.probe_group())?;
        let events = PerfEvents::open(points.places(), &cpus, rate, pages)?;
        Ok(Self { events, points, profiles: Profiles::default(), cpus: cpus.to_string() })
    }

    /// What is open at which place, one line each.
    pub(super) fn lines(&self, target: &Target) -> Vec<String> {
        let (names, cpus): (PerItem<String>, _) = (target.items().collect(), &self.cpus);
        let line = |place: &Point| {
            let item = names.get(place.item).map_or("?", String::as_str);
            format!("{item} by {} on CPUs {cpus}", place.name)
        };
        self.points.places().iter().map(line).collect()
    }

    /// Checks that this would work: that the places exist, and that perf may watch them. An event
    /// opened there would arm the kprobe, or register with the tracepoint, even if it is never
    /// enabled (kernel/trace/trace_event_perf.c, `perf_trace_event_reg`).
    ///
    /// # Errors
    /// It would not.
    pub(super) fn try_out(source: PointSource, target: &Target, known: &Known) -> Result<()> {
        source.try_out(target, known)?;
        PerfEvents::may_open(&cpus::online()?)
    }

    /// The item observed at each place.
    pub(super) fn items(&self) -> Vec<ItemId> {
        self.points.places().iter().map(|place| place.item).collect()
    }

    /// Starts all events.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn start(&mut self) -> Result<()> {
        self.profiles = Profiles(vec![self.points.profile()?]);
        self.events.enable()?;
        self.profiles.0.push(self.points.profile()?);
        Ok(())
    }

    /// Stops all events.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn stop(&mut self) -> Result<()> {
        let before = self.points.profile();
        let disabled = self.events.disable();
        self.profiles.0.extend([before?, self.points.profile()?]);
        disabled
    }

    /// Reads the counts, releases everything, and completes `noted` except for what was recorded.
    ///
    /// # Errors
    /// The kernel's error; what is left ends with the process.
    pub(super) fn close(self, noted: Observation) -> Result<Ended> {
        // Before `self` is taken apart: on failure it is dropped whole, its events before its
        // probes.
        let readings = self.events.read()?;
        let Self { events, points, profiles, .. } = self;
        let taken: Vec<Taken> = events.taken().cloned().collect();
        let memory = Bytes(events.memory());
        let items = points.places().iter().map(|place| place.item).collect::<Vec<_>>();
        drop(events);
        points.close()?;
        let counted = hits(&readings, items.len());
        let observation = Observation {
            missed: profiles.missed(&counted),
            running: running(noted.enabled, &readings),
            bytes_read: Bytes(taken.iter().map(|taken| taken.bytes).sum()),
            kernel_memory: memory,
            ..noted
        };
        Ok(Ended { readings, taken, counted, observation, items })
    }
}

/// The counts of each place's events on all CPUs together.
pub(super) fn hits(readings: &[Reading], places: usize) -> Vec<u64> {
    let of = |place: usize| readings.iter().map(|reading| reading.counts[place].value).sum();
    (0..places).map(of).collect()
}
