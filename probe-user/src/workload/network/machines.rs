//! The two machines and the cable between them.

use std::io::ErrorKind::NotFound;

use probe_core::error::{Error, Result};

use super::sink_mac;
use crate::{
    kernel::{
        netdev::{NetDevices, cpu_mask},
        netlink::{Link, Netlink, Peer},
        netns::Netns,
        run::Run,
    },
    workload::Placement,
};

/// Two namespaces that are joined by a veth pair.
#[derive(Debug)]
pub(super) struct Machines {
    pub(super) machine1: Netns,
    pub(super) machine2: Netns,
    /// Configures machine 1.
    pub(super) links: Netlink,
    /// Machine 1's interfaces, and machine 2's.
    pub(super) near: NetDevices,
    pub(super) far: NetDevices,
    /// The cable's ends in machine 1 and in machine 2.
    pub(super) uplink: String,
    pub(super) sink: String,
}

impl Machines {
    /// Makes them. What comes in at an end of the cable is processed on the CPUs of the machine
    /// there; where both share a CPU there is nothing to steer: a frame is processed where it was
    /// sent.
    pub(super) fn cabled(run: &Run, mtu: u32, placement: &Placement) -> Result<Self> {
        let (machine1, machine2) = (Netns::new()?, Netns::new()?);
        let (uplink, sink) = (run.interface("up"), run.interface("sink"));
        let mut links = machine1.run(Netlink::open)??;
        links.add_veth(&uplink, mtu, &Peer { name: &sink, mac: sink_mac(), netns: &machine2 })?;
        machine2.run(Netlink::open)??.up(&sink)?;
        let (near, far) = (NetDevices::of(&machine1)?, NetDevices::of(&machine2)?);
        if placement.is_disjoint() {
            steer(&far, &sink, &placement.sink)?;
            steer(&near, &uplink, &placement.load)?;
        }
        Ok(Self { machine1, machine2, links, near, far, uplink, sink })
    }

    /// The cable's end in machine 2.
    pub(super) fn sink(&self) -> Result<Link<'_>> {
        Ok(Link { name: &self.sink, index: self.far.number(&self.sink, "ifindex")? })
    }
}

#[doc(alias = "RPS")]
fn steer(devices: &NetDevices, name: &str, cpus: &[u32]) -> Result<()> {
    devices.write(name, "queues/rx-0/rps_cpus", &cpu_mask(cpus)).map_err(|e| {
        let missing = matches!(&e, Error::File { source, .. } if source.kind() == NotFound);
        match missing {
            true => {
                e.with_remedy("Run a kernel with CONFIG_RPS, or load and sink on the same CPUs")
            }
            false => e.with_remedy(format!("Of the CPUs {cpus:?}, name those that are online")),
        }
    })
}
