//! The network between guests and sink: two machines as two network namespaces.
//!
//! The device under test has the guests' TAPs and the switch; the sink receives their frames. A
//! veth pair is the cable between them. The device under test has its own namespace too, so that no
//! firewall, address daemon or bridge of the host sees or adds a frame. Tracers of kernel functions
//! are not affected; a packet socket on a TAP must be opened in [`Network::dut`].

use std::sync::Arc;

use probe_core::{
    error::Result,
    model::{
        scenario::{GuestKind, Guests, Network as NetworkPlan},
        trial::CountedAt,
    },
};

use crate::{
    kernel::{
        netdev::{Mac, NetDevices},
        netlink::{Interface, Netlink},
        netns::Netns,
        run::Run,
    },
    sys::tun::Tap,
    workload::{
        Placement,
        addresses::{guest_mac, sink_mac},
        blast::frame,
        vhost::device,
    },
};

mod fabric;
mod far;
mod first;
mod limit;
mod machines;
mod ovs;
mod receivers;
mod sink;

pub use limit::Limits;
pub(in crate::workload) use ovs::detect as detect_ovs;
pub use sink::Sink;
pub(in crate::workload) use sink::{Counters, TapCounters, Way};

use fabric::{Fabric, Site};
use far::Far;
use limit::Limiter;
use machines::Machines;
use sink::Counter;

/// Both machines with their links; all of it ends with the process, in whatever way that ends.
#[derive(Debug)]
pub struct Network {
    fabric: Fabric,
    far: Option<Far>,
    machines: Machines,
    guests: u16,
    limiter: Arc<Limiter>,
    sink: Sink,
    /// What each guest's TAP has received from the guest.
    from_guests: Vec<Counter>,
}

/// A port of the switch: a TAP, or the uplink.
#[derive(Debug, Clone, Copy)]
struct Port<'a> {
    name: &'a str,
    index: u32,
    /// The address behind it.
    mac: Mac,
}

impl<'a> Port<'a> {
    fn of(devices: &NetDevices, name: &'a str, mac: Mac) -> Result<Self> {
        Ok(Self { name, index: devices.number(name, "ifindex")?, mac })
    }

    fn link(self) -> Interface<'a> {
        Interface { name: self.name, index: self.index }
    }
}

impl Network {
    /// Builds the network of `plan` for `guests`, and a TAP for each. When it returns, frames flow
    /// from each TAP to the sink, within the limits of `plan`; a limit that must be measured (a
    /// [`Share`]) is not set yet.
    ///
    /// Programs of a switch are killed when the calling thread ends.
    ///
    /// [`Share`]: probe_core::model::scenario::Link::Share
    ///
    /// # Errors
    /// Not root; something that this kernel or host lacks; a switch that cannot connect this number
    /// of guests; a TAP from which no frame arrives.
    pub fn build(
        run: &Run,
        plan: &NetworkPlan,
        guests: &Guests,
        placement: &Placement,
    ) -> Result<(Self, Vec<Tap>)> {
        let mtu = mtu(guests.frame);
        let mut machines = Machines::cabled(run, mtu, placement)?;
        let taps = machines.dut.run(|| taps(run, guests))??;
        let Machines { dut, links, near, far, uplink, sink, .. } = &mut machines;
        let cable = Port::of(near, uplink, sink_mac())?;
        let ports = (0..).map(guest_mac).zip(&taps);
        let ports = ports.map(|(mac, tap)| Port::of(near, tap.name(), mac)).chain([Ok(cable)]);
        let ports = ports.collect::<Result<Vec<_>>>()?;
        let site = Site { run, dut, devices: near, cpus: &placement.load, mtu, ports: &ports };
        let (fabric, datapath) = Fabric::build(plan.switch, links, &site)?;

        let limiter = Limiter::new(dut.run(Netlink::open)??, guests.count, cable.link(), mtu);
        let limiter = Arc::new(limiter);
        let mut sink = Sink::open((near, uplink), (far, sink), limiter.clone(), datapath)?;
        let from_guests = taps.iter().map(|tap| Counter::open((near, tap.name()), "rx_bytes"));
        let mut from_guests = from_guests.collect::<Result<Vec<_>>>()?;
        first::send(&taps, &sink)?;
        sink.begin()?;
        from_guests.iter_mut().try_for_each(Counter::begin)?;
        limiter.set(Limits::of(plan))?;
        // At most MAX_GUESTS.
        let guests = guests.count as u16;
        Ok((Self { fabric, far: None, machines, guests, limiter, sink, from_guests }, taps))
    }

