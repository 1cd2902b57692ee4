//! Everything that a load needs, built and taken down together.

use std::sync::{Arc, atomic::AtomicBool};

use probe_core::{
    error::{Error, Result},
    model::{
        scenario::{GuestKind, Guests, HogKind, Network as NetworkPlan, Scenario, Switch},
        trial::CountedAt,
    },
};

use super::{
    Hogs, Orders, Placement,
    addresses::MAX_GUESTS,
    blast::{Blast, frame},
    bridge::Bridge,
    existing::{self, Existing},
    fleet::{Fleet, Load, Worker},
    iperf,
    kvm::{self, Kvm},
    network::{self, Limits, Network, Sink},
    process_group,
};
use crate::kernel::{netns::Netns, run::Run};

/// Guests with their vhost devices, the network, the sink and the hogs. It serves one load after
/// the other.
///
/// Dropping it takes it down like [`Testbed::close`], without reporting errors.
pub struct Testbed {
    // Before the network: their devices hold its TAPs.
    fleet: Box<dyn Fleet>,
    ground: Ground,
    hogs: Arc<Hogs>,
}

/// The network of the guests.
enum Ground {
    /// Our two machines.
    Ours(Box<Network>),
    /// Whatever the guests' owners created.
    Theirs(existing::Ground),
}

