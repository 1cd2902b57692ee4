//! A schedule that is drawn by chance, with degradations whose times are known.

use std::{ops::Range, time::Duration};

use rand::{
    RngExt as _, SeedableRng as _,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use rand_xoshiro::Xoshiro256PlusPlus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration_text, rate::Rate, schedule::Section};
use crate::model::trial::DegradationKind;

/// Sections that are drawn anew for each block; all methods of a block have the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// Length of the whole schedule.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
    /// Shortest section. The last one takes what is left, and may be longer than `longest`.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub shortest: Duration,
    /// Longest section.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub longest: Duration,
    /// Offered loads per guest, of which each section has one.
    pub rates: Vec<Rate>,
    /// `blast`: numbers of frames that are due together, of which each section has one.
    pub per_kick: Vec<u16>,
    /// Numbers of hogs, of which each section has one.
    pub hogs: Vec<usize>,
    /// Short times in which the load gets worse.
    pub degradations: Degradations,
}

/// Short times in which the load gets worse: half of them by hogs, half by the rate. Before each
/// and behind it the section goes on as it is for as long at least.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Degradations {
    /// How many; fewer where the sections have no room for them.
    pub count: usize,
    /// Length of each.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
    /// So many more hogs run than in the section.
    pub hogs: usize,
    /// Or guests offer so much less, in per cent of the section's rate.
    pub rate_pct: f64,
}

/// What a trial goes through, in bins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schedule {
    /// Sections in order.
    pub sections: Vec<Section>,
    /// When the load gets worse, in order, each within one section.
    pub degradations: Vec<Planned>,
}

/// A degradation that is planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its bins.
    pub bins: Range<usize>,
    /// What gets worse.
    pub kind: DegradationKind,
    /// Hogs that run.
    pub hogs: usize,
    /// What guests offer; none means as fast as they can.
    pub rate: Option<Rate>,
}

impl Drawn {
    /// The schedule of this seed, in bins of width `bin`.
    pub(super) fn draw(&self, bin: Duration, seed: u64) -> Schedule {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut sections = Vec::new();
        let (mut left, mut cells) = (bins(self.duration, bin), Vec::new());
        let (shortest, longest) = (bins(self.shortest, bin), bins(self.longest, bin));
        let each = bins(self.degradations.duration, bin);
        let mut first = 0_usize;
        while left > 0 {
            let drawn = random.random_range(shortest..=longest.max(shortest));
            let length = if left < drawn.saturating_add(shortest) { left } else { drawn };
            // Quiet, a degradation that moves about, quiet: three times its length.
            let room = each.saturating_mul(3);
            let starts = (0..length.checked_div(room).unwrap_or(0))
                .map(|cell| first.saturating_add(cell.saturating_mul(room)));
            cells.extend(starts.map(|start| (sections.len(), start)));
            sections.push(self.section(length, bin, &mut random));
            left = left.saturating_sub(length);
            first = first.saturating_add(length);
        }
        cells.shuffle(&mut random);
        cells.truncate(self.degradations.count);
        let mut degradations = Vec::new();
        for (number, (section, cell)) in cells.into_iter().enumerate() {
            let Some(section) = sections.get(section) else { continue };
            let begin = cell.saturating_add(random.random_range(each..=each.saturating_mul(2)));
            degradations.push(self.planned(number, section, begin..begin.saturating_add(each)));
        }
        degradations.sort_by_key(|planned| planned.bins.start);
        Schedule { sections, degradations }
    }

    fn section(&self, length: usize, bin: Duration, random: &mut Xoshiro256PlusPlus) -> Section {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let hogs = self.hogs.choose(random).copied().unwrap_or_default();
        let rate = self.rates.choose(random).copied();
        let per_kick = self.per_kick.choose(random).copied();
        let name = rate.zip(per_kick).map(|(rate, n)| format!("{rate}, {n} per kick, {hogs} hogs"));
        Section { name, senders: None, hogs, rate, per_kick, duration: bin.saturating_mul(length) }
    }

