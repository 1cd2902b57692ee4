//! Makes sure that the set of online CPUs does not change during a measurement.
//!
//! When a CPU goes offline, the kernel moves its threads to any other CPU, permanently
//! (kernel/sched/core.c, `select_fallback_rq`), and closes perf events there. A CPU that comes
//! online has no perf events, and no ring that anybody reads. So a change during a trial makes the
//! trial an error row, whatever its outcome, and what was set up for the earlier CPUs is not
//! reused.

use std::{
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use probe_core::error::{Error, Result};

use super::bench::Bench;
use crate::kernel::{affinity, hotplug::Change};

/// How long a trial waits for an offline CPU: about as long as a trial takes. Without this, all
/// remaining trials would become error rows if a CPU was away for a second.
const BACK_WITHIN: Duration = Duration::from_secs(10);

impl Bench<'_> {
    /// Does something that is valid only if no CPU changes state meanwhile. The calling thread
    /// reads at the bin edges: it runs on the sink's CPU, so that no hog delays it.
    ///
    /// # Errors
    /// An error of `measure`; a CPU of the placement cannot be used; a CPU went offline or came
    /// online meanwhile.
    pub(super) fn steadily<T>(&self, measure: impl FnOnce() -> Result<T>) -> Result<T> {
        self.settle()?;
        affinity::pin(None, &self.placement.sink)?;
        let outcome = measure();
        if matches!(outcome, Err(Error::Interrupted)) {
            return outcome;
        }
        let changes = self.hotplug.borrow_mut().changes();
        let steady = match changes {
            Ok(changes) if changes.is_empty() => self.placement.is_there(),
            Ok(changes) => Err(changed(&changes, outcome.as_ref().err())),
            Err(untold) => Err(untold),
        };
        if steady.is_err() {
            self.let_go();
        }
        steady.and(outcome)
    }

    /// Makes sure that the CPUs are online. Threads of a testbed that was built before a CPU
    /// changed state are on other CPUs.
    fn settle(&self) -> Result<()> {
        let there = self.await_placement();
        let changes = self.hotplug.borrow_mut().changes();
        match &changes {
            Ok(changes) if changes.is_empty() && there.is_ok() => return Ok(()),
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => log::warn!("before this trial, {}", told(changes)),
            Err(error) => log::warn!("before this trial, {error}"),
        }
        self.let_go();
        there
    }

    /// Takes down a kept testbed. An error here is not the reason that the trial failed.
    fn let_go(&self) {
        if let Err(error) = self.close() {
            log::warn!("{error}");
        }
    }

    /// Waits for a limited time for CPUs that cannot be used now.
    fn await_placement(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.placement.is_there() {
                Err(_) if self.interrupted.load(Ordering::Relaxed) => {
                    return Err(Error::Interrupted);
                }
                Err(_) if began.elapsed() < BACK_WITHIN => {
                    thread::sleep(Duration::from_millis(100));
                }
                outcome => return outcome,
            }
        }
    }
}

fn changed(changes: &[Change], outcome: Option<&Error>) -> Error {
    let failed = outcome.map(|error| format!(" (it also failed: {error})")).unwrap_or_default();
    Error::unsupported(
        "the trial's CPUs",
        format!("{} during the trial{failed}", told(changes)),
        "Keep CPUs online during a campaign: no chcpu, no smt/control, no hotplug by the \
         hypervisor",
    )
}

/// All changes in one sentence; if a CPU changes state all the time, only the first changes.
fn told(changes: &[Change]) -> String {
    const MOST: usize = 8;
    let mut told: Vec<_> = changes.iter().take(MOST).map(Change::to_string).collect();
    if changes.len() > MOST {
        told.push(format!("and {} more changes", changes.len() - MOST));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(cpu: u32) -> Change {
        Change { cpu, online: false }
    }

    #[test]
    fn a_change_names_the_cpu_what_it_led_to_and_what_to_do() {
        let error = changed(&[gone(2), Change { cpu: 2, online: true }], None).to_string();
        assert!(
            error.starts_with(
                "the trial's CPUs: CPU 2 went offline, CPU 2 came online during the trial. Keep \
                 CPUs online"
            ),
            "{error}"
        );
        let led_to = Error::Inconsistent("24 bytes for 2 events".into());
        let error = changed(&[gone(1)], Some(&led_to)).to_string();
        assert!(error.contains("during the trial (it also failed: 24 bytes"), "{error}");
    }

    #[test]
    fn a_hundred_changes_are_no_novel() {
        let changes: Vec<_> = (0..100).map(gone).collect();
        assert!(told(&changes).ends_with("CPU 7 went offline, and 92 more changes"));
    }
}
