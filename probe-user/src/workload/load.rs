//! A running load: one thread per guest.

use std::{
    any::Any,
    sync::{
        Arc, Mutex, TryLockError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::thread::gettid;

use crate::{
    error::{Error, Result},
    kernel::affinity,
    model::{
        trial::{Received, Sent},
        units::Bytes,
    },
    workload::{
        blast::{self, Offered},
        guest::{Guest, Stop, Tally},
    },
};

/// Guests at work. Dropping it stops them, silently.
pub struct Load {
    stop: Arc<Stop>,
    tids: Vec<u32>,
    tallies: Vec<Arc<Tally>>,
    threads: Vec<JoinHandle<Result<()>>>,
    /// Says once per guest that it is through with its pace, or has failed.
    through: Receiver<()>,
    at_work: usize,
}

impl Load {
    /// Starts all `guests` on `cpus`. When it returns, their threads exist, are where they belong and begin.
    ///
    /// # Errors
    /// A load runs on these guests already, or one panicked on them; a CPU is not online.
    pub(super) fn start(
        guests: &[Arc<Mutex<Guest>>],
        offered: Offered,
        cpus: &[u32],
    ) -> Result<Self> {
        let (tell, through) = mpsc::channel();
        let mut load = Self {
            stop: Arc::new(Stop::new()?),
            tids: Vec::new(),
            tallies: Vec::new(),
            threads: Vec::new(),
            through,
            at_work: guests.len(),
        };
        // If one guest cannot start, these are dropped before the load, so that no other waits for its sign for good.
        let mut signs = Vec::new();
        for guest in guests {
            let seat = Seat {
                guest: guest.clone(),
                offered,
                cpus: cpus.to_vec(),
                stop: load.stop.clone(),
                tally: Arc::default(),
                through: Through(tell.clone()),
            };
            signs.push(load.seat(seat)?);
        }
        for sign in signs {
            let _ = sign.send(());
        }
        Ok(load)
    }

    /// Starts one guest's thread, which then waits for the returned sign.
    fn seat(&mut self, seat: Seat) -> Result<Sender<()>> {
        let number = self.threads.len();
        let tally = seat.tally.clone();
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
        self.threads.push(thread);
        Ok(sign)
    }

    /// What all guests have sent so far.
    pub fn sent(&self) -> Sent {
        self.sent_by_guest().into_iter().fold(Sent::default(), |sum, sent| Sent {
            kicks: sum.kicks + sent.kicks,
            frames: sum.frames + sent.frames,
            bytes: Bytes(sum.bytes.0 + sent.bytes.0),
        })
    }

    /// What each guest has sent so far.
    pub fn sent_by_guest(&self) -> Vec<Sent> {
        self.tallies.iter().map(|tally| tally.sent()).collect()
    }

    /// What each guest has received so far.
    pub fn received_by_guest(&self) -> Vec<Received> {
        self.tallies.iter().map(|tally| tally.received()).collect()
    }

    /// Thread ids of the guests, in their order. The threads live until [`Load::stop`], also when they are through.
    pub fn threads(&self) -> &[u32] {
        &self.tids
    }

    /// Waits until every guest is through with its pace; false if `limit` passes first. Only lockstep ends by itself.
    ///
    /// # Errors
    /// A guest failed; [`Load::stop`] says why.
    pub fn wait(&mut self, limit: Duration) -> Result<bool> {
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

    /// Whether all guests still live.
    ///
    /// # Errors
    /// A guest failed; [`Load::stop`] says why.
    pub fn check(&self) -> Result<()> {
        self.threads.iter().position(JoinHandle::is_finished).map_or(Ok(()), |n| Err(early(n)))
    }

    /// Stops the guests, waits until vhost has sent what was in flight, and gives what they sent in all.
    ///
    /// # Errors
    /// That of the first guest that failed.
    pub fn stop(mut self) -> Result<Sent> {
        self.end()?;
        Ok(self.sent())
    }

    fn end(&mut self) -> Result<()> {
        let told = self.stop.now();
        let ended: Vec<_> = self.threads.drain(..).enumerate().map(|(n, t)| join(n, t)).collect();
        ended.into_iter().collect::<Result<()>>().and(told)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// What a guest's thread owns.
struct Seat {
    guest: Arc<Mutex<Guest>>,
    offered: Offered,
    cpus: Vec<u32>,
    stop: Arc<Stop>,
    tally: Arc<Tally>,
    through: Through,
}

impl Seat {
    fn run(self, ready: &Sender<u32>, sign: &Receiver<()>) -> Result<()> {
        let Self { guest, offered, cpus, stop, tally, through } = self;
        affinity::pin(None, &cpus)?;
        let mut guest = guest.try_lock().map_err(|refused| taken(&refused))?;
        let _ = ready.send(gettid().as_raw_nonzero().get().unsigned_abs());
        if sign.recv().is_err() {
            return Ok(());
        }
        blast::run(&mut guest, offered, &stop, &tally)?;
        blast::drain(&mut guest, &tally)?;
        drop(through);
        blast::rest(&mut guest, &stop, &tally)
    }
}

/// Tells that a guest is through, however it came to that.
struct Through(Sender<()>);

impl Drop for Through {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn taken<T>(refused: &TryLockError<T>) -> Error {
    Error::Untrue(match refused {
        TryLockError::WouldBlock => "a load runs on this stage already".into(),
        TryLockError::Poisoned(_) => {
            "an earlier load panicked on this stage; build a new one".into()
        }
    })
}

fn early(number: usize) -> Error {
    Error::Untrue(format!("guest {number} ended before its time"))
}

fn join(number: usize, thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|cause| {
        Err(Error::Untrue(format!("guest {number} panicked: {}", message(cause.as_ref()))))
    })
}

/// What a panic said.
fn message(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
