//! Guests with TCP but without VMs: each is a network namespace with its own TAP, whose frames one
//! of our threads forwards over the rings of a vhost device in both directions. A real iperf3 in
//! the namespace sends.
//!
//! Of the virtio-net features, vhost itself only handles the header and mergeable buffers
//! (`VHOST_NET_FEATURES` in drivers/vhost/net.c). Checksums and segmentation are negotiated between
//! driver and TAP (`TUNSETOFFLOAD`), here between the namespace's TAP and that of the device under
//! test, so that a header means the same on both sides.

mod client;
mod forwarder;
mod guest;
mod load;

use std::sync::{Arc, Mutex, PoisonError};

use forwarder::TapForwarder;
use load::Ferry;
use probe_core::{
    error::{Error, Result},
    model::scenario::Guests,
};

use super::{
    Hogs, Orders,
    fleet::{Fleet, Load, Worker},
    iperf::Connections,
    network::Network,
    placement::Placement,
};
use crate::{
    kernel::{affinity, netns::Netns, run::Run},
    sys::tun::Tap,
};

/// The bridge guests of a testbed.
pub(super) struct Bridge {
    guests: Vec<Arc<Guest>>,
    workers: Vec<Worker>,
    taps: Vec<String>,
    connections: Arc<Connections>,
    /// Prefix of the names of clients' cgroups.
    name: String,
    cpus: Vec<u32>,
    /// Frame size for converting a rate in frames.
    frame: usize,
}

/// One guest.
struct Guest {
    forwarder: Mutex<TapForwarder>,
    netns: Netns,
}

impl Bridge {
    /// One guest behind each of `taps`, on a network that already serves iperf3.
    ///
    /// # Errors
    /// A value out of range; something that this kernel lacks.
    pub(super) fn build(
        run: &Run,
        taps: Vec<Tap>,
        spec: &Guests,
        network: &Network,
        placement: &Placement,
    ) -> Result<Self> {
        let mut guests = Vec::new();
        let (mut workers, mut names) = (Vec::new(), Vec::new());
        for (number, tap) in (0..).zip(taps) {
            names.push(tap.name().to_owned());
            let (netns, own) = guest::build(run, number, spec)?;
            let forwarder = TapForwarder::new(tap, own, spec)?;
            affinity::pin(Some(forwarder.worker()), &placement.load)?;
            workers.push(Worker { guest: number.into(), tid: forwarder.worker() });
            guests.push(Arc::new(Guest { forwarder: Mutex::new(forwarder), netns }));
        }
        Ok(Self {
            guests,
            workers,
            taps: names,
            connections: Arc::new(Connections::of(network.sink_netns())?),
            name: run.object("client"),
            cpus: placement.load.clone(),
            frame: spec.frame,
        })
    }
}

impl Fleet for Bridge {
    fn workers(&self) -> &[Worker] {
        &self.workers
    }

    fn taps(&self) -> &[String] {
        &self.taps
    }

    fn start(&self, orders: &Orders, hogs: &Arc<Hogs>) -> Result<Box<dyn Load>> {
        Ok(Box::new(Ferry::start(self, orders, hogs)?))
    }

    fn close(self: Box<Self>) -> Result<()> {
        let busy = || Error::Inconsistent("a load is still running on the testbed".into());
        let close = |guest: Arc<Guest>| {
            let guest = Arc::into_inner(guest).ok_or_else(busy)?;
            // After a panic the counts are unreliable, but the device can be closed.
            guest.forwarder.into_inner().unwrap_or_else(PoisonError::into_inner).close()
        };
        let closed: Vec<_> = self.guests.into_iter().map(close).collect();
        closed.into_iter().collect()
    }
}
