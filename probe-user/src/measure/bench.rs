//! What all trials share, including the load under which they run.

use std::{
    cell::RefCell,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::{
        scenario::{BitRate, GuestKind, Overhead, Scenario},
        target::Target,
        trial::Pace,
    },
};

use super::guard::Guard;
use crate::{
    kernel::{hotplug::Hotplug, run::Run},
    workload::{Offered, Placement, Testbed, network::Limits},
};

/// Everything that trials have in common.
pub struct Bench<'a> {
    /// The owner of the objects that trials create.
    pub run: &'a Run,
    /// The guard that removes them if this process is killed.
    pub guard: &'a RefCell<Guard>,
    /// What is traced.
    pub target: &'a Target,
    /// The load.
    pub scenario: &'a Scenario,
    /// Which CPUs are the device under test, which the sink.
    pub placement: Placement,
    /// Whether other tracers may hold the target during trials.
    pub allow_shared: bool,
    /// Set when the user asks to stop.
    pub interrupted: &'a Arc<AtomicBool>,
    /// Limit of the cable, see [`Bench::calibrate`].
    pub link: Option<BitRate>,
    /// The testbed of this block's trials, between two of them.
    pub kept: RefCell<Option<Testbed>>,
    /// Reports CPUs that go offline or come online.
    pub hotplug: RefCell<Hotplug>,
}

impl Bench<'_> {
    /// The block's testbed, or a new one, with its limits.
    pub(super) fn testbed(&self) -> Result<Testbed> {
        let mut testbed = match self.kept.take() {
            Some(testbed) => testbed,
            None => Testbed::build(self.run, self.scenario, &self.placement, self.interrupted)?,
        };
        testbed.limit(Limits { link: self.link, guest: self.scenario.network.guest_limit })?;
        Ok(testbed)
    }

    /// Keeps the testbed for the block's next trial.
    pub(super) fn keep(&self, testbed: Testbed) {
        self.kept.replace(Some(testbed));
    }

    /// Ends a block. The next one draws a testbed of its own, so that what a testbed draws (a
    /// bridge's hash, where its memory lies) scatters between blocks, not within one. VMs take too
    /// long to boot for that, and serve the whole campaign.
    ///
    /// # Errors
    /// As [`Testbed::close`].
    pub(super) fn end_block(&self) -> Result<()> {
        match self.scenario.guests.kind {
            GuestKind::Kvm => Ok(()),
            GuestKind::Blast | GuestKind::Bridge | GuestKind::Existing => self.close(),
        }
    }

    /// Takes down the testbed that is kept.
    ///
    /// # Errors
    /// As [`Testbed::close`].
    pub fn close(&self) -> Result<()> {
        self.kept.take().map_or(Ok(()), Testbed::close)
    }

    /// The scenario's overhead table.
    pub(super) fn overhead(&self) -> Result<&Overhead> {
        self.scenario.overhead.as_ref().ok_or_else(|| {
            Error::invalid(
                format!("scenario {}", self.scenario.name),
                "it has no [overhead] table",
                "Measure its fidelity: --parts fidelity",
            )
        })
    }

    /// The scenario's table for an optional pace.
    pub(super) fn table<'t, T>(&self, name: &str, table: Option<&'t T>) -> Result<&'t T> {
        table.ok_or_else(|| {
            Error::invalid(
                format!("scenario {}", self.scenario.name),
                format!("it has no [overhead.{name}] table"),
                "Use one that has, such as quick",
            )
        })
    }

    /// The guests' offered load at `pace`.
    pub(super) fn offered(&self, pace: Pace) -> Result<Offered> {
        let (overhead, batch) = (self.overhead()?, self.scenario.guests.batch);
        Ok(match pace {
            Pace::ClosedLoop => Offered::ClosedLoop { kicks: overhead.closed_loop.kicks },
            Pace::Paced => {
                let rate = self.table("paced", overhead.paced.as_ref())?.rate;
                Offered::Paced { rate, batch, per_kick: 1 }
            }
            Pace::Saturated => Offered::Saturated { batch },
        })
    }
}

/// How many bins of this width a time has; at least one.
pub(super) fn bins(length: Duration, bin: Duration) -> usize {
    usize::try_from(length.as_nanos() / bin.as_nanos()).unwrap_or(usize::MAX).max(1)
}
