//! What happened to every hit: pure functions of the kernel's counts.

use std::fmt::Display;

use probe_core::{
    error::{Error, Result},
    model::{
        loss::Loss,
        observation::{EstimatedCalls, Promise},
    },
};

use super::events::Taken;
use crate::{
    kernel::probe_events::Profile,
    sys::perf::{Count, Reading},
};

/// Hits of one CPU that its events may have counted without a record although there was room: those
/// that the interrupt that disabled the events hit between the two.
///
/// The kernel counts a hit, then disables interrupts and writes the record only if the event is
/// still enabled (`perf_swevent_event`, since "perf: Fix `__perf_event_overflow()` vs
/// `perf_remove_from_context()` race"; earlier kernels write it in any case). Such a hit cannot
/// migrate, and perf handles one at a time in each context (`perf_swevent_get_recursion_context`).
/// Interrupts are enabled in two of these: a task's, and the soft interrupt's above it.
const CUT_OFF: u64 = 2;

/// What happened to the hits of one place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HitFates {
    /// Hits that the events counted.
    pub(super) counted: u64,
    /// Records that were read.
    pub(super) recorded: u64,
    /// Records that should have been read, but were not.
    pub(super) lost: u64,
    /// Number of these that were cut off when the events were disabled; the kernel's rings had no
    /// room for the others.
    pub(super) cut_off: u64,
    /// Number of CPUs in this sum.
    cpus: u64,
}

impl HitFates {
    /// Of the hits of each of `places`, of which one in `period` leaves a record.
    ///
    /// The number of records due follows from the count of hits; the number without room is
    /// reported by the kernel (since 6.0). A record that is due must be read or be without room, so
    /// a record lost on the way is detected. Before 6.0 there is only the ring's own report besides
    /// the count: what was due and not read is lost.
    ///
    /// # Errors
    /// The kernel's counts and the records contradict each other. There are more records than hits
    /// allow on kernels without "remove duplicate samples on the first tracepoint event" (their
    /// `perf_trace_add` sets no period, so the first hit of each CPU counts as two).
    pub(super) fn of_all<'a>(
        places: usize,
        period: u64,
        readings: &[Reading],
        taken: impl Iterator<Item = &'a Taken>,
    ) -> Result<Vec<Self>> {
        let mut fates = vec![Self::default(); places];
        for (reading, taken) in readings.iter().zip(taken) {
            let (mut no_room, mut cut_off) = (0, 0);
            for ((fate, count), &recorded) in
                fates.iter_mut().zip(&reading.counts).zip(&taken.records)
            {
                let one = Self::of(period, *count, recorded)?;
                no_room += one.lost - one.cut_off;
                cut_off += one.cut_off;
                fate.add(&one);
            }
            if cut_off > CUT_OFF {
                return Err(inconsistent(format!(
                    "{cut_off} records of the kernel are missing, besides {no_room} for which \
                     there was no room"
                )));
            }
            if taken.lost > no_room {
                let told = taken.lost;
                return Err(inconsistent(format!(
                    "a ring reports no room for {told} records, its events for {no_room}"
                )));
            }
        }
        Ok(fates)
    }

    /// On one CPU.
    fn of(period: u64, count: Count, recorded: u64) -> Result<Self> {
        let Count { value: counted, lost: no_room } = count;
        let due = counted / period;
        let Some(cut_off) = due.checked_sub(recorded + no_room.unwrap_or(0)) else {
            let found = format!("{recorded} records and {no_room:?} lost ones of {counted} hits");
            return Err(inconsistent(format!("too many records: {found}, one in {period}")));
        };
        let cut_off = no_room.map_or(0, |_| cut_off);
        Ok(Self { counted, recorded, lost: due - recorded, cut_off, cpus: 1 })
    }

    fn add(&mut self, other: &Self) {
        self.counted += other.counted;
        self.recorded += other.recorded;
        self.lost += other.lost;
        self.cut_off += other.cut_off;
        self.cpus += other.cpus;
    }

    /// The number of hits according to the records alone: each represents `period` hits, and each
    /// CPU may have started a period that it did not end, and counted hits that were cut off.
    #[expect(clippy::cast_precision_loss, reason = "no trial has 2^53 hits")]
    pub(super) fn estimate(&self, period: u64) -> EstimatedCalls {
        let records = self.recorded + self.lost - self.cut_off;
        let lo = records * period;
        let hi = lo + (period - 1 + CUT_OFF) * self.cpus;
        EstimatedCalls { calls: lo as f64, lo: lo as f64, hi: hi as f64, promise: Promise::Always }
    }
}

fn inconsistent(why: impl Display) -> Error {
    Error::Inconsistent(format!("perf contradicts itself: {why}"))
}

/// The kernel's counts of the probes, read before and after the events were enabled, and before and
/// after they were disabled.
#[derive(Debug, Default)]
pub(super) struct Profiles(pub(super) Vec<Option<Vec<Profile>>>);

impl Profiles {
    /// Hits that no event saw. `counted` are the events' counts at each place.
    ///
    /// A probe that is hit inside another probe's handler does not run; the kernel counts that
    /// (`nmissed`). And perf ignores an event while it handles another one in the same context
    /// (`perf_swevent_get_recursion_context`). The kernel does not count that, but then the probe
    /// was hit more often than the events counted. For tracepoints the kernel counts neither.
    ///
    /// The events were enabled for at least the time between the inner two profiles and at most
    /// that between the outer two. The number is exact if both give the same result.
    pub(super) fn missed(&self, counted: &[u64]) -> Loss {
        let [Some(before), Some(on), Some(off), Some(after)] = &self.0[..] else {
            return Loss::Unknown;
        };
        let places = 0..counted.len();
        let least = places.clone().map(|i| {
            let unseen = (off[i].hits - on[i].hits).saturating_sub(counted[i]);
            off[i].missed - on[i].missed + unseen
        });
        let most = places.map(|i| {
            let unseen = (after[i].hits - before[i].hits).checked_sub(counted[i])?;
            Some(after[i].missed - before[i].missed + unseen)
        });
        let (least, most) = (least.sum(), most.sum::<Option<u64>>());
        if most == Some(least) { Loss::Exact(least) } else { Loss::AtLeast(least) }
    }
}

