//! The running load of bridge guests: a TAP forwarder's thread for each, and the clients of those
//! that send.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::{
        trial::{Received, Sent},
        units::Nanos,
    },
};
use rustix::thread::gettid;

use super::{
    Bridge, Guest,
    client::{Clients, Home, Test},
    forwarder::{Stop, Tally},
};
use crate::{
    kernel::affinity,
    workload::{
        Hogs, Orders,
        fleet::{Ended, Load},
        iperf::{self, Connections, PER_TEST},
    },
};

/// Running guests. Dropping it stops them silently.
pub(super) struct Ferry {
    guests: Vec<Arc<Guest>>,
    connections: Arc<Connections>,
    hogs: Arc<Hogs>,
    name: String,
    cpus: Vec<u32>,
    frame: usize,
    // Clients end before their TAP forwarders.
    clients: BTreeMap<u16, Clients>,
    rtt: Vec<Vec<(Nanos, f64)>>,
    stop: Arc<Stop>,
    tids: Vec<u32>,
    tallies: Vec<Arc<Tally>>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Ferry {
    /// Starts the TAP forwarders and the clients; when it returns, the clients are connected.
    ///
    /// A load is already running, or an earlier one panicked; orders that TCP cannot follow; no
    /// iperf3; a client that does not reach its server.
    pub(super) fn start(fleet: &Bridge, orders: &Orders, hogs: &Arc<Hogs>) -> Result<Self> {
        iperf::rate(orders.offered, fleet.frame)?;
        let mut ferry = Self {
            guests: fleet.guests.clone(),
            connections: fleet.connections.clone(),
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
            let connections = ferry.connections.clone();
            connections.wait(guest, |count| count >= PER_TEST, || ferry.check())?;
        }
        ferry.hogs.set(orders.hogs)?;
        Ok(ferry)
    }

    /// Starts one guest's TAP forwarder.
    fn seat(&mut self, guest: Arc<Guest>) -> Result<()> {
        let number = self.threads.len();
        let tally = Arc::<Tally>::default();
        let (cpus, stop, own) = (self.cpus.clone(), self.stop.clone(), tally.clone());
        let (ready, is_ready) = mpsc::channel();
        let body = move || {
            affinity::pin(None, &cpus)?;
            let mut forwarder = guest.forwarder.try_lock().map_err(|_| {
                Error::Inconsistent(
                    "a load is already running on this testbed, or panicked on \
                                     it"
                    .into(),
                )
            })?;
            let _ = ready.send(gettid().as_raw_nonzero().get().unsigned_abs());
            forwarder.carry(&stop, &own)
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

    /// Ends clients, connections, TAP forwarders and hogs, in this order.
    fn end(&mut self) -> Result<()> {
        let quiet = self.hogs.set(0);
        let told = self.end_clients();
        let stopped = self.stop.now();
        let ended: Vec<_> = self.threads.drain(..).enumerate().map(|(n, t)| join(n, t)).collect();
        for (number, tally) in self.tallies.iter().enumerate().filter(|(_, t)| t.dropped() > 0) {
            log::warn!("guest {number}: {} frames could not be forwarded", tally.dropped());
        }
        ended.into_iter().collect::<Result<()>>().and(told).and(stopped).and(quiet)
    }

    /// Ends all of them at once, and collects their results.
    fn end_clients(&mut self) -> Result<()> {
        let mut clients = std::mem::take(&mut self.clients);
        clients.values_mut().for_each(Clients::end);
        let tested: Vec<u16> = clients.keys().copied().collect();
        let mut outcome = Ok(());
        for (number, clients) in clients {
            match clients.finish() {
                Ok(rtt) => self.rtt[usize::from(number)].extend(rtt),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome?;
        let connections = self.connections.clone();
        // The ends of connections must be forwarded too, or the server waits forever for more.
        tested
            .into_iter()
            .try_for_each(|n| connections.wait(n, |count| count == 0, || self.check()))
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
        self.hogs.set(orders.hogs)?;
        for (number, guest) in (0..).zip(&self.guests) {
            let test = (usize::from(number) < orders.senders).then_some(Test { rate });
            match self.clients.entry(number) {
                Entry::Occupied(mut known) => known.get_mut().order(test),
                Entry::Vacant(_) if test.is_none() => {}
                Entry::Vacant(new) => {
                    let cgroup = format!("{}{number}", self.name);
                    let (guest, cpus) = (guest.clone(), self.cpus.clone());
                    new.insert(Clients::new(Home { guest, number, cgroup, cpus })?).order(test);
                }
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
        self.clients.values_mut().try_for_each(Clients::check)
    }

    fn stop(mut self: Box<Self>) -> Result<Ended> {
        self.end()?;
        Ok(Ended { sent: self.sent()?, rtt: std::mem::take(&mut self.rtt) })
    }
}

impl Drop for Ferry {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            let _ = self.end();
        }
    }
}

fn early(number: usize) -> Error {
    Error::Inconsistent(format!("the TAP forwarder of guest {number} ended early"))
}

fn join(number: usize, thread: JoinHandle<Result<()>>) -> Result<()> {
    let panicked =
        |_| Err(Error::Inconsistent(format!("the TAP forwarder of guest {number} panicked")));
    thread.join().unwrap_or_else(panicked)
}
