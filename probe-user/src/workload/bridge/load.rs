//! The running load of bridge guests: a carrier's thread for each, and the clients of those that send.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::thread::gettid;

use super::{
    Bridge, Guest,
    carrier::{Stop, Tally},
    client::Client,
};
use crate::{
    error::{Error, Result},
    kernel::{affinity, clock, sock_diag::TcpSockets},
    model::{
        trial::{Received, Sent},
        units::Nanos,
    },
    workload::{
        Hogs, Orders,
        fleet::{Ended, Load},
        iperf,
    },
};

/// How long connections may take to come about, or to end.
const CONNECTED_WITHIN: Nanos = Nanos(60_000_000_000);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(5);

/// Connections of one test: the one that controls it, and the one that carries data.
const PER_TEST: usize = 2;

/// Guests at work. Dropping it stops them, silently.
pub(super) struct Ferry {
    guests: Vec<Arc<Guest>>,
    sockets: Arc<Mutex<TcpSockets>>,
    hogs: Arc<Hogs>,
    name: String,
    cpus: Vec<u32>,
    frame: usize,
    // Clients end before their carriers.
    clients: BTreeMap<u16, Client>,
    rtt: Vec<Vec<(Nanos, f64)>>,
    stop: Arc<Stop>,
    tids: Vec<u32>,
    tallies: Vec<Arc<Tally>>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Ferry {
    /// Starts the carriers and the clients; when it returns, those are connected.
    ///
    /// # Errors
    /// A load runs already, or an earlier one panicked; orders that TCP cannot obey; no iperf3; a client that does not
    /// reach its server.
    pub(super) fn start(fleet: &Bridge, orders: &Orders, hogs: &Arc<Hogs>) -> Result<Self> {
        iperf::rate(orders.offered, fleet.frame)?;
        let mut ferry = Self {
            guests: fleet.guests.clone(),
            sockets: fleet.sockets.clone(),
            hogs: hogs.clone(),
            name: fleet.name.clone(),
            cpus: fleet.cpus.clone(),
            frame: fleet.frame,
            clients: BTreeMap::new(),
            rtt: vec![Vec::new(); fleet.guests.len()],
            stop: Arc::new(Stop::new()?),
            tids: Vec::new(),
            tallies: Vec::new(),
            threads: Vec::new(),
        };
        for guest in &fleet.guests {
            ferry.seat(guest.clone())?;
        }
        ferry.obey(&Orders { hogs: 0, ..*orders })?;
        let senders: Vec<u16> = ferry.clients.keys().copied().collect();
        for guest in senders {
            ferry.await_connections(guest, |count| count >= PER_TEST)?;
        }
        ferry.hogs.set(orders.hogs)?;
        Ok(ferry)
    }

    /// Starts one guest's carrier.
    fn seat(&mut self, guest: Arc<Guest>) -> Result<()> {
        let number = self.threads.len();
        let tally = Arc::<Tally>::default();
        let (cpus, stop, own) = (self.cpus.clone(), self.stop.clone(), tally.clone());
        let (ready, is_ready) = mpsc::channel();
        let body = move || {
            affinity::pin(None, &cpus)?;
            let mut carrier = guest.carrier.try_lock().map_err(|_| {
                Error::Untrue("a load runs on this stage already, or panicked on it".into())
            })?;
            let _ = ready.send(gettid().as_raw_nonzero().get().unsigned_abs());
            carrier.carry(&stop, &own)
        };
        let thread = thread::Builder::new()
            .name(format!("tt-guest{number}"))
            .spawn(body)
            .map_err(|e| Error::call("clone", format!("the thread of guest {number}"), e))?;
        let Ok(tid) = is_ready.recv() else {
            return Err(join(number, thread).err().unwrap_or_else(|| early(number)));
        };
        self.tids.push(tid);
        self.tallies.push(tally);
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until the connections at the server of `guest` are as many as they should be.
    fn await_connections(&mut self, guest: u16, enough: impl Fn(usize) -> bool) -> Result<()> {
        let start = clock::now();
        loop {
            let now = self.sockets.lock().unwrap_or_else(PoisonError::into_inner).now()?;
            let port = iperf::port(guest);
            let count = now.iter().filter(|s| s.connected && s.port == port).count();
            if enough(count) {
                return Ok(());
            }
            self.check()?;
            if clock::now().since(start) > CONNECTED_WITHIN {
                let why = format!("{count} connections at the server of guest {guest}");
                return Err(Error::Untrue(format!("iperf3: {why} after a minute")));
            }
            thread::sleep(LOOK);
        }
    }

    /// Ends the clients that should not run as they do; what they told is kept.
    fn dismiss(&mut self, stays: impl Fn(u16, &Client) -> bool) -> Result<()> {
        let gone: Vec<u16> =
            self.clients.iter().filter(|(n, c)| !stays(**n, c)).map(|(n, _)| *n).collect();
        let mut outcome = Ok(());
        for number in gone {
            let Some(client) = self.clients.remove(&number) else { continue };
            match client.finish() {
                Ok(rtt) => self.rtt[usize::from(number)].extend(rtt),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// Ends clients, connections, carriers and hogs, in this order; the clients report unless they are `silenced`.
    fn end(&mut self, silenced: bool) -> Result<()> {
        let quiet = self.hogs.set(0);
        let tested: Vec<u16> = self.clients.keys().copied().collect();
        let mut told = match silenced {
            true => {
                self.clients.clear();
                Ok(())
            }
            false => self.dismiss(|_, _| false),
        };
        for guest in tested {
            // The ends of connections have to be carried, too, or the server waits for more for good.
            told = told.and_then(|()| self.await_connections(guest, |count| count == 0));
        }
        let stopped = self.stop.now();
        let ended: Vec<_> = self.threads.drain(..).enumerate().map(|(n, t)| join(n, t)).collect();
        for (number, tally) in self.tallies.iter().enumerate().filter(|(_, t)| t.dropped() > 0) {
            log::warn!("guest {number}: {} frames could not be carried", tally.dropped());
        }
        ended.into_iter().collect::<Result<()>>().and(told).and(stopped).and(quiet)
    }
}

impl Load for Ferry {
    fn threads(&self) -> &[u32] {
        &self.tids
    }

    fn hogs(&self) -> &[u32] {
        self.hogs.threads()
    }

    fn obey(&mut self, orders: &Orders) -> Result<()> {
        let rate = iperf::rate(orders.offered, self.frame)?;
        let senders = orders.senders.min(self.guests.len());
        self.dismiss(|number, client| usize::from(number) < senders && client.rate() == rate)?;
        self.hogs.set(orders.hogs)?;
        for (number, guest) in (0..).zip(&self.guests[..senders]) {
            if !self.clients.contains_key(&number) {
                let cgroup = format!("{}{number}", self.name);
                let client = Client::start(guest, number, rate, cgroup, &self.cpus)?;
                self.clients.insert(number, client);
            }
        }
        Ok(())
    }

    fn sent_by_guest(&self) -> Result<Vec<Sent>> {
        Ok(self.tallies.iter().map(|tally| tally.sent()).collect())
    }

    fn received_by_guest(&self) -> Result<Vec<Received>> {
        Ok(self.tallies.iter().map(|tally| tally.received()).collect())
    }

    fn wait(&mut self, limit: Duration) -> Result<bool> {
        thread::sleep(limit);
        self.check().map(|()| false)
    }

    fn check(&mut self) -> Result<()> {
        if let Some(number) = self.threads.iter().position(JoinHandle::is_finished) {
            return Err(early(number));
        }
        self.clients.values_mut().try_for_each(Client::check)
    }

    fn stop(mut self: Box<Self>) -> Result<Ended> {
        self.end(false)?;
        Ok(Ended { sent: self.sent()?, rtt: std::mem::take(&mut self.rtt) })
    }
}

impl Drop for Ferry {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            let _ = self.end(true);
        }
    }
}

fn early(number: usize) -> Error {
    Error::Untrue(format!("the carrier of guest {number} ended before its time"))
}

fn join(number: usize, thread: JoinHandle<Result<()>>) -> Result<()> {
    let panicked = |_| Err(Error::Untrue(format!("the carrier of guest {number} panicked")));
    thread.join().unwrap_or_else(panicked)
}
