//! Real guests: QEMU/KVM virtual machines with virtio-net cards on vhost, iperf3 and `yes`.

mod channel;
mod load;
mod machine;
mod needs;
#[cfg(test)]
mod orders_tests;

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};

use channel::Order;
use load::{Duty, Work};
use machine::{Vm, VmConfinement};
use needs::Image;
pub(crate) use needs::OVERHEAD_MIB;
use probe_core::{
    error::{Error, Result},
    model::scenario::{Guests, HogKind},
};

use super::{
    Hogs, Orders, Placement, addresses,
    fleet::{Fleet, Load, Worker},
    iperf::Connections,
    network::{Network, TapCounters},
};
use crate::{
    kernel::{affinity, cgroup::Cgroup, netdev::NetDevices, run::Run},
    sys::tun::Tap,
};

/// How long all guests together may take to boot; where KVM itself is emulated, eight take minutes.
const BOOT_WITHIN: Duration = Duration::from_secs(900);

/// How often a VM is started if its processor stops during boot, before its kernel prints anything:
/// an emulated KVM sometimes loses one. Our own errors do not look like this; the console or QEMU
/// reports them.
const STARTS: u32 = 3;

/// The VMs of a testbed.
pub(super) struct Kvm {
    // Before the cgroup, in which they live, and before the TAPs, which they use.
    vms: Arc<Mutex<Vms>>,
    cgroup: Cgroup,
    workers: Vec<Worker>,
    /// QEMU's threads, of all VMs.
    threads: Vec<u32>,
    names: Vec<String>,
    counters: Arc<Vec<TapCounters>>,
    connections: Arc<Connections>,
    _taps: Vec<Tap>,
}

/// What a load works with.
pub(super) struct Vms {
    each: Vec<Vm>,
    cpus: Vec<u32>,
    hogs: HogKind,
    frame: usize,
}

/// What VMs are to be, looked at before anything is built.
pub(super) struct GuestPlan<'a> {
    image: Image,
    spec: &'a Guests,
    hogs: &'a HogKind,
    interrupted: &'a Arc<AtomicBool>,
}

impl<'a> GuestPlan<'a> {
    /// Looks whether this host has all that they need. `interrupted` ends every wait for them.
    ///
    /// # Errors
    /// It has no KVM, QEMU, vhost-net, or too little memory; there is no image.
    pub(super) fn new(
        spec: &'a Guests,
        hogs: &'a HogKind,
        interrupted: &'a Arc<AtomicBool>,
    ) -> Result<Self> {
        Ok(Self { image: needs::check(spec)?, spec, hogs, interrupted })
    }
}

impl Kvm {
    /// Boots one VM behind each of `taps`, all at once. They are killed when the calling thread
    /// ends.
    ///
    /// A guest does not boot, or the user ends the run meanwhile. What was started by then is
    /// killed.
    /// killed.
    pub(super) fn build(
        run: &Run,
        taps: Vec<Tap>,
        plan: &GuestPlan<'_>,
        network: &Network,
        placement: &Placement,
    ) -> Result<Self> {
        let cgroup = Cgroup::create(&run.object("vms"))?;
        let confinement = VmConfinement {
            cgroup: &cgroup,
            dut: network.dut(),
            cpus: &placement.load,
            interrupted: plan.interrupted,
        };
        let start = |number, tap| Vm::start(&plan.image, plan.spec, (number, tap), confinement);
        let each = (0..).zip(&taps).map(|(number, tap)| start(number, tap));
        let mut each = each.collect::<Result<Vec<_>>>()?;
        let end = Instant::now() + BOOT_WITHIN;
        for (number, (vm, tap)) in (0..).zip(each.iter_mut().zip(&taps)) {
            let mut starts = 1;
            while let Err(error) = vm.await_boot(end, address(number)) {
                if starts == STARTS || !vm.ended_without_a_word() {
                    return Err(error);
                }
                log::warn!("{error}; starting it again");
                *vm = start(number, tap)?;
                starts += 1;
            }
        }
        let devices = NetDevices::of(network.dut())?;
        let (mut workers, mut threads, mut counters) = (Vec::new(), Vec::new(), Vec::new());
        for (guest, (vm, tap)) in each.iter().zip(&taps).enumerate() {
            workers
                .extend(vm.workers(plan.spec.queues)?.into_iter().map(|tid| Worker { guest, tid }));
            threads.extend(vm.threads()?);
            counters.push(TapCounters::open((&devices, tap.name()))?);
        }
        for worker in &workers {
            // Before Linux 6.4 a worker is not a thread of QEMU, and runs anywhere.
            affinity::pin(Some(worker.tid), &placement.load)?;
        }
        let names = taps.iter().map(|tap| tap.name().to_owned()).collect();
        let (cpus, frame) = (placement.load.clone(), plan.spec.frame);
        let vms = Arc::new(Mutex::new(Vms { each, cpus, hogs: plan.hogs.clone(), frame }));
        let connections = Arc::new(Connections::of(network.sink_netns())?);
        let counters = Arc::new(counters);
        Ok(Self { vms, cgroup, workers, threads, names, counters, connections, _taps: taps })
    }
}

impl Fleet for Kvm {
    fn workers(&self) -> &[Worker] {
        &self.workers
    }

    fn taps(&self) -> &[String] {
        &self.names
    }

    fn names(&self) -> Vec<String> {
        (1..=self.names.len()).map(|number| format!("vm{number}")).collect()
    }

    fn start(&self, orders: &Orders, _: &Arc<Hogs>) -> Result<Box<dyn Load>> {
        // Each load holds the VMs.
        if Arc::strong_count(&self.vms) > 1 {
            return Err(busy());
        }
        let work = Work {
            vms: self.vms.clone(),
            counters: self.counters.clone(),
            connections: self.connections.clone(),
            threads: self.threads.clone(),
            duties: self.names.iter().map(|_| Duty::default()).collect(),
            stopped: false,
        };
        work.start(orders).map(|work| Box::new(work) as Box<dyn Load>)
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        let vms = Arc::into_inner(self.vms).ok_or_else(busy);
        drop(vms.map(|vms| vms.into_inner().unwrap_or_else(PoisonError::into_inner))?);
        self.cgroup.kill()?;
        self.cgroup.remove()
    }
}

fn busy() -> Error {
    Error::Inconsistent("a load is still running on the VMs".into())
}

/// The network configuration of guest number `number`. Both sides know each other's MAC, so only
/// the load's frames flow.
fn address(number: u16) -> Order {
    let own = format!("{}/{}", addresses::guest_ip(number), addresses::PREFIX);
    Order::Address(own, addresses::SINK_IP.to_string(), addresses::sink_mac().to_string())
}
