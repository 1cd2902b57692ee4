//! The network between guests and sink: two machines as two network namespaces.
//!
//! Machine 1 holds the guests' TAPs and the bridge, machine 2 the sink; a veth pair is the cable between them. Machine 1
//! has a namespace of its own as well, so that no firewall, address daemon or bridge of the host sees a frame or adds
//! one. Whatever traces kernel functions does not care; whatever opens a packet socket on a TAP does it in
//! [`Network::machine1`].

use std::{fs::File, thread, time::Duration};

use crate::{
    error::{Error, Result},
    kernel::{
        clock,
        netdev::{Mac, NetDevices, cpu_mask},
        netlink::{Netlink, Peer},
        netns::Netns,
        run::Run,
    },
    model::units::Nanos,
    sys::tun::Tap,
    workload::{Placement, blast::frame, vhost::device},
};

mod sink;

pub use sink::Sink;

/// How long a bridge port may take from up to forwarding.
const PORTS_FORWARD_IN: Nanos = Nanos(10_000_000_000);

/// `BR_STATE_FORWARDING` of linux/if_bridge.h.
const FORWARDING: u8 = 3;

/// Most guests: `tap99` is the longest name that fits behind the largest tag.
pub const MAX_GUESTS: usize = 100;

/// Both machines with their links; everything in it vanishes with the process, however that ends.
#[derive(Debug)]
pub struct Network {
    machine1: Netns,
    machine2: Netns,
    links: Netlink,
    bridge: String,
    uplink: String,
    sink: Sink,
    /// What each guest's TAP has received from it.
    from_guests: Vec<File>,
}

impl Network {
    /// Builds the network for `guests` guests that send frames of up to `frame` bytes, up and forwarding, and a TAP
    /// for each.
    ///
    /// # Errors
    /// Not root; no bridge, veth or TAP in this kernel; a port does not come up.
    pub fn build(
        run: &Run,
        guests: usize,
        frame: usize,
        placement: &Placement,
    ) -> Result<(Self, Vec<Tap>)> {
        let (bridge, uplink, sink) =
            (run.interface("br"), run.interface("up"), run.interface("sink"));
        let mtu = mtu(frame);
        let machine1 = Netns::new()?;
        let machine2 = Netns::new()?;
        let mut links = machine1.run(Netlink::open)??;
        links.add_bridge(&bridge, mtu)?;
        let peer = Peer { name: &sink, mac: sink_mac(), netns: &machine2 };
        links.add_veth(&uplink, mtu, &peer)?;
        let taps = machine1.run(|| taps(run, guests))??;
        let ports: Vec<&str> = taps.iter().map(Tap::name).chain([uplink.as_str()]).collect();

        let near = NetDevices::of(&machine1)?;
        let index = near.number(&bridge, "ifindex")?;
        for &port in &ports {
            links.join(port, mtu, index)?;
            links.up(port)?;
        }
        links.up(&bridge)?;
        machine2.run(Netlink::open)??.up(&sink)?;
        links.forward(sink_mac(), &uplink, near.number(&uplink, "ifindex")?)?;
        await_forwarding(&near, &ports)?;

        let far = NetDevices::of(&machine2)?;
        steer(&far, &sink, placement)?;
        let sink = Sink::open((&near, &uplink), (&far, &sink))?;
        let from_guests = taps.iter().map(|tap| near.open(tap.name(), "statistics/rx_bytes"));
        let from_guests = from_guests.collect::<Result<_>>()?;
        Ok((Self { machine1, machine2, links, bridge, uplink, sink, from_guests }, taps))
    }

    /// Bytes that have come out of each TAP.
    ///
    /// # Errors
    /// An interface is gone (`EINVAL`).
    pub fn bytes_by_tap(&self) -> Result<Vec<u64>> {
        self.from_guests.iter().map(|file| sink::number(file, "rx_bytes")).collect()
    }

    /// What arrives at machine 2.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The namespace of bridge and TAPs.
    pub fn machine1(&self) -> &Netns {
        &self.machine1
    }

    /// The namespace of the sink.
    pub fn machine2(&self) -> &Netns {
        &self.machine2
    }

    /// Takes the network down. The namespaces themselves go as soon as the kernel gets to it.
    ///
    /// # Errors
    /// The kernel refuses to delete a link; the rest goes all the same.
    pub fn close(mut self) -> Result<()> {
        let cable = self.links.delete(&self.uplink);
        self.links.delete(&self.bridge).and(cable)
    }
}

/// The sink's address; locally administered, like the guests'.
pub fn sink_mac() -> Mac {
    Mac([0x02, b't', b't', 0xff, 0, 0])
}

/// The address of guest number `guest`.
pub fn guest_mac(guest: u16) -> Mac {
    let [high, low] = guest.to_be_bytes();
    Mac([0x02, b't', b't', 0, high, low])
}

fn mtu(frame: usize) -> u32 {
    // A frame is at most frame::MAX long.
    frame.saturating_sub(frame::HEADER).max(1500) as u32
}

fn taps(run: &Run, guests: usize) -> Result<Vec<Tap>> {
    (0..guests)
        .map(|guest| Tap::create(&run.interface(&format!("tap{guest}")), device::HEADER))
        .collect()
}

/// A port forwards once the kernel's link watch has seen its carrier, which it may do late.
fn await_forwarding(devices: &NetDevices, ports: &[&str]) -> Result<()> {
    let start = clock::now();
    for port in ports {
        while devices.number::<u8>(port, "brport/state")? != FORWARDING {
            if clock::now().since(start) > PORTS_FORWARD_IN {
                return Err(Error::Untrue(format!("bridge port {port} does not come up")));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Has machine 2's frames processed on its own CPUs. Where both machines share a CPU there is nothing to steer: the
/// frame is processed where it was sent.
#[doc(alias = "RPS")]
fn steer(devices: &NetDevices, sink: &str, placement: &Placement) -> Result<()> {
    if !placement.is_disjoint() {
        return Ok(());
    }
    devices.write(sink, "queues/rx-0/rps_cpus", &cpu_mask(&placement.sink)).map_err(|e| {
        e.with_remedy("Run a kernel with CONFIG_RPS, or load and sink on the same CPUs")
    })
}
