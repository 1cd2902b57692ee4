//! The running load of guests without VMs: one thread per guest.

use std::{
    any::Any,
    sync::{
        Arc, Mutex, TryLockError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use probe_core::{
    error::{Error, Result},
    model::trial::{Received, Sent},
};
use rustix::thread::gettid;

use super::{
    bell::{Bell, Task},
    guest::{Guest, Tally},
    pace,
};
use crate::{
    kernel::affinity,
    workload::{
        Hogs, Orders,
        fleet::{Ended, Load},
    },
};

/// The guests' running threads. Dropping it stops them silently.
pub(super) struct Senders {
    hogs: Arc<Hogs>,
    tids: Vec<u32>,
    bells: Vec<Arc<Bell>>,
    tallies: Vec<Arc<Tally>>,
    threads: Vec<JoinHandle<Result<()>>>,
    /// Receives a message from each guest that has finished its pace, or has failed.
    through: Receiver<()>,
    at_work: usize,
}

impl Senders {
    /// Starts all `guests` on `cpus`. When it returns, their threads exist, are on their CPUs and
    /// start.
    ///
    /// # Errors
    /// A load is already running on these guests, or one panicked on them; a CPU is not online;
    /// more hogs than available.
    pub(super) fn start(
        guests: &[Arc<Mutex<Guest>>],
        orders: &Orders,
        hogs: &Arc<Hogs>,
        cpus: &[u32],
    ) -> Result<Self> {
        let (tell, through) = mpsc::channel();
        let mut senders = Self {
            hogs: hogs.clone(),
            tids: Vec::new(),
            bells: Vec::new(),
            tallies: Vec::new(),
            threads: Vec::new(),
            through,
            at_work: guests.len(),
        };
        // If one guest cannot start, these are dropped before the others, so that no other one
        // waits forever for its signal.
        let mut signs = Vec::new();
        for (number, guest) in guests.iter().enumerate() {
            let seat = Seat {
                guest: guest.clone(),
                cpus: cpus.to_vec(),
                bell: Arc::new(Bell::new(task(orders, number))?),
                tally: Arc::default(),
                through: Through(tell.clone()),
            };
            signs.push(senders.seat(seat)?);
        }
        senders.hogs.set(orders.hogs)?;
        for sign in signs {
            let _ = sign.send(());
        }
        Ok(senders)
    }

    /// Starts one guest's thread, which then waits for the returned signal.
    fn seat(&mut self, seat: Seat) -> Result<Sender<()>> {
        let number = self.threads.len();
        let (tally, bell) = (seat.tally.clone(), seat.bell.clone());
        let (sign, awaited) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("tt-guest{number}"))
            .spawn(move || seat.run(&ready, &awaited))
            .map_err(|e| Error::call("clone", format!("the thread of guest {number}"), e))?;
        let Ok(tid) = is_ready.recv() else {
            // It ended before it was ready.
            return Err(join(number, thread).err().unwrap_or_else(|| early(number)));
        };
        self.tids.push(tid);
        self.tallies.push(tally);
        self.bells.push(bell);
        self.threads.push(thread);
        Ok(sign)
    }

    fn end(&mut self) -> Result<()> {
        let quiet = self.hogs.set(0);
        let told: Vec<_> = self.bells.iter().map(|bell| bell.ring(Task::End)).collect();
        let ended: Vec<_> = self.threads.drain(..).enumerate().map(|(n, t)| join(n, t)).collect();
        ended.into_iter().chain(told).collect::<Result<()>>().and(quiet)
    }
}

/// The task of guest `number` under these orders.
fn task(orders: &Orders, number: usize) -> Task {
    if number < orders.senders { Task::Work(orders.offered) } else { Task::Rest }
}

impl Load for Senders {
    fn threads(&self) -> &[u32] {
        &self.tids
    }

    fn hogs(&self) -> &[u32] {
        self.hogs.threads()
    }

    fn obey(&mut self, orders: &Orders) -> Result<()> {
        self.hogs.set(orders.hogs)?;
        let mut numbered = self.bells.iter().enumerate();
        numbered.try_for_each(|(number, bell)| bell.ring(task(orders, number)))
    }

    fn sent_by_guest(&self) -> Result<Vec<Sent>> {
        Ok(self.tallies.iter().map(|tally| tally.sent()).collect())
    }

    fn received_by_guest(&self) -> Result<Vec<Received>> {
        Ok(self.tallies.iter().map(|tally| tally.received()).collect())
    }

    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while self.at_work > 0 {
            match self.through.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(()) => self.at_work -= 1,
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.check().map(|()| true)
    }

    fn check(&mut self) -> Result<()> {
        self.threads.iter().position(JoinHandle::is_finished).map_or(Ok(()), |n| Err(early(n)))
    }

    fn stop(mut self: Box<Self>) -> Result<Ended> {
        self.end()?;
        Ok(Ended { sent: self.sent()?, rtt: Vec::new() })
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// What a guest's thread owns.
struct Seat {
    guest: Arc<Mutex<Guest>>,
    cpus: Vec<u32>,
    bell: Arc<Bell>,
    tally: Arc<Tally>,
    through: Through,
}

impl Seat {
    fn run(self, ready: &Sender<u32>, sign: &Receiver<()>) -> Result<()> {
        let Self { guest, cpus, bell, tally, through } = self;
        affinity::pin(None, &cpus)?;
        let mut guest = guest.try_lock().map_err(|refused| taken(&refused))?;
        let _ = ready.send(gettid().as_raw_nonzero().get().unsigned_abs());
        if sign.recv().is_err() {
            return Ok(());
        }
        let mut through = Some(through);
        loop {
            let task = bell.answer()?;
            if let Task::Work(offered) = task {
                pace::run(&mut guest, offered, &bell, &tally)?;
            }
            if task != Task::End && bell.is_rung() {
                continue;
            }
            pace::drain(&mut guest, &tally)?;
            if task == Task::End {
                return Ok(());
            }
            if matches!(task, Task::Work(_)) {
                drop(through.take());
            }
            pace::rest(&mut guest, &bell, &tally)?;
        }
    }
}

/// Reports that a guest has finished, in whatever way.
struct Through(Sender<()>);

impl Drop for Through {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn taken<T>(refused: &TryLockError<T>) -> Error {
    Error::Inconsistent(match refused {
        TryLockError::WouldBlock => "a load is already running on this testbed".into(),
        TryLockError::Poisoned(_) => {
            "an earlier load panicked on this testbed; build a new one".into()
        }
    })
}

fn early(number: usize) -> Error {
    Error::Inconsistent(format!("guest {number} ended early"))
}

fn join(number: usize, thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|cause| {
        Err(Error::Inconsistent(format!("guest {number} panicked: {}", message(cause.as_ref()))))
    })
}

/// The message of a panic.
fn message(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
