//! The sink where guests speak IP: its address, a server for each guest, and what those received.
//!
//! Only there has the sink an address: without one, nothing of its own is ever among the frames.

use std::sync::{Mutex, PoisonError};

use probe_core::error::Result;

use super::{PREFIX, SINK_IP, guest_ip, guest_mac, machines::Machines, receivers::Receivers};
use crate::{
    kernel::{netlink::Netlink, run::Run},
    workload::iperf::Servers,
};

/// What serves the guests.
#[derive(Debug)]
pub(super) struct Far {
    servers: Servers,
    receivers: Mutex<Receivers>,
}

impl Far {
    /// Gives the sink its address, tells it the guests', so that nobody ever asks for one, and
    /// starts the servers on these CPUs.
    pub(super) fn start(run: &Run, machines: &Machines, guests: u16, cpus: &[u32]) -> Result<Self> {
        let mut links = machines.sink_netns.run(Netlink::open)??;
        let sink = machines.sink()?;
        links.up("lo")?;
        links.add_address(sink, SINK_IP, PREFIX)?;
        for guest in 0..guests {
            links.add_neighbour(sink, guest_ip(guest), guest_mac(guest))?;
        }
        let servers = Servers::start(run, &machines.sink_netns, guests.into(), cpus)?;
        let receivers = Mutex::new(Receivers::open(&machines.sink_netns, guests.into())?);
        Ok(Self { servers, receivers })
    }

    /// Bytes received of each guest so far.
    pub(super) fn bytes(&self) -> Result<Vec<u64>> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner).read()
    }

    /// # Errors
    /// A server has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        self.servers.check()
    }

    /// # Errors
    /// A server does not end.
    pub(super) fn close(self) -> Result<()> {
        self.servers.close()
    }
}
