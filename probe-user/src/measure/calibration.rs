//! Measures what the cable carries when saturated, in order to cap it below that.

use std::{sync::atomic::Ordering, thread, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::scenario::{BitRate, Link},
};

use super::bench::Bench;
use crate::{
    kernel::clock,
    workload::{Offered, Orders, Testbed},
};

/// How long the throughput is measured.
const WATCHED: Duration = Duration::from_secs(5);

impl Bench<'_> {
    /// The cap in the scenario: a rate, or a share of the saturated throughput at the sink when as
    /// many guests send as ever do in the schedule, without hogs.
    ///
    /// # Errors
    /// The load fails, nothing arrives, or the user ends the run.
    pub fn calibrate(&self) -> Result<Option<BitRate>> {
        match self.scenario.network.link {
            None => Ok(None),
            Some(Link::Rate(rate)) => Ok(Some(rate)),
            Some(Link::Share(share)) => {
                let flow = self.steadily(|| {
                    let mut testbed = self.testbed()?;
                    let flow = self.flow(&testbed)?;
                    testbed.check()?;
                    self.keep(testbed);
                    Ok(flow)
                })?;
                let cap = BitRate::new((share * flow).round());
                cap.map(Some)
                    .ok_or_else(|| Error::Inconsistent("no frame arrives when saturated".into()))
            }
        }
    }

    /// Bits per second at the sink, when saturated.
    #[expect(clippy::cast_precision_loss, reason = "no trial sends 2^53 bytes")]
    fn flow(&self, testbed: &Testbed) -> Result<f64> {
        let guests = self.scenario.guests.count;
        let sections = &self.scenario.fidelity.sections;
        let senders = sections.iter().map(|section| section.senders.unwrap_or(guests)).max();
        let offered = Offered::Saturated { batch: self.scenario.guests.batch };
        let senders = senders.unwrap_or(guests);
        let mut load = testbed.start(Orders { offered, senders, hogs: 0 })?;
        self.pause(self.scenario.settle)?;
        let (start, before) = (clock::now(), testbed.sink().read()?.bytes.0);
        self.pause(WATCHED)?;
        let (end, after) = (clock::now(), testbed.sink().read()?.bytes.0);
        load.check()?;
        load.stop()?;
        Ok((after - before) as f64 * 8.0 / end.since(start).as_secs())
    }

    /// Sleeps, but stops when the user ends the run.
    fn pause(&self, length: Duration) -> Result<()> {
        let end = std::time::Instant::now() + length;
        while !self.interrupted.load(Ordering::Relaxed) {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(100)));
        }
        Err(Error::Interrupted)
    }
}
