//! Working guests.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use probe_core::{
    error::{Error, Result},
    model::{
        trial::{Received, Sent},
        units::Nanos,
    },
};

use super::{
    Vms,
    channel::{Channel, Order, Report},
    machine::Vm,
};
use crate::{
    kernel::affinity,
    workload::{
        Offered, Orders,
        fleet::{Ended, Load},
        iperf::{self, Connections},
        network::TapCounters,
    },
};

/// How often guests are checked while something waits for them.
const LOOK: Duration = Duration::from_millis(100);

/// The orders that one guest has been given so far.
#[derive(Debug, Default)]
pub(super) struct Duty {
    /// The running client.
    sends: Option<Order>,
    hogs: usize,
    rtt: Vec<(Nanos, f64)>,
}

/// A load on VMs. Dropping it tells them to rest, silently.
pub(super) struct Work {
    pub(super) vms: Arc<Mutex<Vms>>,
    pub(super) counters: Arc<Vec<TapCounters>>,
    pub(super) connections: Arc<Connections>,
    pub(super) threads: Vec<u32>,
    pub(super) duties: Vec<Duty>,
    pub(super) stopped: bool,
}

impl Work {
    /// Starts the guests' load; returns when they work.
    ///
    /// # Errors
    /// As [`Load::obey`]; a client does not reach its server; a guest does not report the time.
    pub(super) fn start(mut self, orders: &Orders) -> Result<Self> {
        self.each(|vm, _| vm.on_line(Channel::learn_clock))?;
        self.obey(orders)?;
        self.each(|vm, _| vm.on_line(Channel::settle))?;
        Ok(self)
    }

    fn each(&mut self, mut act: impl FnMut(&mut Vm, &mut Duty) -> Result<()>) -> Result<()> {
        let mut vms = self.vms.lock().map_err(|_| panicked())?;
        vms.each.iter_mut().zip(&mut self.duties).try_for_each(|(vm, duty)| act(vm, duty))
    }

    fn tell(&mut self, orders: &Orders) -> Result<()> {
        let mut vms = self.vms.lock().map_err(|_| panicked())?;
        let Vms { each, hogs, cpus, frame } = &mut *vms;
        for (number, (vm, duty)) in each.iter_mut().zip(&mut self.duties).enumerate() {
            let sends = (number < orders.senders).then_some(orders.offered);
            let sends = sends.map(|offered| client(number, offered, *frame)).transpose()?;
            let hog = number.checked_sub(orders.senders).filter(|&hog| hog < orders.hogs);
            if let (Some(hog), true) = (hog, hogs.pinned) {
                confine(vm, &[cpus[hog % cpus.len()]])?;
            } else if hogs.pinned {
                confine(vm, cpus)?;
            }
            duty.set(vm, sends, hog.map_or(0, |_| hogs.threads))?;
        }
        Ok(())
    }

    /// Collects the reports that have arrived.
    fn collect(&mut self) -> Result<()> {
        self.each(|vm, duty| {
            for Report { ended, words } in vm.on_line(|channel| Ok(channel.reports()))? {
                duty.rtt.extend(iperf::rtt(&words, ended)?);
            }
            Ok(())
        })
    }

    fn end(&mut self) -> Result<()> {
        self.stopped = true;
        self.tell(&Orders { offered: Offered::ClosedLoop { kicks: 0 }, senders: 0, hogs: 0 })?;
        self.each(|vm, _| vm.on_line(Channel::settle))?;
        self.collect()?;
        // So that the servers are done with this load when the next one starts.
        let connections = self.connections.clone();
        // At most addresses::MAX_GUESTS.
        let mut guests = 0..self.duties.len() as u16;
        guests.try_for_each(|n| connections.wait(n, |count| count == 0, || self.check()))
    }
}

impl Duty {
    /// Gives the guest these orders. It follows them one after the other: a new client comes last,
    /// since its server may not be done with the preceding one.
    fn set(&mut self, vm: &mut Vm, sends: Option<Order>, hogs: usize) -> Result<()> {
        vm.on_line(|channel| {
            if self.sends.is_some() && self.sends != sends {
                channel.order(Order::Quiet)?;
            }
            if self.hogs != hogs {
                channel.order(Order::Hogs(hogs))?;
            }
            match &sends {
                Some(order) if self.sends != sends => channel.order(order.clone()),
                _ => Ok(()),
            }
        })?;
        (self.sends, self.hogs) = (sends, hogs);
        Ok(())
    }
}

impl Load for Work {
    fn threads(&self) -> &[u32] {
        &self.threads
    }

    fn hogs(&self) -> &[u32] {
        &[]
    }

    /// The guests follow as soon as they get to it; [`Load::check`] finds those that do not.
    fn obey(&mut self, orders: &Orders) -> Result<()> {
        let idle = self.duties.len().saturating_sub(orders.senders);
        if orders.hogs > idle {
            let why = format!(
                "{} hogs beside {} senders in {} VMs",
                orders.hogs,
                orders.senders,
                self.duties.len()
            );
            return Err(Error::invalid(
                "hogs",
                why,
                "Use more guests: a VM either sends or is a \
                                                    hog",
            ));
        }
        self.tell(orders)
    }

    fn sent_by_guest(&self) -> Result<Vec<Sent>> {
        let sent = |tap: &TapCounters| {
            tap.from_guest.read().map(|Received { frames, bytes }| Sent {
                kicks: None,
                frames,
                bytes,
            })
        };
        self.counters.iter().map(sent).collect()
    }

    fn received_by_guest(&self) -> Result<Vec<Received>> {
        self.counters.iter().map(|tap| tap.to_guest.read()).collect()
    }

    /// None of their paces ends by itself.
    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while let left = end.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            self.check()?;
            thread::sleep(left.min(LOOK));
        }
        self.check().map(|()| false)
    }

    fn check(&mut self) -> Result<()> {
        self.each(|vm, _| vm.on_line(Channel::check))
    }

    fn stop(mut self: Box<Self>) -> Result<Ended> {
        self.end()?;
        let rtt = self.duties.iter_mut().map(|duty| std::mem::take(&mut duty.rtt)).collect();
        Ok(Ended { sent: self.sent()?, rtt })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.stopped
            && let Err(error) = self.end()
        {
            log::debug!("a load did not end well: {error}");
        }
    }
}

/// The client of guest `number`.
fn client(number: usize, offered: Offered, frame: usize) -> Result<Order> {
    // At most addresses::MAX_GUESTS.
    let number = number as u16;
    Ok(Order::Send(iperf::port(number), iperf::client(number, iperf::rate(offered, frame)?)))
}

/// Pins the processors of a VM.
fn confine(vm: &Vm, cpus: &[u32]) -> Result<()> {
    vm.processors()?.into_iter().try_for_each(|tid| affinity::pin(Some(tid), cpus))
}

fn panicked() -> Error {
    Error::Inconsistent("a load panicked".into())
}
