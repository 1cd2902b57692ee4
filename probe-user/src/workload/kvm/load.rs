//! Guests at work.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::{
    Vms,
    channel::{Channel, Order},
    machine::Vm,
};
use crate::{
    error::{Error, Result},
    kernel::{affinity, clock},
    model::{
        trial::{Received, Sent},
        units::Nanos,
    },
    workload::{
        Offered, Orders,
        fleet::{Ended, Load},
        iperf,
        network::TapCounters,
    },
};

/// How often guests are looked at while somebody waits.
const LOOK: Duration = Duration::from_millis(100);

/// What one guest was told to do, as far as it has been.
#[derive(Debug, Default)]
struct Duty {
    sends: Option<Offered>,
    hogs: usize,
    /// When each of its clients was told to end, until its report has come.
    ended: Vec<Nanos>,
    rtt: Vec<(Nanos, f64)>,
}

/// A load on VMs. Dropping it tells them to rest, silently.
pub(super) struct Work {
    vms: Arc<Mutex<Vms>>,
    counters: Arc<Vec<TapCounters>>,
    threads: Vec<u32>,
    duties: Vec<Duty>,
    stopped: bool,
}

impl Work {
    /// Sets the guests to work; it returns when they do.
    ///
    /// # Errors
    /// As [`Load::obey`]; a client does not get through to its server.
    pub(super) fn start(
        vms: &Arc<Mutex<Vms>>,
        counters: &Arc<Vec<TapCounters>>,
        threads: &[u32],
        orders: &Orders,
    ) -> Result<Self> {
        let duties = counters.iter().map(|_| Duty::default()).collect();
        let (vms, counters) = (vms.clone(), counters.clone());
        let mut work = Self { vms, counters, threads: threads.to_vec(), duties, stopped: false };
        work.obey(orders)?;
        work.each(|vm, _| vm.on_line(Channel::settle))?;
        Ok(work)
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
            duty.send(vm, number, sends, *frame)?;
            let hog = number.checked_sub(orders.senders).filter(|&hog| hog < orders.hogs);
            if let (Some(hog), true) = (hog, hogs.pinned) {
                confine(vm, &[cpus[hog % cpus.len()]])?;
            } else if hogs.pinned {
                confine(vm, cpus)?;
            }
            duty.hog(vm, hog.map_or(0, |_| hogs.threads))?;
        }
        Ok(())
    }

    /// Takes the reports that have come in.
    fn collect(&mut self) -> Result<()> {
        self.each(|vm, duty| {
            for report in vm.on_line(|channel| Ok(channel.reports()))? {
                let ended = duty.ended.remove(0);
                duty.rtt.extend(iperf::parse(&report)?.rtt(ended));
            }
            Ok(())
        })
    }

    fn end(&mut self) -> Result<()> {
        self.stopped = true;
        self.tell(&Orders { offered: Offered::Lockstep { kicks: 0 }, senders: 0, hogs: 0 })?;
        self.each(|vm, _| vm.on_line(Channel::settle))?;
        self.collect()
    }
}

impl Duty {
    /// Has the guest send this from now on.
    fn send(
        &mut self,
        vm: &mut Vm,
        number: usize,
        offered: Option<Offered>,
        frame: usize,
    ) -> Result<()> {
        if self.sends == offered {
            return Ok(());
        }
        if self.sends.is_some() {
            vm.on_line(|channel| channel.order(Order::Quiet))?;
            self.ended.push(clock::now());
        }
        if let Some(offered) = offered {
            let order = client(number, offered, frame)?;
            vm.on_line(|channel| channel.order(order))?;
        }
        self.sends = offered;
        Ok(())
    }

    /// Has so many `yes` run in the guest.
    fn hog(&mut self, vm: &mut Vm, count: usize) -> Result<()> {
        if self.hogs != count {
            vm.on_line(|channel| channel.order(Order::Hogs(count)))?;
            self.hogs = count;
        }
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

    /// The guests obey as soon as they get to it; [`Load::check`] finds those that do not.
    fn obey(&mut self, orders: &Orders) -> Result<()> {
        let idle = self.duties.len().saturating_sub(orders.senders);
        if orders.hogs > idle {
            let why = format!(
                "{} hogs beside {} senders in {} VMs",
                orders.hogs,
                orders.senders,
                self.duties.len()
            );
            return Err(Error::invalid("hogs", why, "Use more guests: a VM sends or is a hog"));
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

    /// No pace of theirs ends by itself.
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
    // At most network::MAX_GUESTS.
    let number = number as u16;
    Ok(Order::Send(iperf::port(number), iperf::client(number, iperf::rate(offered, frame)?)))
}

/// Has the processors of a VM run here.
fn confine(vm: &Vm, cpus: &[u32]) -> Result<()> {
    vm.processors()?.into_iter().try_for_each(|tid| affinity::pin(Some(tid), cpus))
}

fn panicked() -> Error {
    Error::Untrue("a load panicked".into())
}
