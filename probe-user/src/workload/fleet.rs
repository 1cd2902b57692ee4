//! What a testbed asks of its guests, whatever they are.

use std::{sync::Arc, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        trial::{Received, Sent},
        units::{Bytes, Nanos},
    },
};

use super::{Hogs, Orders};

/// The guests of a testbed. Dropping them takes them down, without a word about what failed.
pub trait Fleet: Send {
    /// The vhost workers of all guests.
    fn workers(&self) -> &[Worker];

    /// The guests' TAPs, one for each, in their order.
    fn taps(&self) -> &[String];

    /// The guests' names for people.
    fn names(&self) -> Vec<String> {
        (1..=self.taps().len()).map(|number| format!("guest{number}")).collect()
    }

    /// Sets the guests to work, one load at a time.
    ///
    /// # Errors
    /// A load runs already; the orders ask for what such guests cannot do; a guest does not start.
    fn start(&self, orders: &Orders, hogs: &Arc<Hogs>) -> Result<Box<dyn Load>>;

    /// Kicks every receive queue and waits until its handler has found nothing to do: one call of
    /// `handle_rx` each.
    ///
    /// # Errors
    /// A load runs, or the rings are not ours to kick.
    fn kick_receivers(&self) -> Result<()> {
        Err(Error::unsupported(
            "kicking receive queues",
            "these guests have their own drivers",
            "Use guests of kind blast",
        ))
    }

    /// Bytes of each guest's traffic so far, where the network between the machines cannot tell.
    ///
    /// # Errors
    /// A counter is gone.
    fn bytes_by_guest(&self) -> Option<Result<Vec<u64>>> {
        None
    }

    /// Takes the guests down.
    ///
    /// # Errors
    /// A load still runs; the first thing that the kernel refused. The rest is taken down all the
    /// same.
    fn close(self: Box<Self>) -> Result<()>;
}

/// A vhost worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Number of its guest.
    pub guest: usize,
    /// Its thread id.
    pub tid: u32,
}

/// A running load. Dropping it stops it, silently.
pub trait Load {
    /// Threads whose CPU time is the load's. They live until [`Load::stop`].
    fn threads(&self) -> &[u32];

    /// Threads whose CPU time is the hogs'; none where hogs are processes in a VM.
    fn hogs(&self) -> &[u32];

    /// Changes what the guests and hogs do.
    ///
    /// # Errors
    /// The orders ask for what these guests cannot do; a guest does not obey.
    fn obey(&mut self, orders: &Orders) -> Result<()>;

    /// What each guest has sent so far.
    ///
    /// # Errors
    /// A counter is gone.
    fn sent_by_guest(&self) -> Result<Vec<Sent>>;

    /// What each guest has received so far.
    ///
    /// # Errors
    /// A counter is gone.
    fn received_by_guest(&self) -> Result<Vec<Received>>;

    /// What all guests have sent so far.
    ///
    /// # Errors
    /// A counter is gone.
    fn sent(&self) -> Result<Sent> {
        let none = Sent { kicks: Some(0), ..Sent::default() };
        Ok(self.sent_by_guest()?.into_iter().fold(none, |sum, sent| Sent {
            kicks: sum.kicks.zip(sent.kicks).map(|(a, b)| a + b),
            frames: sum.frames + sent.frames,
            bytes: Bytes(sum.bytes.0 + sent.bytes.0),
        }))
    }

    /// Waits until every guest is through with its pace; false if `limit` passes first. Only
    /// closed loop ends by itself.
    ///
    /// # Errors
    /// A guest failed; [`Load::stop`] says why.
    fn wait(&mut self, limit: Duration) -> Result<bool>;

    /// Whether all guests still live.
    ///
    /// # Errors
    /// A guest failed; [`Load::stop`] says why.
    fn check(&mut self) -> Result<()>;

    /// Stops guests and hogs, and waits until what was in flight has been sent.
    ///
    /// # Errors
    /// That of the first guest that failed.
    fn stop(self: Box<Self>) -> Result<Ended>;
}

/// What is known of a load once it has ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ended {
    /// What all guests sent.
    pub sent: Sent,
    /// Round-trip times that each guest's sending TCP socket estimated: when (`CLOCK_MONOTONIC`),
    /// in µs. Empty for guests without TCP.
    pub rtt: Vec<Vec<(Nanos, f64)>>,
}
