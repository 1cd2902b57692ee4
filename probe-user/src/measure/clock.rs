//! The bin clock: a reader that wakes at each bin edge and stamps it.

use std::time::Duration;

use probe_core::model::units::Nanos;
use rustix::time::{ClockId, Timespec};

use crate::kernel::clock::now;

/// Sleeps until `at` on `CLOCK_MONOTONIC`; a signal ends the sleep early.
fn sleep_until(at: Nanos) {
    let time = Timespec {
        tv_sec: i64::try_from(at.0 / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(at.0 % 1_000_000_000).unwrap_or(0),
    };
    let _ = rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &time);
}

/// Stamps the edges of bins of one width.
#[derive(Debug)]
pub struct BinClock {
    start: Nanos,
    width: Duration,
    edges: Vec<Nanos>,
    jitter: Nanos,
}

impl BinClock {
    /// Stamps the first edge now.
    pub fn start(width: Duration) -> Self {
        let start = now();
        Self { start, width, edges: vec![start], jitter: Nanos(0) }
    }

    /// Time left until the next edge is due.
    pub fn left(&self) -> Duration {
        self.due().since(now()).into()
    }

    /// Sleeps until the next edge is due and stamps it; returns its index. The schedule is
    /// absolute: a late edge does not delay those after it.
    pub fn wait(&mut self) -> usize {
        let due = self.due();
        while now() < due {
            sleep_until(due);
        }
        self.stamp(due)
    }

    /// Stamps a last edge now, before it is due, because the load has ended.
    pub fn last(&mut self) -> usize {
        self.stamp(now())
    }

    /// Time since the first edge.
    pub fn passed(&self) -> Nanos {
        now().since(self.start)
    }

    fn due(&self) -> Nanos {
        let offset = self.width.as_nanos() * self.edges.len() as u128;
        Nanos(self.start.0 + u64::try_from(offset).unwrap_or(u64::MAX))
    }

    fn stamp(&mut self, due: Nanos) -> usize {
        let at = now();
        self.jitter = self.jitter.max(at.since(due));
        self.edges.push(at);
        self.edges.len() - 1
    }

    /// The edges as stamped, and the greatest delay.
    pub fn finish(self) -> (Vec<Nanos>, Nanos) {
        (self.edges, self.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_edge_is_stamped_before_it_is_due() {
        let width = Duration::from_millis(2);
        let mut clock = BinClock::start(width);
        assert_eq!((clock.wait(), clock.wait(), clock.last()), (1, 2, 3));
        let (edges, _) = clock.finish();
        assert_eq!(edges.len(), 4);
        for (index, edge) in edges[..3].iter().enumerate() {
            let due = Nanos(edges[0].0 + 2_000_000 * index as u64);
            assert!(*edge >= due);
        }
    }
}
