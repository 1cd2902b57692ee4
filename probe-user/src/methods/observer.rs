//! An active method.

use std::os::fd::BorrowedFd;

use probe_core::{
    error::Result,
    model::{observation::Observation, target::Target, units::Nanos},
};

use super::{Cadence, Session, Sink};
use crate::kernel::clock;

/// Takes a session through its steps, and records what is the same for all methods: when it started
/// to observe, when it stopped, and what was attached.
pub struct Observer {
    session: Box<dyn Session>,
    target: Target,
    attached: Vec<String>,
    enabled: Option<Nanos>,
    observed: Nanos,
}

impl Observer {
    pub(super) fn new(session: Box<dyn Session>, target: &Target) -> Self {
        let (target, attached) = (target.clone(), Vec::new());
        Self { session, target, attached, enabled: None, observed: Nanos(0) }
    }

    /// When it must be drained.
    pub fn cadence(&self) -> Cadence {
        self.session.cadence()
    }

    /// The descriptors that its reader waits for.
    pub fn ready(&self) -> Vec<BorrowedFd<'_>> {
        self.session.ready()
    }

    /// Starts observing. The time starts before anything is observed.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn enable(&mut self) -> Result<()> {
        self.enabled = Some(clock::now());
        self.session.start()?;
        match self.session.attached(&self.target) {
            Ok(attached) => self.attached = attached,
            Err(error) => {
                // Report the first failure, but stop observing all the same.
                let _ = self.session.stop();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Passes all new data to `sink`; never blocks.
    ///
    /// # Errors
    /// As [`Session::drain`].
    pub fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        self.session.drain(sink)
    }

    /// Stops observing; what was recorded remains readable. The time ends when this is called: what
    /// a method then waits for (programs that are still running, its process) is not observation.
    ///
    /// # Errors
    /// As [`Session::stop`].
    pub fn disable(&mut self) -> Result<()> {
        self.observed = self.enabled.take().map_or(self.observed, |at| clock::now().since(at));
        self.session.stop()
    }

    /// Releases everything and accounts for it.
    ///
    /// # Errors
    /// As [`Session::account`].
    pub fn detach(self) -> Result<Observation> {
        let Self { session, attached, observed, .. } = self;
        let (enabled, running) = (observed, observed);
        session.account(Observation { enabled, running, attached, ..Observation::default() })
    }
}
