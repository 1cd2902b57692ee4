//! Connects the TAPs to the cable.
//!
//! - A Linux bridge, which only forwards.
//! - Open vSwitch, see [`ovs`](super::ovs).
//! - No switch: traffic control passes each frame from the only TAP to the cable's egress, and back
//!   (`act_mirred`). It passes the cable's queue and limit like any other frame, but no forwarding
//!   table. The device under test remains a separate machine, which it would not if the TAP were in
//!   the sink.
//!
//! In each case it knows every address from the start, so no frame is ever flooded.

use std::{thread, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{scenario::Switch, units::Nanos},
};

use super::{
    Port,
    ovs::{Datapath, Ovs},
};
use crate::kernel::{clock, netdev::NetDevices, netlink::Netlink, netns::Netns, run::Run};

/// How long a bridge port may take from up to forwarding.
const PORTS_FORWARD_IN: Nanos = Nanos(10_000_000_000);

/// `BR_STATE_FORWARDING` of linux/if_bridge.h.
const FORWARDING: u8 = 3;

/// The device under test, as it is connected.
pub(super) struct Site<'a> {
    pub(super) run: &'a Run,
    pub(super) dut: &'a Netns,
    pub(super) devices: &'a NetDevices,
    pub(super) cpus: &'a [u32],
    pub(super) mtu: u32,
    /// The TAPs, then the uplink.
    pub(super) ports: &'a [Port<'a>],
}

/// The switch that was built.
#[derive(Debug)]
pub(super) enum Fabric {
    /// A bridge of this name.
    Bridge(String),
    /// Open vSwitch.
    Ovs(Ovs),
    /// None.
    Direct,
}

impl Fabric {
    /// Connects the ports of `site` and brings them up; returns where Open vSwitch counts its
    /// losses.
    pub(super) fn build(
        switch: Switch,
        links: &mut Netlink,
        site: &Site<'_>,
    ) -> Result<(Self, Option<Datapath>)> {
        match switch {
            Switch::Bridge => Ok((bridge(links, site)?, None)),
            Switch::Ovs => ovs(links, site),
            Switch::Direct => Ok((direct(links, site)?, None)),
        }
    }

    /// # Errors
    /// It has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        match self {
            Self::Bridge(_) | Self::Direct => Ok(()),
            Self::Ovs(ovs) => ovs.check(),
        }
    }

    /// # Errors
    /// The kernel refuses to delete the bridge, or a program does not end.
    pub(super) fn close(self, links: &mut Netlink) -> Result<()> {
        match self {
            Self::Bridge(name) => links.delete(&name),
            Self::Ovs(ovs) => ovs.close(),
            Self::Direct => Ok(()),
        }
    }
}

fn bridge(links: &mut Netlink, site: &Site<'_>) -> Result<Fabric> {
    let name = site.run.interface("br");
    links.add_bridge(&name, site.mtu)?;
    let index = site.devices.number(&name, "ifindex")?;
    for port in site.ports {
        links.join(port.name, site.mtu, index)?;
        links.up(port.name)?;
    }
    links.up(&name)?;
    for port in site.ports {
        links.forward(port.mac, port.name, port.index)?;
    }
    await_forwarding(site.devices, site.ports)?;
    Ok(Fabric::Bridge(name))
}

fn ovs(links: &mut Netlink, site: &Site<'_>) -> Result<(Fabric, Option<Datapath>)> {
    bring_up(links, site)?;
    let datapath = Datapath::of(site.dut)?;
    let name = site.run.interface("br");
    let ovs = Ovs::start(site.run, site.dut, site.cpus, &name, site.ports)?;
    Ok((Fabric::Ovs(ovs), Some(datapath)))
}

fn direct(links: &mut Netlink, site: &Site<'_>) -> Result<Fabric> {
    let [tap, uplink] = site.ports else {
        let why =
            format!("direct connects one TAP to the cable, but there are {}", site.ports.len() - 1);
        return Err(Error::invalid("network.switch", why, "Use one guest, or a bridge"));
    };
    bring_up(links, site)?;
    links.redirect(tap.link(), uplink.link())?;
    links.redirect(uplink.link(), tap.link())?;
    Ok(Fabric::Direct)
}

fn bring_up(links: &mut Netlink, site: &Site<'_>) -> Result<()> {
    site.ports.iter().try_for_each(|port| {
        links.set_mtu(port.name, site.mtu)?;
        links.up(port.name)
    })
}

/// A port forwards once the kernel's link watch has seen its carrier, which may be late.
fn await_forwarding(devices: &NetDevices, ports: &[Port<'_>]) -> Result<()> {
    let start = clock::now();
    for Port { name, .. } in ports {
        while devices.number::<u8>(name, "brport/state")? != FORWARDING {
            if clock::now().since(start) > PORTS_FORWARD_IN {
                return Err(Error::Inconsistent(format!("bridge port {name} did not come up")));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}
