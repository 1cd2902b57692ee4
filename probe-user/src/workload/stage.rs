//! Everything that a load needs, built and taken down as one.

use std::sync::{Arc, Mutex};

use crate::{
    error::{Error, Result},
    kernel::{affinity, run::Run},
    model::scenario::{GuestKind, Guests},
    workload::{
        Placement,
        blast::Offered,
        frame,
        guest::Guest,
        load::Load,
        network::{MAX_GUESTS, Network},
        sink::Sink,
        vhost::device::Queue,
    },
};

/// Guests with their vhost devices, the network and the sink. It serves one load after the other.
///
/// Dropping it takes it down as [`Stage::close`] does, without a word about what failed.
pub struct Stage {
    // Before the network: their devices hold its TAPs.
    guests: Vec<Arc<Mutex<Guest>>>,
    workers: Vec<u32>,
    taps: Vec<String>,
    network: Network,
    placement: Placement,
}

impl Stage {
    /// Builds it for `guests`, whose threads and vhost workers go to the load's CPUs.
    ///
    /// # Errors
    /// A value out of range; not root; something that this kernel lacks. What was built by then is taken down.
    pub fn build(run: &Run, guests: &Guests, placement: &Placement) -> Result<Self> {
        let Guests { kind: GuestKind::Blast, count, frame, ring, batch: _, event_idx } = *guests;
        check(count, frame)?;
        placement.check()?;
        let (network, taps) = Network::build(run, count, frame, placement)?;
        let mut stage = Self {
            guests: Vec::new(),
            workers: Vec::new(),
            taps: Vec::new(),
            network,
            placement: placement.clone(),
        };
        for (number, tap) in (0..).zip(taps) {
            let guest = Guest::new(tap, number, ring, frame, event_idx)?;
            affinity::pin(Some(guest.device().worker()), &placement.load)?;
            stage.workers.push(guest.device().worker());
            stage.taps.push(guest.device().tap().name().into());
            stage.guests.push(Arc::new(Mutex::new(guest)));
        }
        Ok(stage)
    }

    /// What arrives at machine 2.
    pub fn sink(&self) -> &Sink {
        self.network.sink()
    }

    /// The two machines.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Thread id of each guest's vhost worker.
    pub fn workers(&self) -> &[u32] {
        &self.workers
    }

    /// Name of each guest's TAP, an interface of machine 1.
    pub fn taps(&self) -> &[String] {
        &self.taps
    }

    /// Starts a load. It outlives a borrow of the stage, so that the sink can be read meanwhile; there is one at a time.
    ///
    /// # Errors
    /// A load runs already.
    pub fn start(&self, offered: Offered) -> Result<Load> {
        Load::start(&self.guests, offered, &self.placement.load)
    }

    /// Kicks every receive queue and waits until its handler has found nothing to do: one call of `handle_rx` each.
    ///
    /// # Errors
    /// A load runs, or the kick is refused.
    pub fn kick_receivers(&self) -> Result<()> {
        for guest in &self.guests {
            let guest = guest.try_lock().map_err(|_| busy())?;
            let kick = &guest.device().events(Queue::Receive).kick;
            kick.signal().map_err(|e| Error::call("write", "the kick eventfd", e))?;
            guest.device().flush()?;
        }
        Ok(())
    }

    /// Takes everything down.
    ///
    /// # Errors
    /// A load still runs; the first thing that the kernel refused. The rest is taken down all the same.
    pub fn close(self) -> Result<()> {
        let closed: Vec<_> = self.guests.into_iter().map(close).collect();
        // Only now, without the TAPs.
        let network = self.network.close();
        closed.into_iter().collect::<Result<()>>().and(network)
    }
}

fn close(guest: Arc<Mutex<Guest>>) -> Result<()> {
    let guest = Arc::into_inner(guest).ok_or_else(busy)?;
    // A panic leaves the guest's counts in doubt, but its device can be closed.
    guest.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).close()
}

fn busy() -> Error {
    Error::Untrue("a load still runs on the stage".into())
}

fn check(count: usize, frame: usize) -> Result<()> {
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
