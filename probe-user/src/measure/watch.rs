//! What happens between enable and disable: the load runs, and one reader stamps each bin edge and
//! reads, at that moment, the sink, the reference counter and counters that are read at edges.

use std::{sync::atomic::Ordering, thread, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        latency::Latency,
        scenario::GuestKind,
        trial::{Degradation, Pace, Received, SectionMark, Sent},
        units::{Bytes, Nanos},
    },
};

use super::{
    arrivals::Arrivals,
    bench::{Bench, bins},
    clock::BinClock,
    cpu::{self, Meters},
    latency::FrameTimer,
    reader::Reader,
    reference::{self, ReferenceCounter},
    timeline::Timeline,
};
use crate::workload::{Load, Orders, Testbed, fleet::Ended};

/// What was seen and spent in the measured window.
pub(super) struct Watched {
    pub(super) edges: Vec<Nanos>,
    pub(super) edge_jitter: Nanos,
    /// Sink readings at the edges.
    pub(super) received: Vec<Received>,
    /// Frames refused by the sink between the first edge and the last.
    pub(super) refused: u64,
    /// Each guest's bytes at the edges; only in fidelity trials.
    pub(super) by_guest: Vec<Vec<u64>>,
    /// How long frames took; only in paced overhead trials of guests that stamp them.
    pub(super) latency: Option<Latency>,
    /// Round-trip times by guest.
    pub(super) rtt: Vec<Vec<(Nanos, f64)>>,
    /// Reference counter readings at the edges.
    pub(super) reference: Vec<reference::Reading>,
    pub(super) sections: Vec<SectionMark>,
    pub(super) degradations: Vec<Degradation>,
    pub(super) sent: Sent,
    pub(super) spent: cpu::CpuReading,
}

