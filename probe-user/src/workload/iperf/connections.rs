//! The connections of guests' clients at their servers.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};

use super::port;
use crate::kernel::{clock, netns::Netns, sock_diag::TcpSockets};

/// Connections of one test: the one that controls it, and the one that carries data.
pub const PER_TEST: usize = 2;

/// How long connections may take to open or close.
const WITHIN: Nanos = Nanos(60_000_000_000);

/// How often they are checked.
const LOOK: Duration = Duration::from_millis(5);

/// The servers of the sink, as seen from there.
#[derive(Debug)]
pub struct Connections(Mutex<TcpSockets>);

impl Connections {
    /// Those of this namespace.
    ///
    /// # Errors
    /// The kernel has no sock_diag for TCP.
    pub fn of(sink_netns: &Netns) -> Result<Self> {
        TcpSockets::of(sink_netns).map(Mutex::new).map(Self)
    }

    /// Waits until the server of `guest` has the right number of connections; `alive` is called
    /// meanwhile.
    ///
    /// # Errors
    /// It does not within a minute; or an error of `alive`.
    pub fn wait(
        &self,
        guest: u16,
        enough: impl Fn(usize) -> bool,
        mut alive: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let start = clock::now();
        loop {
            let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).now()?;
            let count = now.iter().filter(|s| s.connected && s.port == port(guest)).count();
            if enough(count) {
                return Ok(());
            }
            alive()?;
            if clock::now().since(start) > WITHIN {
                let why = format!("{count} connections at the server of guest {guest}");
                return Err(Error::Inconsistent(format!("iperf3: {why} after a minute")));
            }
            thread::sleep(LOOK);
        }
    }
}
