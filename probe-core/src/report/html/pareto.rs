//! Methods that no other method beats: no other is both cheaper and more accurate.

/// What a method costs, and how much of the correlation it keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trade {
    pub(super) overhead: Known,
    /// Values above 1 count as 1.
    pub(super) kept: Known,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    pub(super) estimate: f64,
    pub(super) interval: Option<[f64; 2]>,
}

impl Trade {
    /// Whether, by the estimates, this one is better in one respect and not worse in the other.
    pub(super) fn beats(&self, other: &Self) -> bool {
        let (overhead, theirs) = (self.overhead.estimate, other.overhead.estimate);
        let [kept, their_kept] = [self, other].map(|trade| trade.kept.estimate.min(1.0));
        overhead <= theirs && kept >= their_kept && (overhead < theirs || kept > their_kept)
    }

    /// Whether both intervals confirm it: cheaper and more accurate beyond chance.
    pub(super) fn surely_beats(&self, other: &Self) -> bool {
        let ends = |known: Known| known.interval.map(|ends| ends.map(|end| end.min(1.0)));
        let cheaper = match (self.overhead.interval, other.overhead.interval) {
            (Some([_, hi]), Some([lo, _])) => hi < lo,
            _ => false,
        };
        let truer = match (ends(self.kept), ends(other.kept)) {
            (Some([lo, _]), Some([_, hi])) => lo > hi,
            _ => false,
        };
        cheaper && truer
    }
}

/// Indices of those that no other beats by the estimates, the cheapest first.
pub(super) fn front(trades: &[Trade]) -> Vec<usize> {
    let unbeaten = |(_, one): &(usize, &Trade)| !trades.iter().any(|other| other.beats(one));
    let mut front: Vec<(usize, &Trade)> = trades.iter().enumerate().filter(unbeaten).collect();
    front.sort_by(|(_, a), (_, b)| a.overhead.estimate.total_cmp(&b.overhead.estimate));
    front.into_iter().map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trade(overhead: f64, kept: f64) -> Trade {
        let known =
            |estimate: f64| Known { estimate, interval: Some([estimate - 1.0, estimate + 1.0]) };
        Trade { overhead: known(overhead), kept: known(kept) }
    }

    #[test]
    fn the_front_by_hand() {
        let trades = [(5.0, 0.9), (1.0, 0.5), (6.0, 0.9), (9.0, 1.2), (8.0, 1.0), (1.0, 0.4)];
        let trades = trades.map(|(overhead, kept)| trade(overhead, kept));
        // The third costs more than the first, the fourth keeps no more than 1, the last keeps less
        // than the second.
        assert_eq!(front(&trades), [1, 0, 4]);
        assert_eq!(front(&[]), [0_usize; 0]);
        // Equal ones are both kept.
        assert_eq!(front(&[trades[0], trades[0]]), [0, 1]);
    }

    #[test]
    fn only_intervals_that_do_not_meet_are_sure() {
        assert!(!trade(1.0, 0.9).surely_beats(&trade(2.0, -2.0)), "the overheads overlap");
        assert!(!trade(1.0, 0.9).surely_beats(&trade(4.0, 0.0)), "what they keep overlaps");
        assert!(trade(1.0, 0.9).surely_beats(&trade(4.0, -2.0)));
        let none = Known { estimate: 9.0, interval: None };
        assert!(!trade(1.0, 0.9).surely_beats(&Trade { overhead: none, kept: none }));
    }

    proptest! {
        #[test]
        fn each_method_is_on_the_front_or_beaten_by_one_that_is(
            points in proptest::collection::vec((0.0..9.0_f64, 0.0..1.5_f64), 0..20)
        ) {
            let trades: Vec<Trade> = points.iter().map(|&(overhead, kept)| trade(overhead, kept)).collect();
            let front = front(&trades);
            for (index, one) in trades.iter().enumerate() {
                let beaten = front.iter().any(|&other| trades[other].beats(one));
                prop_assert_eq!(front.contains(&index), !beaten);
            }
        }
    }
}