/// The things that are watched together.
pub(super) struct Watch<'a> {
    bench: &'a Bench<'a>,
    testbed: &'a Testbed,
    reference: Option<&'a ReferenceCounter>,
    reader: &'a mut Reader,
    arrivals: Arrivals<'a>,
    received: Vec<Received>,
    by_guest: Vec<Vec<u64>>,
    with_reference: Vec<reference::Reading>,
    stopwatch: Option<FrameTimer>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        bench: &'a Bench<'a>,
        testbed: &'a Testbed,
        reference: Option<&'a ReferenceCounter>,
        reader: &'a mut Reader,
    ) -> Result<Self> {
        let arrivals = Arrivals::since_now(testbed.sink())?;
        let (received, by_guest, with_reference) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            bench,
            testbed,
            reference,
            reader,
            arrivals,
            received,
            by_guest,
            with_reference,
            stopwatch: None,
        })
    }

    /// The load from idle to idle, so that all of its CPU time is in the window: while a thread
    /// runs, the scheduler's account of it lags by up to a tick; while it sleeps, not at all.
    pub(super) fn overhead(mut self, pace: Pace) -> Result<Watched> {
        let overhead = self.bench.overhead()?;
        let length = match pace {
            Pace::ClosedLoop => None,
            Pace::Paced => Some(self.bench.table("paced", overhead.paced.as_ref())?.duration),
            Pace::Saturated => {
                Some(self.bench.table("saturated", overhead.saturated.as_ref())?.duration)
            }
        };
        // Other paces have no schedule behind which a frame could be late.
        if pace == Pace::Paced && self.bench.scenario.guests.kind == GuestKind::Blast {
            self.stopwatch = match FrameTimer::start(self.testbed) {
                Err(lacks @ Error::Unsupported { .. }) => {
                    log::warn!("how long frames take is not measured: {lacks}");
                    None
                }
                started => started?,
            };
        }
        let sink = &self.bench.placement.sink;
        let mut meters = Meters::open(&self.testbed.worker_threads(), &[], &[], sink)?;
        let before = meters.read_at_rest()?;
        let mut clock = BinClock::start(self.bench.scenario.bin);
        self.read_edge(0)?;
        let mut load = self.testbed.start(self.bench.offered(pace)?)?;
        // The guests' threads start with the load, so all of their time belongs to it.
        let mut guests = Meters::open(&[], load.threads(), &[], sink)?;
        for _ in 0..length.map_or(usize::MAX, |length| self.bins(length)) {
            match load.wait(clock.left()) {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => return Err(cause(load, error)),
            }
            let edge = clock.wait();
            self.read_edge(edge)?;
        }
        let by_guests = guests.read()?.load;
        let ended = load.stop()?;
        let mut spent = meters.read_at_rest()?.since(&before);
        spent.load = by_guests;
        self.arrivals.wait_for(ended.sent.frames)?;
        // What was in transit at the end of the last complete bin is in a last, short one.
        let edge = clock.last();
        self.read_edge(edge)?;
        self.finish(clock, ended, spent)
    }

    /// Complete bins within a load that starts earlier and ends later; what of their schedule is
    /// drawn, from `seed`.
    pub(super) fn fidelity(mut self, seed: u64) -> Result<Watched> {
        let mut timeline = Timeline::new(self.bench.scenario, seed);
        let first = timeline.first().ok_or_else(|| Error::Inconsistent("no section".into()))?;
        let mut load = self.testbed.start(Orders { hogs: 0, ..first })?;
        thread::sleep(self.bench.scenario.settle);
        match self.run_through(&mut timeline, &mut *load) {
            Ok((clock, sent, spent)) => {
                let ended = Ended { sent, ..load.stop()? };
                let watched = self.finish(clock, ended, spent)?;
                let Timeline { marks: sections, degradations, .. } = timeline;
                Ok(Watched { sections, degradations, ..watched })
            }
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(seen) => Err(cause(load, seen)),
        }
    }

    /// The bins of all sections, with what was sent and spent in them.
    fn run_through(
        &mut self,
        timeline: &mut Timeline,
        load: &mut dyn Load,
    ) -> Result<(BinClock, Sent, cpu::CpuReading)> {
        let bins = self.bins(self.bench.scenario.fidelity.duration());
        let sink = &self.bench.placement.sink;
        let workers = self.testbed.worker_threads();
        let mut meters = Meters::open(&workers, load.threads(), load.hogs(), sink)?;
        let (before, sent) = (meters.read()?, load.sent()?);
        let mut waited = before.sink_run_delay;
        let mut clock = BinClock::start(self.bench.scenario.bin);
        let (mut edge, mut current) = (0, 0);
        loop {
            self.read_edge(edge)?;
            self.by_guest.push(self.testbed.bytes_by_guest()?);
            if edge == bins {
                break;
            }
            if let Some(step) = timeline.step(edge) {
                if let Some(next) = step.section {
                    timeline.marks[current].sink_run_delay = delay_since(&mut waited, &mut meters)?;
                    current = next;
                }
                timeline.took(step.worse, clock.passed());
                load.obey(&step.orders)?;
            }
            load.check()?;
            edge = clock.wait();
        }
        timeline.took(None, clock.passed());
        timeline.marks[current].sink_run_delay = delay_since(&mut waited, &mut meters)?;
        let spent = meters.read()?.since(&before);
        Ok((clock, since(sent, load.sent()?), spent))
    }

    fn bins(&self, length: Duration) -> usize {
        bins(length, self.bench.scenario.bin)
    }

    /// Everything that is read at a bin edge, the method's counter first, so that it is closest to
    /// the stamp.
    fn read_edge(&mut self, edge: usize) -> Result<()> {
        if self.bench.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        self.reader.at_edge(edge)?;
        if let Some(reference) = self.reference {
            self.with_reference.push(reference.read());
        }
        self.received.push(self.testbed.sink().read()?);
        self.stopwatch.as_mut().map_or(Ok(()), FrameTimer::drain)
    }

    /// Without sections.
    fn finish(self, clock: BinClock, ended: Ended, spent: cpu::CpuReading) -> Result<Watched> {
        let (edges, edge_jitter) = clock.finish();
        let refused = self.arrivals.refused()?;
        let Self { received, by_guest, with_reference: reference, stopwatch, .. } = self;
        let latency = stopwatch.map(FrameTimer::finish).transpose()?;
        let Ended { sent, rtt } = ended;
        Ok(Watched {
            edges,
            edge_jitter,
            received,
            refused,
            by_guest,
            latency,
            rtt,
            reference,
            sections: Vec::new(),
            degradations: Vec::new(),
            sent,
            spent,
        })
    }
}

/// Why a load failed: its guest knows, and reports it when the load is stopped.
fn cause(load: Box<dyn Load>, seen: Error) -> Error {
    load.stop().err().unwrap_or(seen)
}

/// Run delay on the sink's CPUs since `before`, which is updated.
fn delay_since(before: &mut Nanos, meters: &mut Meters) -> Result<Nanos> {
    let now = meters.read()?.sink_run_delay;
    Ok(now.since(std::mem::replace(before, now)))
}

fn since(before: Sent, after: Sent) -> Sent {
    Sent {
        kicks: after.kicks.zip(before.kicks).map(|(after, before)| after - before),
        frames: after.frames - before.frames,
        bytes: Bytes(after.bytes.0 - before.bytes.0),
    }
}
