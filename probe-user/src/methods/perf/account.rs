//! What became of every hit: pure functions of what the kernel counted.

use super::events::Taken;
use crate::{
    error::{Error, Result},
    kernel::tracefs::probes::Profile,
    model::{
        loss::Loss,
        observation::{Estimate, Promise},
    },
    sys::perf::{Count, Reading},
};

/// What became of the hits of one place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fate {
    /// Hits that the events counted.
    pub(super) counted: u64,
    /// Records that were read.
    pub(super) recorded: u64,
    /// Records that should have been, and were not read.
    pub(super) lost: u64,
    /// Of those, the ones that the kernel says its rings had no room for; none where it does not tell.
    pub(super) no_room: Option<u64>,
    /// CPUs that it is the sum of.
    cpus: u64,
}

impl Fate {
    /// Of the hits of `place`, of which one in `period` leaves a record.
    ///
    /// An event counts every hit in the same step in which it decides about a record, so that the records that were due
    /// follow from the count: what is not there was lost, whatever the reason.
    ///
    /// # Errors
    /// There are more records than hits allow, as on kernels without "remove duplicate samples on the first tracepoint
    /// event" (its `perf_trace_add` sets no period, so that the first hit of each CPU counts as two).
    pub(super) fn of<'a>(
        place: usize,
        period: u64,
        readings: &[Reading],
        taken: impl Iterator<Item = &'a Taken>,
    ) -> Result<Self> {
        let mut fate = Self { counted: 0, recorded: 0, lost: 0, no_room: Some(0), cpus: 0 };
        for (reading, taken) in readings.iter().zip(taken) {
            let Count { value, lost: no_room } = reading.counts[place];
            let (due, recorded) = (value / period, taken.records[place]);
            let Some(lost) = due.checked_sub(recorded + no_room.unwrap_or(0)) else {
                let found = format!("{recorded} records and {no_room:?} lost ones of {value} hits");
                let why = format!("perf made too many records: {found}, one in {period}");
                return Err(Error::Untrue(why));
            };
            fate.counted += value;
            fate.recorded += recorded;
            fate.lost += lost + no_room.unwrap_or(0);
            fate.no_room = fate.no_room.zip(no_room).map(|(sum, n)| sum + n);
            fate.cpus += 1;
        }
        Ok(fate)
    }

    /// What the records alone say about the number of hits: each stands for `period`, and each CPU may have begun a
    /// period that it did not end.
    #[expect(clippy::cast_precision_loss, reason = "no trial has 2^53 hits")]
    pub(super) fn estimate(&self, period: u64) -> Estimate {
        let records = self.recorded + self.no_room.unwrap_or(self.lost);
        let lo = records * period;
        let hi = lo + (period - 1) * self.cpus;
        Estimate { calls: lo as f64, lo: lo as f64, hi: hi as f64, promise: Promise::Always }
    }
}

/// What the kernel counted at the probes, read before and after the events were switched on, and before and after they
/// were switched off.
#[derive(Debug, Default)]
pub(super) struct Profiles(pub(super) Vec<Option<Vec<Profile>>>);

impl Profiles {
    /// Hits that no event saw. `counted` is what the events saw at each place.
    ///
    /// A probe that is hit inside of another probe's handler does not run; the kernel counts that (`nmissed`). And perf
    /// takes no event while it works on another in the same context (`perf_swevent_get_recursion_context`), which it
    /// does not count; but then the probe was hit more often than the events counted. Of tracepoints the kernel counts
    /// neither.
    pub(super) fn missed(&self, counted: &[u64]) -> Loss {
        let [Some(before), Some(on), Some(off), Some(after)] = &self.0[..] else {
            return Loss::Unknown;
        };
        let sum = |of: &dyn Fn(usize) -> u64| (0..counted.len()).map(of).sum::<u64>();
        let skipped = sum(&|i| after[i].missed - before[i].missed);
        let unseen = sum(&|i| (off[i].hits - on[i].hits).saturating_sub(counted[i]));
        match unseen {
            0 => Loss::Exact(skipped),
            _ => Loss::AtLeast(skipped + unseen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Nanos;

    fn reading(value: u64, lost: Option<u64>) -> Reading {
        let counts = vec![Count { value, lost }];
        Reading { enabled: Nanos(1), running: Nanos(1), counts }
    }

    fn taken(records: u64) -> Taken {
        Taken { records: vec![records], ..Taken::default() }
    }

    #[test]
    fn every_hit_is_recorded_or_lost() {
        let readings = [reading(10, Some(3)), reading(5, Some(0))];
        let fate = Fate::of(0, 1, &readings, [taken(7), taken(5)].iter()).unwrap();
        assert_eq!((fate.counted, fate.recorded, fate.lost, fate.no_room), (15, 12, 3, Some(3)));
        // A kernel that does not tell: the count tells.
        let fate = Fate::of(0, 1, &[reading(10, None)], [taken(7)].iter()).unwrap();
        assert_eq!((fate.lost, fate.no_room), (3, None));
        // A record that is missing for another reason than room.
        let fate = Fate::of(0, 1, &[reading(10, Some(1))], [taken(8)].iter()).unwrap();
        assert_eq!((fate.lost, fate.no_room), (2, Some(1)));
    }

    #[test]
    fn one_in_n_bounds_the_hits_per_cpu() {
        let readings = [reading(199, Some(0)), reading(300, Some(1))];
        let fate = Fate::of(0, 100, &readings, [taken(1), taken(2)].iter()).unwrap();
        assert_eq!((fate.counted, fate.recorded, fate.lost), (499, 3, 1));
        let estimate = fate.estimate(100);
        assert_eq!((estimate.calls, estimate.lo, estimate.hi), (400.0, 400.0, 598.0));
        assert_eq!(estimate.promise, Promise::Always);
    }

    #[test]
    fn more_records_than_hits_are_no_result() {
        let error = Fate::of(0, 100, &[reading(200, Some(0))], [taken(4)].iter()).unwrap_err();
        assert!(error.to_string().contains("too many records"), "{error}");
    }

    #[test]
    fn what_no_event_saw_is_missed() {
        let profile = |hits, missed| Some(vec![Profile { hits, missed }]);
        let seen = |on, off, after| Profiles(vec![profile(5, 1), on, off, after]);
        let missed = seen(profile(6, 1), profile(10, 1), profile(11, 3)).missed(&[5]);
        assert_eq!(missed, Loss::Exact(2));
        let missed = seen(profile(6, 1), profile(12, 1), profile(12, 3)).missed(&[5]);
        assert_eq!(missed, Loss::AtLeast(3));
        assert_eq!(Profiles(vec![None; 4]).missed(&[5]), Loss::Unknown);
        assert_eq!(Profiles::default().missed(&[5]), Loss::Unknown);
    }
}
