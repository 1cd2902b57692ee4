//! What happens between enable and disable: the load runs, and one reader stamps each bin edge and reads, at that
//! moment, the sink, the witness and edge-read counters.

use std::{sync::atomic::Ordering, thread, time::Duration};

use super::{
    arrivals::Arrivals,
    clock::BinClock,
    cpu::{self, Meters},
    reader::Reader,
    trial::Bench,
    witness::Witness,
};
use crate::{
    error::{Error, Result},
    model::{
        trial::{Pace, Received, SectionMark, Sent},
        units::{Bytes, Nanos},
    },
    workload::{Hogs, Load, Stage},
};

/// What was seen and spent in the measured window.
pub(super) struct Watched {
    pub(super) edges: Vec<Nanos>,
    pub(super) edge_jitter: Nanos,
    /// Sink readings at the edges.
    pub(super) received: Vec<Received>,
    /// Frames that machine 2 refused between the first edge and the last.
    pub(super) refused: u64,
    /// Witness readings at the edges: totals per function.
    pub(super) witness: Vec<Vec<Option<u64>>>,
    pub(super) sections: Vec<SectionMark>,
    pub(super) sent: Sent,
    pub(super) spent: cpu::Reading,
}

/// The things that are watched together.
pub(super) struct Watch<'a> {
    bench: &'a Bench<'a>,
    stage: &'a Stage,
    witness: Option<&'a Witness>,
    reader: &'a mut Reader,
    arrivals: Arrivals<'a>,
    received: Vec<Received>,
    witnessed: Vec<Vec<Option<u64>>>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        bench: &'a Bench<'a>,
        stage: &'a Stage,
        witness: Option<&'a Witness>,
        reader: &'a mut Reader,
    ) -> Result<Self> {
        let arrivals = Arrivals::since_now(stage.sink())?;
        let (received, witnessed) = (Vec::new(), Vec::new());
        Ok(Self { bench, stage, witness, reader, arrivals, received, witnessed })
    }

    /// The load from idle to idle, so that every CPU nanosecond of it falls into the window: the scheduler's account
    /// of a thread lags by up to a tick while the thread runs, and not at all while it sleeps.
    pub(super) fn toll(mut self, pace: Pace) -> Result<Watched> {
        let toll = &self.bench.scenario.toll;
        let length = match pace {
            Pace::Lockstep => None,
            Pace::Paced => Some(toll.paced.duration),
            Pace::Flat => Some(toll.flat.duration),
        };
        let sink = &self.bench.placement.sink;
        let mut meters = Meters::open(self.stage.workers(), &[], &[], sink)?;
        let before = meters.read_at_rest()?;
        let mut clock = BinClock::start(self.bench.scenario.bin);
        self.read_edge(0)?;
        let mut load = self.stage.start(self.bench.offered(pace))?;
        // The guests' threads begin with the load, so that all they have spent is spent on it.
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
        let sent = load.stop()?;
        let mut spent = meters.read_at_rest()?.since(&before);
        spent.load = by_guests;
        self.arrivals.wait_for(sent.frames)?;
        // What was still under way at the end of the last whole bin is in a last, short one.
        let edge = clock.last();
        self.read_edge(edge)?;
        self.finish(clock, sent, spent, Vec::new())
    }

    /// Whole bins in the middle of a load that runs on before and behind them.
    pub(super) fn fidelity(mut self) -> Result<Watched> {
        let fidelity = &self.bench.scenario.fidelity;
        let placement = &self.bench.placement;
        let sections = self.sections();
        let most = sections.iter().map(|section| section.hogs).max().unwrap_or(0);
        let hogs = Hogs::new(most, &placement.load)?;
        let load = self.stage.start(self.bench.offered_for_fidelity())?;
        thread::sleep(self.bench.scenario.settle);
        let workers = self.stage.workers();
        let mut meters = Meters::open(workers, load.threads(), hogs.threads(), &placement.sink)?;
        let (before, sent) = (meters.read()?, load.sent());
        let mut clock = BinClock::start(self.bench.scenario.bin);
        let mut edge = 0;
        loop {
            self.read_edge(edge)?;
            if edge == self.bins(fidelity.duration()) {
                break;
            }
            if let Some(section) = sections.iter().find(|section| section.first_bin == edge) {
                hogs.set(section.hogs)?;
            }
            if let Err(error) = load.check() {
                return Err(cause(load, error));
            }
            edge = clock.wait();
        }
        let spent = meters.read()?.since(&before);
        let sent = since(sent, load.sent());
        drop(hogs);
        load.stop()?;
        self.finish(clock, sent, spent, sections)
    }

    fn bins(&self, length: Duration) -> usize {
        let bins = length.as_nanos() / self.bench.scenario.bin.as_nanos();
        usize::try_from(bins).unwrap_or(usize::MAX).max(1)
    }

    fn sections(&self) -> Vec<SectionMark> {
        let mut first_bin = 0;
        let mut marks = Vec::new();
        for section in &self.bench.scenario.fidelity.sections {
            marks.push(SectionMark { first_bin, hogs: section.hogs });
            first_bin += self.bins(section.duration);
        }
        marks
    }

    /// Everything that is read at a bin edge, the method's counter first: it belongs closest to the stamp.
    fn read_edge(&mut self, edge: usize) -> Result<()> {
        if self.bench.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        self.reader.at_edge(edge)?;
        if let Some(witness) = self.witness {
            self.witnessed.push(witness.read());
        }
        self.received.push(self.stage.sink().read()?);
        Ok(())
    }

    fn finish(
        self,
        clock: BinClock,
        sent: Sent,
        spent: cpu::Reading,
        sections: Vec<SectionMark>,
    ) -> Result<Watched> {
        let (edges, edge_jitter) = clock.finish();
        let refused = self.arrivals.refused()?;
        let Self { received, witnessed: witness, .. } = self;
        Ok(Watched { edges, edge_jitter, received, refused, witness, sections, sent, spent })
    }
}

/// Why a load failed: its guest knows, and tells when the load is stopped.
fn cause(load: Load, seen: Error) -> Error {
    load.stop().err().unwrap_or(seen)
}

fn since(before: Sent, after: Sent) -> Sent {
    Sent {
        kicks: after.kicks - before.kicks,
        frames: after.frames - before.frames,
        bytes: Bytes(after.bytes.0 - before.bytes.0),
    }
}
