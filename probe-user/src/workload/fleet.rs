//! What a testbed requires of its guests, of whatever kind.

use std::{sync::Arc, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        trial::{Received, Sent},
        units::{Bytes, Nanos},
    },
};

use super::{Hogs, Orders};

/// The guests of a testbed. Dropping them takes them down, without reporting errors.
pub trait Fleet: Send {
    /// The vhost workers of all guests.
    fn workers(&self) -> &[Worker];

    /// The guests' TAPs, one each, in order.
    fn taps(&self) -> &[String];

    /// The guests' names, for people.
    fn names(&self) -> Vec<String> {
        (1..=self.taps().len()).map(|number| format!("guest{number}")).collect()
    }

    /// Starts the guests' load; there is one load at a time.
    ///
    /// # Errors
    /// A load is already running; the orders ask for something that these guests cannot do; a guest
    /// does not start.
    fn start(&self, orders: &Orders, hogs: &Arc<Hogs>) -> Result<Box<dyn Load>>;

    /// Kicks every receive queue and waits until its handler has found nothing to do: one call of
    /// `handle_rx` each.
    ///
    /// # Errors
    /// A load is running, or the rings are not ours to kick.
    fn kick_receivers(&self) -> Result<()> {
        Err(Error::unsupported(
            "kicking receive queues",
            "these guests have their own drivers",
            "Use guests of kind blast",
        ))
    }

    /// Bytes of each guest's traffic so far, if the network between the machines cannot tell.
    ///
    /// # Errors
    /// A counter is gone.
    fn bytes_by_guest(&self) -> Option<Result<Vec<u64>>> {
        None
    }

    /// Takes the guests down.
    ///
    /// # Errors
    /// A load is still running; otherwise the first error of the kernel. The rest is still taken
    /// down.
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

/// A running load. Dropping it stops it silently.
pub trait Load {
    /// Threads whose CPU time belongs to the load. They live until [`Load::stop`].
    fn threads(&self) -> &[u32];

    /// Threads whose CPU time belongs to the hogs; empty if hogs are processes in a VM.
    fn hogs(&self) -> &[u32];

    /// Changes what the guests and hogs do.
    ///
    /// # Errors
    /// The orders ask for something that these guests cannot do; a guest does not follow.
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

    /// Waits until every guest has finished its pace; returns false if `limit` passes first. Only
    /// the closed loop ends by itself.
    ///
    /// # Errors
    /// A guest failed; [`Load::stop`] says why.
    fn wait(&mut self, limit: Duration) -> Result<bool>;

    /// Whether all guests are still alive.
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

/// The results of a load that has ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ended {
    /// What all guests sent.
    pub sent: Sent,
    /// Round-trip times that each guest's sending TCP socket estimated, in µs, with the times
    /// (`CLOCK_MONOTONIC`). Empty for guests without TCP.
    pub rtt: Vec<Vec<(Nanos, f64)>>,
}
