//! The network between guests and sink: two machines as two network namespaces.
//!
//! Machine 1 holds the guests' TAPs and the switch, machine 2 the sink; a veth pair is the cable between them. Machine 1
//! has a namespace of its own as well, so that no firewall, address daemon or bridge of the host sees a frame or adds
//! one. Whatever traces kernel functions does not care; whatever opens a packet socket on a TAP does it in
//! [`Network::machine1`].

use std::{net::Ipv4Addr, sync::Arc};

use crate::{
    error::Result,
    kernel::{
        netdev::{Mac, NetDevices, cpu_mask},
        netlink::{Link, Netlink, Peer},
        netns::Netns,
        run::Run,
    },
    model::scenario::Network as Plan,
    sys::tun::Tap,
    workload::{Placement, blast::frame, vhost::device},
};

mod fabric;
mod first;
mod limit;
mod ovs;
mod receivers;
mod sink;

use fabric::{Fabric, Site};
use limit::Limiter;
pub use limit::Limits;
pub use receivers::Receivers;
use sink::Counter;
pub use sink::Sink;

/// Most guests: `tap99` is the longest name that fits behind the largest tag.
pub const MAX_GUESTS: usize = 100;

/// The address of machine 2, where it has one.
pub const SINK_IP: Ipv4Addr = Ipv4Addr::new(10, 84, 255, 1);

/// How many bits the addresses of both machines have in common.
pub const PREFIX: u8 = 16;

/// Both machines with their links; everything in it vanishes with the process, however that ends.
#[derive(Debug)]
pub struct Network {
    machine1: Netns,
    machine2: Netns,
    links: Netlink,
    fabric: Fabric,
    uplink: String,
    sink_device: String,
    guests: u16,
    limiter: Arc<Limiter>,
    sink: Sink,
    /// What each guest's TAP has received from it.
    from_guests: Vec<Counter>,
}

/// A port of the switch: a TAP, or the uplink.
#[derive(Debug, Clone, Copy)]
struct Port<'a> {
    name: &'a str,
    index: u32,
    /// The address of what stands behind it.
    mac: Mac,
}

impl<'a> Port<'a> {
    fn of(devices: &NetDevices, name: &'a str, mac: Mac) -> Result<Self> {
        Ok(Self { name, index: devices.number(name, "ifindex")?, mac })
    }

    fn link(self) -> Link<'a> {
        Link { name: self.name, index: self.index }
    }
}

impl Network {
    /// Builds the network of `plan` for `guests` guests that send frames of up to `frame` bytes, and a TAP for each. When it
    /// returns, frames flow from each TAP to machine 2, within the limits that `plan` names; what it leaves to be measured
    /// (a [`Share`]) is not limited yet.
    ///
    /// Programs of a switch are killed when the calling thread ends.
    ///
    /// [`Share`]: crate::model::scenario::Link::Share
    ///
    /// # Errors
    /// Not root; something that this kernel or host lacks; a switch that cannot join so many guests; a TAP from which no
    /// frame arrives.
    pub fn build(
        run: &Run,
        plan: &Plan,
        guests: usize,
        frame: usize,
        placement: &Placement,
    ) -> Result<(Self, Vec<Tap>)> {
        let (uplink, sink_device) = (run.interface("up"), run.interface("sink"));
        let mtu = mtu(frame);
        let (machine1, machine2) = (Netns::new()?, Netns::new()?);
        let mut links = machine1.run(Netlink::open)??;
        let peer = Peer { name: &sink_device, mac: sink_mac(), netns: &machine2 };
        links.add_veth(&uplink, mtu, &peer)?;
        machine2.run(Netlink::open)??.up(&sink_device)?;
        let (near, far) = (NetDevices::of(&machine1)?, NetDevices::of(&machine2)?);
        if placement.is_disjoint() {
            steer(&far, &sink_device, &placement.sink)?;
            steer(&near, &uplink, &placement.load)?;
        }

        let taps = machine1.run(|| taps(run, guests))??;
        let addressed = (0..).map(guest_mac).zip(&taps);
        let mut ports = addressed
            .map(|(mac, tap)| Port::of(&near, tap.name(), mac))
            .collect::<Result<Vec<_>>>()?;
        let cable = Port::of(&near, &uplink, sink_mac())?;
        ports.push(cable);
        let (machine1_cpus, devices) = (&placement.load[..], &near);
        let site =
            Site { run, machine1: &machine1, devices, cpus: machine1_cpus, mtu, ports: &ports };
        let (fabric, datapath) = Fabric::build(plan.switch, &mut links, &site)?;

        let limited = Limiter::new(machine1.run(Netlink::open)??, guests, cable.link(), mtu);
        let limiter = Arc::new(limited);
        let ends = ((&near, &*uplink), (&far, &*sink_device));
        let mut sink = Sink::open(ends.0, ends.1, limiter.clone(), datapath)?;
        let from_guests = taps.iter().map(|tap| Counter::open((&near, tap.name()), "rx_bytes"));
        let mut from_guests = from_guests.collect::<Result<Vec<_>>>()?;
        first::send(&taps, &sink)?;
        sink.begin()?;
        from_guests.iter_mut().try_for_each(Counter::begin)?;
        // At most MAX_GUESTS.
        let guests = guests as u16;
        let mut network = Self {
            machine1,
            machine2,
            links,
            fabric,
            uplink,
            sink_device,
            guests,
            limiter,
            sink,
            from_guests,
        };
        network.limit(Limits::of(plan))?;
        Ok((network, taps))
    }

