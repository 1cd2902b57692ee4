//! A guest's iperf3 clients, one after the other, in a separate thread: ending one and starting the
//! next takes longer than the time available at a bin edge.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};

use super::Guest;
use crate::workload::{
    iperf,
    process_group::{self, Confinement, ProcessGroup},
};

/// How long a client may take to report after it was asked to end; an emulated machine full of hogs
/// is slow.
const REPORTS_WITHIN: Duration = Duration::from_secs(60);

/// How long it may take until a client is at a place where it can be asked to end and still report.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// How often a running client is checked.
const LOOK: Duration = Duration::from_millis(100);

/// How often a client is restarted if its server was not done with the preceding one.
const TRIES: u32 = 300;

/// What a client must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    /// In bits per second; `None` for as fast as it can.
    pub(super) rate: Option<u64>,
}

/// Where a guest's clients run.
pub(super) struct Home {
    pub(super) guest: Arc<Guest>,
    pub(super) number: u16,
    /// Name of their cgroup.
    pub(super) cgroup: String,
    pub(super) cpus: Vec<u32>,
}

/// Round-trip times in µs, and when each was taken.
type Rtt = Vec<(Nanos, f64)>;

/// The clients of a guest. Dropping it ends the running one.
pub(super) struct Clients {
    /// `None` after the last order.
    orders: Option<Sender<Option<Test>>>,
    thread: Option<JoinHandle<Result<Rtt>>>,
    ordered: Option<Test>,
    number: u16,
}

impl Clients {
    /// Prepares for clients; none is running yet.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn new(home: Home) -> Result<Self> {
        let number = home.number;
        let (orders, to_obey) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("tt-client{number}"))
            .spawn(move || live(&home, &to_obey))
            .map_err(|e| Error::call("clone", format!("the clients of guest {number}"), e))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), ordered: None, number })
    }

    /// From now on a client runs this test, or none runs. Does not wait.
    pub(super) fn order(&mut self, test: Option<Test>) {
        if self.ordered != test {
            // If the thread has ended, the next check says why.
            let _ = self.orders.as_ref().map(|orders| orders.send(test));
            self.ordered = test;
        }
    }

    /// Checks that the client is running.
    ///
    /// # Errors
    /// It has ended by itself, or could not be started; the error has what it reported.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        let why = self.join().err();
        Err(why.unwrap_or_else(|| Error::Inconsistent("a client ended early".into())))
    }

    /// Asks the client to end, without waiting.
    pub(super) fn end(&mut self) {
        self.orders = None;
    }

    /// Waits until it has ended; returns the results of all clients.
    ///
    /// # Errors
    /// One did not report, or reported a failure.
    pub(super) fn finish(mut self) -> Result<Rtt> {
        self.join()
    }

    fn join(&mut self) -> Result<Rtt> {
        self.end();
        // A failed one has been asked why.
        let Some(thread) = self.thread.take() else { return Ok(Vec::new()) };
        let panicked =
            Error::Inconsistent(format!("the clients of guest {} panicked", self.number));
        thread.join().unwrap_or(Err(panicked))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

/// Runs clients according to the orders, until there are no more orders. They are killed when this
/// thread ends, for whatever reason.
fn live(home: &Home, orders: &Receiver<Option<Test>>) -> Result<Rtt> {
    let confinement = Confinement {
        cgroup: &home.cgroup,
        netns: &home.guest.netns,
        cpus: &home.cpus,
        package: iperf::PROGRAM,
    };
    let mut process_group = ProcessGroup::new(confinement)?;
    let (mut running, mut told) = (None, Vec::new());
    loop {
        let order = match running {
            Some(_) => orders.recv_timeout(LOOK),
            None => orders.recv().map_err(RecvTimeoutError::from),
        };
        if let Some(mut client) = running.take() {
            if order == Err(RecvTimeoutError::Timeout) {
                Client::check(&mut client, &mut process_group)?;
                running = Some(client);
                continue;
            }
            told.extend(client.finish(&mut process_group)?);
        }
        match order {
            Ok(Some(test)) => running = Some(Client::start(home.number, test, &mut process_group)?),
            Ok(None) => {}
            Err(_) => return process_group.close().map(|()| told),
        }
    }
}

/// A running client.
struct Client {
    guest: u16,
    test: Test,
    tries: u32,
}

impl Client {
    fn start(guest: u16, test: Test, process_group: &mut ProcessGroup) -> Result<Self> {
        let mut client = Self { guest, test, tries: 0 };
        client.launch(process_group)?;
        Ok(client)
    }

    fn launch(&mut self, process_group: &mut ProcessGroup) -> Result<()> {
        self.tries += 1;
        let mut command = process_group::command(iperf::PROGRAM, iperf::PROGRAM)?;
        command.args(&iperf::client(self.guest, self.test.rate)[1..]);
        process_group.start(command).map(drop)
    }

    /// Checks that it is running. If its server rejected it, because it was not done with the last
    /// test, it is started again.
    ///
    /// # Errors
    /// It has ended; the error has what it reported.
    fn check(&mut self, process_group: &mut ProcessGroup) -> Result<()> {
        let Some(said) = process_group.ended()? else { return Ok(()) };
        if iperf::turned_away(&said) && self.tries < TRIES {
            return self.launch(process_group);
        }
        Err(self.failed(&said))
    }

    /// Ends the test; returns its results. If its server had rejected it, there are none.
    ///
    /// # Errors
    /// It does not report, reports a failure, or had ended by itself.
    fn finish(self, process_group: &mut ProcessGroup) -> Result<Rtt> {
        if let Some(said) = process_group.ended()? {
            return if iperf::turned_away(&said) {
                Ok(Rtt::new())
            } else {
                Err(self.failed(&said))
            };
        }
        let tell = |client| iperf::interrupt(client, TOLD_WITHIN);
        match process_group.finish(tell, REPORTS_WITHIN)? {
            Some((said, told)) if !iperf::turned_away(&said) => iperf::rtt(&said, told),
            _ => Ok(Rtt::new()),
        }
    }

    fn failed(&self, said: &str) -> Error {
        let why = match iperf::parse(said) {
            Err(error) => error.to_string(),
            Ok(_) => "it ended its test by itself".into(),
        };
        Error::Inconsistent(format!("the iperf3 client of guest {} has ended: {why}", self.guest))
    }
}
