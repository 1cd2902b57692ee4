//! The sink for guests that use IP: its address, a server for each guest, and what those received.
//!
//! Only then does the sink have an address: without one, none of its own frames can be among the
//! frames.

use std::sync::{Mutex, PoisonError};

use probe_core::error::Result;

use super::{machines::Machines, receivers::Receivers};
use crate::workload::addresses::{PREFIX, SINK_IP, guest_ip, guest_mac};
use crate::{
    kernel::{netlink::Netlink, run::Run},
    workload::iperf::Servers,
};

/// The servers for the guests.
#[derive(Debug)]
pub(super) struct Far {
    servers: Servers,
    receivers: Mutex<Receivers>,
}

impl Far {
    /// Configures the sink's address and the guests' addresses, so that nobody ever sends ARP
    /// requests, and starts the servers on these CPUs.
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

    /// Bytes received from each guest so far.
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
