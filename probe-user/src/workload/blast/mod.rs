//! Guests without VMs that fill their TX rings themselves: exact numbers of frames and kicks, at
//! any pace.

mod bell;
pub mod frame;
pub mod guest;
mod load;
mod pace;

use std::sync::{Arc, Mutex, PoisonError};

use guest::Guest;
use load::Senders;
use probe_core::{
    error::{Error, Result},
    model::scenario::Guests,
};

use super::{
    Hogs, Offered, Orders,
    fleet::{Fleet, Load, Worker},
    placement::Placement,
    vhost::device::Queue,
};
use crate::{kernel::affinity, sys::tun::Tap};

/// The blast guests of a testbed.
pub(super) struct Blast {
    guests: Vec<Arc<Mutex<Guest>>>,
    workers: Vec<Worker>,
    taps: Vec<String>,
    cpus: Vec<u32>,
}

impl Blast {
    /// One guest behind each of `taps`.
    ///
    /// # Errors
    /// A value out of range; something that this kernel lacks.
    pub(super) fn build(taps: Vec<Tap>, spec: &Guests, placement: &Placement) -> Result<Self> {
        let cpus = placement.load.clone();
        let mut fleet = Self { guests: Vec::new(), workers: Vec::new(), taps: Vec::new(), cpus };
        for (number, tap) in (0..).zip(taps) {
            let guest = Guest::new(tap, number, spec.ring, spec.frame, spec.event_idx)?;
            let worker = guest.device().worker();
            affinity::pin(Some(worker), &placement.load)?;
            fleet.workers.push(Worker { guest: number.into(), tid: worker });
            fleet.taps.push(guest.device().tap().name().into());
            fleet.guests.push(Arc::new(Mutex::new(guest)));
        }
        Ok(fleet)
    }
}

impl Fleet for Blast {
    fn workers(&self) -> &[Worker] {
        &self.workers
    }

    fn taps(&self) -> &[String] {
        &self.taps
    }

    fn start(&self, orders: &Orders, hogs: &Arc<Hogs>) -> Result<Box<dyn Load>> {
        Ok(Box::new(Senders::start(&self.guests, orders, hogs, &self.cpus)?))
    }

    fn kick_receivers(&self) -> Result<()> {
        for guest in &self.guests {
            let guest = guest.try_lock().map_err(|_| busy())?;
            let kick = &guest.device().events(Queue::Receive).kick;
            kick.signal().map_err(|e| Error::call("write", "the kick eventfd", e))?;
            guest.device().flush()?;
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        let closed: Vec<_> = self.guests.into_iter().map(close).collect();
        closed.into_iter().collect()
    }
}

fn close(guest: Arc<Mutex<Guest>>) -> Result<()> {
    let guest = Arc::into_inner(guest).ok_or_else(busy)?;
    // After a panic the guest's counts are unreliable, but its device can be closed.
    guest.into_inner().unwrap_or_else(PoisonError::into_inner).close()
}

fn busy() -> Error {
    Error::Inconsistent("a load is still running on the testbed".into())
}