    /// Gives machine 2 its address, [`SINK_IP`], and tells it the guests', so that nobody ever asks for one. Only where guests
    /// speak IP: without an address nothing of machine 2's own is ever among the frames.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn speak_ip(&mut self) -> Result<()> {
        let mut links = self.machine2.run(Netlink::open)??;
        let index = NetDevices::of(&self.machine2)?.number(&self.sink_device, "ifindex")?;
        let sink = Link { name: &self.sink_device, index };
        links.up("lo")?;
        links.add_address(sink, SINK_IP, PREFIX)?;
        (0..self.guests)
            .try_for_each(|guest| links.add_neighbour(sink, guest_ip(guest), guest_mac(guest)))
    }

    /// Limits what the guests send to machine 2 from now on. Frames that wait for an earlier limit are dropped, and count as
    /// refused: do it between loads.
    ///
    /// # Errors
    /// The kernel has no HTB or no u32 classifier.
    pub fn limit(&mut self, limits: Limits) -> Result<()> {
        self.limiter.set(limits)
    }

    /// Makes sure that the switch still works, as far as programs are a part of it.
    ///
    /// # Errors
    /// One of them has ended.
    pub fn check(&mut self) -> Result<()> {
        self.fabric.check()
    }

    /// Bytes that have come out of each TAP.
    ///
    /// # Errors
    /// An interface is gone (`EINVAL`).
    pub fn bytes_by_tap(&self) -> Result<Vec<u64>> {
        self.from_guests.iter().map(Counter::read).collect()
    }

    /// What arrives at machine 2.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The namespace of switch and TAPs.
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
    /// The kernel refuses to delete a link, or a program of the switch does not end; the rest goes all the same.
    pub fn close(mut self) -> Result<()> {
        let fabric = self.fabric.close(&mut self.links);
        fabric.and(self.links.delete(&self.uplink))
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

/// The address of guest number `guest`, in a network of [`PREFIX`] bits.
pub fn guest_ip(guest: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 84, 0, 1).to_bits() + u32::from(guest))
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

/// Has the frames that come in at `name` processed on the CPUs of its machine. Where both machines share a CPU there is
/// nothing to steer: a frame is processed where it was sent.
#[doc(alias = "RPS")]
fn steer(devices: &NetDevices, name: &str, cpus: &[u32]) -> Result<()> {
    devices.write(name, "queues/rx-0/rps_cpus", &cpu_mask(cpus)).map_err(|e| {
        e.with_remedy("Run a kernel with CONFIG_RPS, or load and sink on the same CPUs")
    })
}
