//! CPU times of everything that belongs to a trial, read together.

use std::{thread, time::Duration};

use probe_core::{error::Result, model::units::Nanos};

use crate::kernel::{
    clock,
    cputime::{SystemTime, ThreadTime},
};

/// Longer than an idle worker takes to go to sleep, on any clock.
const TO_SLEEP: Duration = Duration::from_millis(2);

/// The threads and CPUs whose time a trial measures.
#[derive(Debug)]
pub(super) struct Meters {
    workers: Vec<ThreadTime>,
    load: Vec<ThreadTime>,
    hogs: Vec<ThreadTime>,
    system: SystemTime,
    sink: Vec<u32>,
}

/// The readings at one moment, or their difference between two.
#[derive(Debug)]
pub(super) struct CpuReading {
    pub(super) at: Nanos,
    pub(super) workers: Vec<Nanos>,
    pub(super) load: Nanos,
    pub(super) hogs: Nanos,
    /// Time of all CPUs together.
    pub(super) system: Nanos,
    pub(super) cpus: usize,
    pub(super) sink_run_delay: Nanos,
}

impl Meters {
    /// Opens the meters of these threads; `sink` are the CPUs of the sink.
    pub(super) fn open(workers: &[u32], load: &[u32], hogs: &[u32], sink: &[u32]) -> Result<Self> {
        let of = |tids: &[u32]| tids.iter().map(|&tid| ThreadTime::of(tid)).collect::<Result<_>>();
        let (workers, load, hogs) = (of(workers)?, of(load)?, of(hogs)?);
        Ok(Self { workers, load, hogs, system: SystemTime::open()?, sink: sink.to_vec() })
    }

    /// Reads them when the workers sleep. A thread's time is exact only then: while it runs, the
    /// scheduler's account of it is as old as the last tick. The load has ended, but its worker may
    /// be on its way to sleep.
    pub(super) fn read_at_rest(&mut self) -> Result<CpuReading> {
        thread::sleep(TO_SLEEP);
        self.read()
    }

    /// Reads them now.
    pub(super) fn read(&mut self) -> Result<CpuReading> {
        let run = |threads: &mut [ThreadTime]| {
            threads.iter_mut().map(|thread| Ok(thread.read()?.run)).collect::<Result<Vec<_>>>()
        };
        let workers = run(&mut self.workers)?;
        let (load, hogs) = (sum(run(&mut self.load)?), sum(run(&mut self.hogs)?));
        let cpus = self.system.read()?;
        let waited = cpus.iter().filter(|(cpu, _)| self.sink.contains(cpu));
        Ok(CpuReading {
            at: clock::now(),
            workers,
            load,
            hogs,
            system: Nanos(cpus.iter().map(|(_, spent)| spent.run.0).sum()),
            cpus: cpus.len(),
            sink_run_delay: Nanos(waited.map(|(_, spent)| spent.delay.0).sum()),
        })
    }
}

impl CpuReading {
    /// What passed since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let workers = self.workers.iter().zip(&earlier.workers);
        Self {
            at: self.at.since(earlier.at),
            workers: workers.map(|(now, then)| now.since(*then)).collect(),
            load: self.load.since(earlier.load),
            hogs: self.hogs.since(earlier.hogs),
            system: self.system.since(earlier.system),
            cpus: self.cpus,
            sink_run_delay: self.sink_run_delay.since(earlier.sink_run_delay),
        }
    }
}

fn sum(times: Vec<Nanos>) -> Nanos {
    Nanos(times.into_iter().map(|time| time.0).sum())
}
