//! Measures how long each phase of a trial takes, for the journal and, with `-vv`, for the
//! terminal.

use std::collections::BTreeMap;

use probe_core::model::{trial::Phase, units::Nanos};

use crate::kernel::clock;

/// Runs from the trial's first step to its last; a failed trial keeps the phases up to the failure.
#[derive(Debug)]
pub struct Stopwatch {
    laps: BTreeMap<Phase, Nanos>,
    since: Nanos,
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        Self { laps: BTreeMap::new(), since: clock::now() }
    }

    /// Ends a phase now.
    pub fn lap(&mut self, phase: Phase) {
        let now = clock::now();
        let took = now.since(self.since);
        log::debug!("{phase:?}: {:.3} s", took.as_secs());
        self.laps.insert(phase, took);
        self.since = now;
    }

    /// How long each finished phase took.
    pub fn laps(self) -> BTreeMap<Phase, Nanos> {
        self.laps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_follow_each_other_without_gaps() {
        let before = clock::now();
        let mut watch = Stopwatch::start();
        watch.lap(Phase::Build);
        watch.lap(Phase::Load);
        let all = clock::now().since(before);
        let laps = watch.laps();
        assert_eq!(laps.keys().copied().collect::<Vec<_>>(), [Phase::Build, Phase::Load]);
        assert!(laps.values().map(|lap| lap.0).sum::<u64>() <= all.0);
    }
}
