//! Drains a method while the load runs: at the bin edges, or from the method's own thread.
//!
//! In both cases the CPU time of reading counts as the method's, and is measured as that of the
//! reading thread.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    thread::JoinHandle,
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    time::ClockId,
};

use super::collector::Collector;
use crate::{
    kernel::{affinity, clock, cputime},
    methods::{Cadence, Observer},
};

/// A session that is being drained.
pub struct Reader(Drained);

enum Drained {
    /// Drained by the caller of [`Reader::at_edge`].
    Edges(Reading),
    /// Drained by its own thread, until `stop`, the writing end of a pipe, is dropped.
    Thread { stop: OwnedFd, thread: JoinHandle<Result<Reading>> },
    /// Drained only at the end.
    AtEnd(Reading),
}

/// What a reader returns.
pub struct Reading {
    /// The method, still attached.
    pub observer: Observer,
    /// What it saw.
    pub collector: Collector,
    /// CPU time of reading.
    pub cpu: Nanos,
    /// How often its own thread went to sleep.
    pub wakeups: u64,
}

impl Reader {
    /// Starts to drain `observer`; a separate thread runs on `cpus`, the CPUs of the traced
    /// machine.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(observer: Observer, collector: Collector, cpus: &[u32]) -> Result<Self> {
        let cadence = observer.cadence();
        let reading = Reading { observer, collector, cpu: Nanos(0), wakeups: 0 };
        let every = match cadence {
            Cadence::Edges => return Ok(Self(Drained::Edges(reading))),
            Cadence::Never => return Ok(Self(Drained::AtEnd(reading))),
            Cadence::Every(interval) => Some(interval),
            Cadence::Woken => None,
        };
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)
            .map_err(|e| Error::call("pipe2", "the method's reader thread", e.into()))?;
        let cpus = cpus.to_vec();
        let thread = std::thread::Builder::new()
            .name("tracetoll-read".into())
            .spawn(move || {
                affinity::pin(None, &cpus)?;
                drain_until(&stopped, every, reading)
            })
            .map_err(|e| Error::call("clone", "the method's reader thread", e))?;
        Ok(Self(Drained::Thread { stop, thread }))
    }

    /// Called at bin edge `index`, as soon as it is stamped.
    ///
    /// # Errors
    /// What its drain reports.
    pub fn at_edge(&mut self, index: usize) -> Result<()> {
        match &mut self.0 {
            Drained::Edges(reading) => {
                reading.collector.at_edge(index);
                reading.drain()
            }
            Drained::Thread { .. } | Drained::AtEnd(_) => Ok(()),
        }
    }

    /// Stops draining.
    ///
    /// # Errors
    /// What its drain reported meanwhile.
    pub fn stop(self) -> Result<Reading> {
        match self.0 {
            Drained::Edges(reading) | Drained::AtEnd(reading) => Ok(reading),
            Drained::Thread { stop, thread } => {
                drop(stop);
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::Inconsistent("the reader panicked".into())))
            }
        }
    }
}

impl Reading {
    /// Drains once more; the time counts as the method's.
    ///
    /// # Errors
    /// What its drain reports.
    pub fn drain(&mut self) -> Result<()> {
        let before = thread_cpu();
        let drained = self.observer.drain(&mut self.collector);
        self.cpu.0 += thread_cpu().since(before).0;
        drained
    }
}

/// CPU time of the calling thread so far.
pub fn thread_cpu() -> Nanos {
    clock::read(ClockId::ThreadCPUTime)
}

/// Drains at the interval `every`, or without one whenever a descriptor of the method is ready,
/// until the other end of the pipe `stopped` is closed.
fn drain_until(
    stopped: &OwnedFd,
    every: Option<Duration>,
    mut reading: Reading,
) -> Result<Reading> {
    const STOPPED: u64 = 1;
    const READY: u64 = 0;
    let failed = |e: Errno| Error::call("epoll", "the method's reader thread", e.into());
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
    let add = |fd, data| {
        epoll::add(&epoll, fd, epoll::EventData::new_u64(data), epoll::EventFlags::IN)
            .map_err(failed)
    };
    add(stopped.as_fd(), STOPPED)?;
    if every.is_none() {
        reading.observer.ready().into_iter().try_for_each(|fd| add(fd, READY))?;
    }
    let timeout = every.map(Timespec::try_from).transpose().map_err(|_| failed(Errno::INVAL))?;
    let mut events = Vec::with_capacity(16);
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(failed(e)),
        }
        if events.drain(..).any(|event: epoll::Event| event.data.u64() == STOPPED) {
            break;
        }
        reading.observer.drain(&mut reading.collector)?;
    }
    // The whole thread belongs to the method: its wake-ups count too, not only its reads.
    reading.cpu = thread_cpu();
    reading.wakeups = cputime::sleeps()?;
    Ok(reading)
}