#[cfg(test)]
mod tests {
    use probe_core::model::units::Nanos;

    use super::*;

    fn reading(value: u64, lost: Option<u64>) -> Reading {
        let counts = vec![Count { value, lost }];
        Reading { enabled: Nanos(1), running: Nanos(1), counts }
    }

    fn taken(records: u64, lost: u64) -> Taken {
        Taken { records: vec![records], lost, ..Taken::default() }
    }

    fn fate(period: u64, cpus: &[(Reading, Taken)]) -> Result<HitFates> {
        let (readings, taken): (Vec<_>, Vec<_>) = cpus.iter().cloned().unzip();
        Ok(HitFates::of_all(1, period, &readings, taken.iter())?.remove(0))
    }

    fn refusal(period: u64, value: u64, lost: Option<u64>, taken: Taken) -> String {
        fate(period, &[(reading(value, lost), taken)]).unwrap_err().to_string()
    }

    #[test]
    fn every_hit_is_recorded_or_lost() {
        let cpus = [(reading(10, Some(3)), taken(7, 2)), (reading(5, Some(0)), taken(5, 0))];
        let sum = HitFates { counted: 15, recorded: 12, lost: 3, cut_off: 0, cpus: 2 };
        assert_eq!(fate(1, &cpus).unwrap(), sum);
        // The kernel does not report it, but the count shows it.
        let untold = fate(1, &[(reading(10, None), taken(7, 3))]).unwrap();
        assert_eq!(untold, HitFates { counted: 10, recorded: 7, lost: 3, cut_off: 0, cpus: 1 });
    }

    #[test]
    fn records_that_go_lost_on_the_way_are_no_buffer_loss() {
        // At most the number that disabling the events can cut off.
        let cut = fate(1, &[(reading(10, Some(1)), taken(7, 1))]).unwrap();
        assert_eq!((cut.lost, cut.cut_off), (3, 2));
        let error = refusal(1, 10, Some(1), taken(6, 1));
        assert!(error.contains("3 records of the kernel are missing"), "{error}");
        // For all places of a CPU together.
        let two = |lost| vec![Count { value: 10, lost }, Count { value: 10, lost }];
        let reading = Reading { counts: two(Some(0)), ..Reading::default() };
        let taken = Taken { records: vec![8, 9], ..Taken::default() };
        assert!(HitFates::of_all(2, 1, &[reading], [taken].iter()).is_err());
    }

    #[test]
    fn a_ring_loses_no_more_than_its_events() {
        for lost in [Some(3), None] {
            let error = refusal(1, 10, lost, taken(7, 4));
            assert!(error.contains("no room for 4 records, its events for 3"), "{error}");
        }
    }

    #[test]
    fn one_in_n_bounds_the_hits_per_cpu() {
        let cpus = [(reading(199, Some(0)), taken(1, 0)), (reading(300, Some(1)), taken(2, 1))];
        let sum = fate(100, &cpus).unwrap();
        assert_eq!((sum.counted, sum.recorded, sum.lost), (499, 3, 1));
        let estimate = sum.estimate(100);
        assert_eq!((estimate.calls, estimate.lo, estimate.hi), (400.0, 400.0, 602.0));
        assert_eq!(estimate.promise, Promise::Always);
    }

    /// The kernel counts a hit that is cut off, and its period continues without it.
    #[test]
    fn the_bounds_hold_hits_that_were_cut_off() {
        let sum = fate(100, &[(reading(201, Some(0)), taken(1, 0))]).unwrap();
        assert_eq!((sum.lost, sum.cut_off), (1, 1));
        let estimate = sum.estimate(100);
        assert_eq!((estimate.lo, estimate.hi), (100.0, 201.0));
    }

    #[test]
    fn more_records_than_hits_are_no_result() {
        let error = refusal(100, 200, Some(0), taken(4, 0));
        assert!(error.contains("too many records"), "{error}");
    }

    #[test]
    fn what_no_event_saw_is_missed() {
        let missed = |profiles: [(u64, u64); 4], counted| {
            let profile = |(hits, missed)| Some(vec![Profile { hits, missed }]);
            Profiles(profiles.map(profile).into()).missed(&[counted])
        };
        assert_eq!(missed([(5, 1), (5, 1), (10, 3), (10, 3)], 5), Loss::Exact(2));
        assert_eq!(missed([(5, 1), (5, 1), (12, 3), (12, 3)], 5), Loss::Exact(4));
        // A probe that was missed while the events were being enabled or disabled may or may not
        // count.
        assert_eq!(missed([(5, 0), (5, 1), (10, 1), (10, 3)], 5), Loss::AtLeast(0));
        // The same is true of hits: five of seven were counted.
        assert_eq!(missed([(5, 1), (6, 1), (10, 1), (12, 1)], 5), Loss::AtLeast(0));
        assert_eq!(missed([(5, 1), (6, 1), (12, 2), (12, 2)], 5), Loss::AtLeast(2));
        // Events that counted more than happened prove nothing.
        assert_eq!(missed([(5, 1), (5, 1), (10, 1), (10, 1)], 6), Loss::AtLeast(0));
        assert_eq!(Profiles(vec![None; 4]).missed(&[5]), Loss::Unknown);
        assert_eq!(Profiles::default().missed(&[5]), Loss::Unknown);
    }
}