impl Testbed {
    /// Builds what `scenario` asks for. Guests, their vhost workers and the hogs run on the load's
    /// CPUs. Once `interrupted` is set, the testbed no longer waits for VMs.
    ///
    /// A value out of range; not root; something that this host lacks; the user ends the run. What
    /// was built by then is taken down.
    pub fn build(
        run: &Run,
        scenario: &Scenario,
        placement: &Placement,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Self> {
        let hogs = (scenario.fidelity.most_hogs(), &scenario.hogs);
        Self::assemble(run, (&scenario.guests, interrupted), &scenario.network, hogs, placement)
    }

    /// Checks that this host has the programs that the guests of `scenario` need, and creates
    /// nothing. [`workload::detect`](super::detect) checks the devices.
    ///
    /// # Errors
    /// The first thing that is missing, or a value out of range.
    pub fn detect(scenario: &Scenario, placement: &Placement) -> Result<()> {
        let guests = &scenario.guests;
        check(guests)?;
        placement.check()?;
        if guests.kind.speaks_tcp() {
            process_group::command(iperf::PROGRAM, iperf::PROGRAM)?;
        }
        if guests.kind != GuestKind::Existing && scenario.network.switch == Switch::Ovs {
            network::detect_ovs()?;
        }
        if guests.kind == GuestKind::Kvm {
            kvm::GuestPlan::new(guests, &scenario.hogs, &Arc::default())?;
        }
        Ok(())
    }

    /// Builds guests without hogs.
    ///
    /// # Errors
    /// As [`Testbed::build`].
    pub fn of_guests(run: &Run, guests: &Guests, placement: &Placement) -> Result<Self> {
        let hogs = (0, &HogKind::default());
        Self::assemble(run, (guests, &Arc::default()), &NetworkPlan::default(), hogs, placement)
    }

    fn assemble(
        run: &Run,
        (guests, interrupted): (&Guests, &Arc<AtomicBool>),
        plan: &NetworkPlan,
        (most_hogs, hog): (usize, &HogKind),
        placement: &Placement,
    ) -> Result<Self> {
        check(guests)?;
        placement.check()?;
        // The hogs of VMs are processes inside them.
        let spinning = if guests.kind == GuestKind::Kvm { 0 } else { most_hogs };
        let hogs = Hogs::new(spinning, hog, &placement.load)?;
        let network = || Network::build(run, plan, guests, placement);
        let serving = || {
            let (mut network, taps) = network()?;
            network.serve(run, &placement.sink)?;
            Ok((network, taps))
        };
        let (fleet, ground): (Box<dyn Fleet>, _) = match guests.kind {
            GuestKind::Blast => {
                let (network, taps) = network()?;
                let fleet = Blast::build(taps, guests, placement)?;
                (Box::new(fleet), Ground::Ours(Box::new(network)))
            }
            GuestKind::Bridge => {
                let (network, taps) = serving()?;
                let fleet = Bridge::build(run, taps, guests, &network, placement)?;
                (Box::new(fleet), Ground::Ours(Box::new(network)))
            }
            GuestKind::Kvm => {
                let vms = kvm::GuestPlan::new(guests, hog, interrupted)?;
                let (network, taps) = serving()?;
                let fleet = Kvm::build(run, taps, &vms, &network, placement)?;
                (Box::new(fleet), Ground::Ours(Box::new(network)))
            }
            GuestKind::Existing => {
                let (fleet, ground) = Existing::find()?;
                (Box::new(fleet), Ground::Theirs(ground))
            }
        };
        Ok(Self { fleet, ground, hogs: Arc::new(hogs) })
    }

    /// What arrives at the sink; for guests that already ran, what their TAPs send.
    pub fn sink(&self) -> &Sink {
        match &self.ground {
            Ground::Ours(network) => network.sink(),
            Ground::Theirs(ground) => &ground.sink,
        }
    }

    /// The network namespace of the guests' TAPs; `None` if they are in several.
    pub fn dut(&self) -> Option<&Netns> {
        match &self.ground {
            Ground::Ours(network) => Some(network.dut()),
            Ground::Theirs(ground) => match &ground.places[..] {
                [one] => Some(one),
                _ => None,
            },
        }
    }

    /// The network namespace of the sink, and the name of the interface at which frames arrive
    /// there; `None` if that is not ours.
    pub fn far_end(&self) -> Option<(&Netns, &str)> {
        match &self.ground {
            Ground::Ours(network) => Some(network.far_end()),
            Ground::Theirs(_) => None,
        }
    }

    /// All guests' vhost workers.
    pub fn workers(&self) -> &[Worker] {
        self.fleet.workers()
    }

    /// Thread ids of the workers.
    pub fn worker_threads(&self) -> Vec<u32> {
        self.workers().iter().map(|worker| worker.tid).collect()
    }

    /// Name of each guest's TAP, an interface of [`Testbed::dut`].
    pub fn taps(&self) -> &[String] {
        self.fleet.taps()
    }

    /// Names of the guests, for people.
    pub fn guest_names(&self) -> Vec<String> {
        self.fleet.names()
    }

    /// Bytes of each guest's traffic so far.
    ///
    /// # Errors
    /// A counter is gone.
    pub fn bytes_by_guest(&self) -> Result<Vec<u64>> {
        match (self.fleet.bytes_by_guest(), &self.ground) {
            (Some(bytes), _) => bytes,
            (None, Ground::Ours(network)) => network.bytes_by_guest(),
            (None, Ground::Theirs(_)) => Ok(Vec::new()),
        }
    }

    /// Where [`Testbed::bytes_by_guest`] counts.
    pub fn counted_at(&self) -> CountedAt {
        match &self.ground {
            Ground::Ours(network) => network.counted_at(),
            Ground::Theirs(_) => CountedAt::Tap,
        }
    }

    /// Checks that everything the load depends on is still alive.
    ///
    /// # Errors
    /// A program of the network has ended.
    pub fn check(&mut self) -> Result<()> {
        match &mut self.ground {
            Ground::Ours(network) => network.check(),
            Ground::Theirs(_) => Ok(()),
        }
    }

    /// Limits what the guests send from now on; only between loads, since frames queued for an
    /// earlier limit are dropped.
    ///
    /// # Errors
    /// The kernel has no HTB or no u32 classifier; the guests are not ours.
    pub fn limit(&mut self, limits: Limits) -> Result<()> {
        match &mut self.ground {
            Ground::Ours(network) => network.limit(limits),
            Ground::Theirs(_) if limits == Limits::default() => Ok(()),
            Ground::Theirs(_) => Err(Error::invalid(
                "network",
                "guests that already run are left as they are, without limits",
                "Leave guest_limit and link out",
            )),
        }
    }

    /// Starts a load. It does not borrow the testbed, so that the sink can be read meanwhile; there
    /// is one at a time.
    ///
    /// # Errors
    /// A load is already running; the guests cannot follow the orders.
    pub fn start(&self, orders: impl Into<Orders>) -> Result<Box<dyn Load>> {
        self.fleet.start(&orders.into(), &self.hogs)
    }

    /// Kicks every receive queue and waits until its handler has found nothing to do: one call of
    /// `handle_rx` each.
    ///
    /// # Errors
    /// A load is running, or the kick is refused.
    pub fn kick_receivers(&self) -> Result<()> {
        self.fleet.kick_receivers()
    }

    /// Takes everything down.
    ///
    /// # Errors
    /// A load is still running; otherwise the first error of the kernel. The rest is still taken
    /// down.
    pub fn close(self) -> Result<()> {
        let closed = self.fleet.close();
        // Only now, when the TAPs are gone.
        let network = match self.ground {
            Ground::Ours(network) => network.close(),
            Ground::Theirs(_) => Ok(()),
        };
        closed.and(network)
    }
}

fn check(guests: &Guests) -> Result<()> {
    let Guests { count, frame, .. } = *guests;
    if !(1..=MAX_GUESTS).contains(&count) {
        let accepted = format!("Use 1 to {MAX_GUESTS}");
        return Err(Error::invalid("guests.count", format!("{count} guests"), accepted));
    }
    if !(frame::MIN..=frame::MAX).contains(&frame) {
        let accepted = format!("Use {} to {}", frame::MIN, frame::MAX);
        return Err(Error::invalid("guests.frame", format!("{frame} bytes"), accepted));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::cpus,
        workload::{RequestedCpus, scenarios},
    };

    #[test]
    fn open_vswitch_is_looked_for_before_anything_is_made() {
        let mut scenario = scenarios::load("quick").unwrap();
        scenario.network.switch = Switch::Ovs;
        let placement =
            Placement::choose(1, &RequestedCpus::default(), &cpus::allowed().unwrap()).unwrap();
        let detected = Testbed::detect(&scenario, &placement).map_err(|error| error.to_string());
        match process_group::command("ovs-vswitchd", "") {
            Ok(_) => detected.unwrap(),
            Err(_) => {
                let error = detected.unwrap_err();
                assert!(error.contains("apt install openvswitch-switch"), "{error}");
            }
        }
    }
}