    /// Makes the sink serve guests that use IP: sets its address,
    /// [`SINK_IP`](super::addresses::SINK_IP), and starts an iperf3 server for each guest on these
    /// CPUs. The servers are killed when the calling thread ends.
    ///
    /// # Errors
    /// iperf3 is not installed, or a server does not start; the kernel has no sock_diag for TCP.
    pub fn serve(&mut self, run: &Run, cpus: &[u32]) -> Result<()> {
        self.far = Some(Far::start(run, &self.machines, self.guests, cpus)?);
        Ok(())
    }

    /// Limits what the guests send to the sink from now on. Frames queued for an earlier limit are
    /// dropped, and count as refused: call it between loads.
    ///
    /// # Errors
    /// The kernel has no HTB or no u32 classifier.
    pub fn limit(&mut self, limits: Limits) -> Result<()> {
        self.limiter.set(limits)
    }

    /// Checks that the switch's programs, if it has any, and the servers are still running.
    ///
    /// # Errors
    /// One of them has ended.
    pub fn check(&mut self) -> Result<()> {
        self.fabric.check()?;
        self.far.as_mut().map_or(Ok(()), Far::check)
    }

    /// Bytes of each guest's traffic so far, counted at [`Network::counted_at`].
    ///
    /// # Errors
    /// A counter is gone.
    pub fn bytes_by_guest(&self) -> Result<Vec<u64>> {
        match &self.far {
            Some(far) => far.bytes(),
            None => self.from_guests.iter().map(Counter::read).collect(),
        }
    }

    /// At the sink if it serves, otherwise at the TAPs.
    pub fn counted_at(&self) -> CountedAt {
        if self.far.is_some() { CountedAt::Sink } else { CountedAt::Tap }
    }

    /// What arrives at the sink.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The namespace of switch and TAPs.
    pub fn dut(&self) -> &Netns {
        &self.machines.dut
    }

    /// The namespace of the sink.
    pub fn sink_netns(&self) -> &Netns {
        &self.machines.sink_netns
    }

    /// Where frames arrive: the sink's end of the cable, with its namespace.
    pub fn far_end(&self) -> (&Netns, &str) {
        (&self.machines.sink_netns, &self.machines.sink)
    }

    /// Takes the network down. The kernel removes the namespaces later.
    ///
    /// A program of the switch or a server had ended before, or does not end now; the kernel
    /// refuses to delete a link. The rest is still removed.
    /// refuses to delete a link. The rest goes all the same.
    pub fn close(mut self) -> Result<()> {
        let alive = self.check();
        let far = self.far.map_or(Ok(()), Far::close);
        let fabric = self.fabric.close(&mut self.machines.links);
        let cable = self.machines.links.delete(&self.machines.uplink);
        alive.and(far).and(fabric).and(cable)
    }
}

/// Largest packet in frames of up to `frame` bytes.
pub(super) fn mtu(frame: usize) -> u32 {
    // A frame is at most frame::MAX long.
    frame.saturating_sub(frame::HEADER).max(1500) as u32
}

fn taps(run: &Run, guests: &Guests) -> Result<Vec<Tap>> {
    let queues = if guests.kind == GuestKind::Kvm { guests.queues } else { 1 };
    let tap = |guest| {
        let name = run.interface(&format!("tap{guest}"));
        Tap::with_queues(&name, device::HEADER, queues)
    };
    (0..guests.count).map(tap).collect()
}
