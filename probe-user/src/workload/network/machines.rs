//! The two machines and the cable between them.

use std::io::ErrorKind::NotFound;

use probe_core::error::{Error, Result};

use crate::workload::addresses::sink_mac;
use crate::{
    kernel::{
        netdev::{NetDevices, cpu_mask},
        netlink::{Interface, Netlink, Peer},
        netns::Netns,
        run::Run,
    },
    workload::Placement,
};

/// Two namespaces connected by a veth pair.
#[derive(Debug)]
pub(super) struct Machines {
    pub(super) dut: Netns,
    pub(super) sink_netns: Netns,
    /// Configures the device under test.
    pub(super) links: Netlink,
    /// The device under test's interfaces, and the sink's.
    pub(super) near: NetDevices,
    pub(super) far: NetDevices,
    /// The cable's ends in the device under test and in the sink.
    pub(super) uplink: String,
    pub(super) sink: String,
}

impl Machines {
    /// Creates them. Frames that arrive at an end of the cable are processed on the CPUs of that
    /// machine. If both machines share a CPU, nothing is steered: a frame is processed where it was
    /// sent.
    pub(super) fn cabled(run: &Run, mtu: u32, placement: &Placement) -> Result<Self> {
        let (dut, sink_netns) = (Netns::new()?, Netns::new()?);
        let (uplink, sink) = (run.interface("up"), run.interface("sink"));
        let mut links = dut.run(Netlink::open)??;
        links.add_veth(&uplink, mtu, &Peer { name: &sink, mac: sink_mac(), netns: &sink_netns })?;
        sink_netns.run(Netlink::open)??.up(&sink)?;
        let (near, far) = (NetDevices::of(&dut)?, NetDevices::of(&sink_netns)?);
        if placement.is_disjoint() {
            steer(&far, &sink, &placement.sink)?;
            steer(&near, &uplink, &placement.load)?;
        }
        Ok(Self { dut, sink_netns, links, near, far, uplink, sink })
    }

    /// The cable's end in the sink.
    pub(super) fn sink(&self) -> Result<Interface<'_>> {
        Ok(Interface { name: &self.sink, index: self.far.number(&self.sink, "ifindex")? })
    }
}

#[doc(alias = "RPS")]
fn steer(devices: &NetDevices, name: &str, cpus: &[u32]) -> Result<()> {
    devices.write(name, "queues/rx-0/rps_cpus", &cpu_mask(cpus)).map_err(|e| {
        let missing = matches!(&e, Error::File { source, .. } if source.kind() == NotFound);
        match missing {
            true => e.with_hint("Run a kernel with CONFIG_RPS, or load and sink on the same CPUs"),
            false => e.with_hint(format!("Of the CPUs {cpus:?}, name those that are online")),
        }
    })
}
