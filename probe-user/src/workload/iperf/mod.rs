//! iperf3: its servers on the sink, the command line of a client, and a client's report.
//!
//! Each guest has its own server, since an iperf3 server handles one test at a time.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod connections;
mod ending;
mod report;

use std::{net::Ipv4Addr, thread, time::Duration};

pub use connections::{Connections, PER_TEST};
pub use ending::interrupt;
use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
pub use report::{Interval, Report, parse, rtt, turned_away};

use crate::{
    kernel::{clock, netns::Netns, run::Run, sock_diag::TcpSockets},
    workload::{
        Offered,
        addresses::{MAX_GUESTS, SINK_IP},
        process_group::{self, Confinement, ProcessGroup},
    },
};

/// The Debian package, and the program in it.
pub const PROGRAM: &str = "iperf3";

/// Port of the first guest's server.
const FIRST_PORT: u16 = 5201;

/// How long a server may take until it listens.
const LISTENS_WITHIN: Nanos = Nanos(30_000_000_000);

/// The port of the server of guest number `guest`.
pub fn port(guest: u16) -> u16 {
    FIRST_PORT.saturating_add(guest)
}

/// The guest whose server has this port.
pub fn guest_of(port: u16) -> Option<usize> {
    let guest = usize::from(port.checked_sub(FIRST_PORT)?);
    (guest < MAX_GUESTS).then_some(guest)
}

/// The command line of guest number `guest`'s client: one TCP connection to the guest's server, a
/// report each half second, until a signal. `rate` is in bits per second; `None` for as fast as it
/// can.
pub fn client(guest: u16, rate: Option<u64>) -> Vec<String> {
    let mut words = client_to(SINK_IP, port(guest), None);
    if let Some(rate) = rate {
        words.extend(["-b".into(), rate.to_string()]);
    }
    words
}

/// The rate of a client in bits per second, with a rate in frames converted for frames of `frame`
/// bytes; `None` for as fast as it can.
///
/// # Errors
/// A closed loop: TCP itself decides when to send.
pub fn rate(offered: Offered, frame: usize) -> Result<Option<u64>> {
    match offered {
        Offered::Saturated { .. } => Ok(None),
        // At most what a scenario's rate can be.
        Offered::Paced { rate, .. } => Ok(Some((rate.per_second() * frame as f64 * 8.0) as u64)),
        Offered::ClosedLoop { .. } => Err(Error::unsupported(
            "a closed-loop load",
            "these guests use TCP, which decides when to send",
            "Use guests of kind blast",
        )),
    }
}

/// The same for any server, with a limit of `limit` bytes if there is one.
pub fn client_to(server: Ipv4Addr, port: u16, limit: Option<u64>) -> Vec<String> {
    let (server, port) = (server.to_string(), port.to_string());
    // `-t 0` never ends by itself.
    let (flag, limit) = limit.map_or(("-t", 0), |bytes| ("-n", bytes));
    let limit = limit.to_string();
    let words = [PROGRAM, "-c", &server, "-p", &port, flag, &limit, "-i", "0.5", "-J"];
    words.map(str::to_owned).to_vec()
}

/// The servers. Dropping them kills them.
#[derive(Debug)]
pub struct Servers(ProcessGroup);

impl Servers {
    /// Starts one per guest on `sink_netns`'s address and these CPUs, and waits until they listen.
    /// They are killed when the calling thread ends.
    ///
    /// # Errors
    /// iperf3 is not installed, or a server does not start: the error has its output.
    pub fn start(run: &Run, sink_netns: &Netns, guests: usize, cpus: &[u32]) -> Result<Self> {
        let name = run.object(PROGRAM);
        let confinement = Confinement { cgroup: &name, netns: sink_netns, cpus, package: PROGRAM };
        let mut servers = Self(ProcessGroup::new(confinement)?);
        let ports: Vec<u16> = (0..).map(port).take(guests).collect();
        for port in &ports {
            let (bind, port) = (SINK_IP.to_string(), port.to_string());
            let mut command = process_group::command(PROGRAM, PROGRAM)?;
            command.args(["-s", "-B", &bind, "-p", &port, "-i", "0"]);
            servers.0.start(command)?;
        }
        servers.await_listening(&mut TcpSockets::of(sink_netns)?, &ports)?;
        Ok(servers)
    }

    fn await_listening(&mut self, sockets: &mut TcpSockets, ports: &[u16]) -> Result<()> {
        let start = clock::now();
        for &port in ports {
            while !sockets.listens(port)? {
                self.check()?;
                if clock::now().since(start) > LISTENS_WITHIN {
                    return Err(Error::Inconsistent(format!(
                        "iperf3 does not listen on port {port}"
                    )));
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    /// Checks that all of them are running.
    ///
    /// # Errors
    /// One has ended; the error has its output.
    pub fn check(&mut self) -> Result<()> {
        self.0.check()
    }

    /// Ends them, and waits until they have ended.
    ///
    /// # Errors
    /// One does not end.
    pub fn close(self) -> Result<()> {
        self.0.close()
    }
}
