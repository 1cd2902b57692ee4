//! A guest's iperf3 client, from its start to what it reports.

use std::time::Duration;

use rustix::process::Signal;

use super::Guest;
use crate::{
    error::{Error, Result},
    kernel::clock,
    model::units::Nanos,
    workload::{
        crew::{self, Crew, Quarters},
        iperf,
    },
};

/// How long a client may take to report once it is told to end; an emulated machine full of hogs is slow.
const REPORTS_WITHIN: Duration = Duration::from_secs(60);

/// How often a client is started anew whose server had not done with the one before.
const TRIES: u32 = 50;

/// A client that runs.
pub(super) struct Client {
    crew: Crew,
    cgroup: String,
    guest: u16,
    rate: Option<u64>,
    tries: u32,
}

impl Client {
    /// Starts guest number `number`'s client in a cgroup of this name; it is killed when the calling thread ends. `rate`
    /// is in bits per second.
    ///
    /// # Errors
    /// There is no iperf3, or no cgroup v2.
    pub(super) fn start(
        guest: &Guest,
        number: u16,
        rate: Option<u64>,
        cgroup: String,
        cpus: &[u32],
    ) -> Result<Self> {
        let netns = &guest.netns;
        let quarters = Quarters { cgroup: &cgroup, netns, cpus, package: iperf::PROGRAM };
        let mut client = Self { crew: Crew::new(quarters)?, cgroup, guest: number, rate, tries: 0 };
        client.launch()?;
        Ok(client)
    }

    fn launch(&mut self) -> Result<()> {
        self.tries += 1;
        let mut command = crew::command(iperf::PROGRAM, iperf::PROGRAM)?;
        command.args(&iperf::client(self.guest, self.rate)[1..]);
        self.crew.start(command).map(drop)
    }

    /// What it holds to, in bits per second.
    pub(super) fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// Makes sure that it runs. One that its server turned away, since it was still at the end of the last test, is started
    /// again.
    ///
    /// # Errors
    /// It has ended; the text says what it reported.
    pub(super) fn check(&mut self) -> Result<()> {
        let Some(said) = self.crew.ended()? else { return Ok(()) };
        let why = match iperf::parse(&said) {
            Err(error) => error.to_string(),
            Ok(_) => "it ended its test by itself".into(),
        };
        let turned_away = why.contains("busy running a test") || why.contains("Connection refused");
        if turned_away && self.tries < TRIES {
            return self.launch();
        }
        Err(Error::Untrue(format!("the iperf3 client of guest {} has ended: {why}", self.guest)))
    }

    /// Ends the test; the round-trip times in µs, and when each was taken.
    ///
    /// # Errors
    /// It does not report, or it reports a failure.
    pub(super) fn finish(mut self) -> Result<Vec<(Nanos, f64)>> {
        self.check()?;
        let told = clock::now();
        let said = self.crew.finish(Signal::INT, REPORTS_WITHIN)?;
        let Self { crew, cgroup, .. } = self;
        crew.close()?;
        if said.trim().is_empty() {
            // A signal that came before iperf3 was ready for it.
            log::warn!("{cgroup}: iperf3 ended without a report");
            return Ok(Vec::new());
        }
        iperf::parse(&said).map(|report| report.rtt(told))
    }
}