    fn planned(&self, number: usize, section: &Section, bins: Range<usize>) -> Planned {
        let worse = &self.degradations;
        if number.is_multiple_of(2) {
            let hogs = section.hogs.saturating_add(worse.hogs);
            return Planned { bins, kind: DegradationKind::Hogs, hogs, rate: section.rate };
        }
        let rate = section.rate.map(|rate| rate.less(worse.rate_pct));
        Planned { bins, kind: DegradationKind::Rate, hogs: section.hogs, rate }
    }

    /// Most hogs at a time.
    pub(super) fn most_hogs(&self) -> usize {
        let most = self.hogs.iter().copied().max().unwrap_or_default();
        most.saturating_add(self.degradations.hogs)
    }

    /// Makes the schedule `factor` times as long, with as many degradations per second.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of degradations; what does not fit saturates, and the bounds refuse it"
    )]
    pub(super) fn scale(&mut self, factor: f64, bin: Duration) {
        self.duration = super::schedule::scaled(self.duration, factor, bin);
        let count = (self.degradations.count as f64 * factor).round();
        self.degradations.count = count as usize;
    }
}

/// Whole bins, at least one.
fn bins(length: Duration, bin: Duration) -> usize {
    let bins = length.as_nanos().checked_div(bin.as_nanos()).unwrap_or(1);
    usize::try_from(bins).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIN: Duration = Duration::from_millis(100);

    fn drawn() -> Drawn {
        Drawn {
            duration: Duration::from_secs(60),
            shortest: Duration::from_secs(2),
            longest: Duration::from_secs(4),
            rates: vec!["2kpps".parse().unwrap(), "4kpps".parse().unwrap()],
            per_kick: vec![1, 2, 4],
            hogs: vec![0, 1],
            degradations: Degradations {
                count: 40,
                duration: Duration::from_millis(300),
                hogs: 2,
                rate_pct: 25.0,
            },
        }
    }

    #[test]
    fn sections_fill_the_schedule_and_degradations_keep_apart_within_them() {
        let drawn = drawn();
        for seed in 0..200 {
            let Schedule { sections, degradations } = drawn.draw(BIN, seed);
            let lengths: Vec<usize> =
                sections.iter().map(|section| bins(section.duration, BIN)).collect();
            assert_eq!(lengths.iter().sum::<usize>(), 600);
            assert!(lengths.iter().all(|bins| (20..60).contains(bins)), "{lengths:?}");
            assert_eq!(degradations.len(), 40);
            let mut first = 0;
            for (section, length) in sections.iter().zip(lengths) {
                let mut quiet_from = first;
                for planned in degradations
                    .iter()
                    .filter(|planned| (first..first + length).contains(&planned.bins.start))
                {
                    assert_eq!(planned.bins.len(), 3);
                    assert!(planned.bins.start >= quiet_from + 3, "{planned:?}");
                    assert!(planned.bins.end <= first + length, "{planned:?}");
                    let (hogs, rate) = (section.hogs, section.rate.unwrap().per_second());
                    let now = planned.rate.unwrap().per_second();
                    match planned.kind {
                        DegradationKind::Hogs => {
                            assert_eq!((planned.hogs, now), (hogs + 2, rate));
                        }
                        DegradationKind::Rate => {
                            assert_eq!((planned.hogs, now), (hogs, 0.75 * rate));
                        }
                    }
                    quiet_from = planned.bins.end;
                }
                first += length;
            }
            let of = |kind| degradations.iter().filter(|planned| planned.kind == kind).count();
            assert_eq!(of(DegradationKind::Hogs), 20);
        }
    }

    #[test]
    fn a_seed_gives_one_schedule_and_another_seed_another() {
        assert_eq!(drawn().draw(BIN, 1), drawn().draw(BIN, 1));
        assert_ne!(drawn().draw(BIN, 1), drawn().draw(BIN, 2));
    }

    #[test]
    fn a_shorter_schedule_has_as_many_degradations_per_second() {
        let mut drawn = drawn();
        drawn.scale(0.25, BIN);
        assert_eq!((drawn.duration, drawn.degradations.count), (Duration::from_secs(15), 10));
        let schedule = drawn.draw(BIN, 1);
        assert_eq!(schedule.degradations.len(), 10);
        // Sections without room have none.
        drawn.shortest = Duration::from_millis(500);
        drawn.longest = drawn.shortest;
        assert_eq!(drawn.draw(BIN, 1).degradations, []);
    }
}
