//! Whether a figure keeps to a limit, by its interval.

use serde::Serialize;

use crate::{
    analysis::{
        doubt::Doubt,
        interval::{self, ALPHA},
        stop::LEAST_BLOCKS,
    },
    model::figure::{Estimate, Figure},
};

/// What a limit comes to for one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// It is kept: the bad end of the interval is within it.
    Met,
    /// It is not: the good end of the interval is beyond it.
    Broken {
        /// In which way.
        why: String,
    },
    /// This campaign does not say.
    CannotTell {
        /// Why not, and what would help.
        why: Doubt,
        /// So many further blocks would probably do; none where blocks are not what is missing.
        more_blocks: Option<u64>,
    },
}

/// What a figure must not be beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    fn value(self) -> f64 {
        match self {
            Self::AtMost(limit) | Self::AtLeast(limit) => limit,
        }
    }

    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    /// The ends of an interval, the one nearer to breaking the limit first.
    fn ends(self, lo: f64, hi: f64) -> [f64; 2] {
        match self {
            Self::AtMost(_) => [hi, lo],
            Self::AtLeast(_) => [lo, hi],
        }
    }

    /// Judges `figure`; a figure that is not there is not judged, for its own reason.
    pub(super) fn judge(self, figure: &Figure) -> Verdict {
        let found = match figure {
            Figure::Known(found) => found,
            Figure::Null(absent) => {
                return Verdict::CannotTell {
                    why: Doubt::Absent(absent.why.clone()),
                    more_blocks: None,
                };
            }
        };
        let (Some(lo), Some(hi)) = (found.lo, found.hi) else {
            return without_interval(found);
        };
        if found.n < 2 {
            let why = "the interval of one run does not tell how runs differ".into();
            return Verdict::CannotTell { why, more_blocks: Some(up_to_the_least(found.n)) };
        }
        let [bad, good] = self.ends(lo, hi);
        if self.holds(bad) {
            Verdict::Met
        } else if !self.holds(good) {
            Verdict::Broken { why: "the whole interval is beyond the limit".into() }
        } else {
            self.undecided(found, [bad, good])
        }
    }

    /// An interval that holds the limit.
    fn undecided(self, found: &Estimate, [bad, good]: [f64; 2]) -> Verdict {
        let end = if self.holds(found.estimate) { bad } else { good };
        let half = (end - found.estimate).abs();
        let away = (self.value() - found.estimate).abs();
        match more_blocks(found.n, half, away) {
            None => Verdict::CannotTell {
                why: "the estimate is so near the limit that no number of blocks can be told"
                    .into(),
                more_blocks: None,
            },
            more_blocks => {
                Verdict::CannotTell { why: "the interval holds the limit".into(), more_blocks }
            }
        }
    }
}

/// Blocks beyond `n` at which half the width of Student's interval is no more than `away`, if the
/// scatter stays as it is; none where the estimate is the limit itself.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of blocks, rounded up"
)]
fn more_blocks(n: usize, half: f64, away: f64) -> Option<u64> {
    let scatter = half * (n as f64).sqrt() / interval::quantile(1.0 - ALPHA / 2.0, n)?;
    let fits = |blocks: f64| {
        interval::t_quantile(1.0 - ALPHA / 2.0, blocks - 1.0) * scatter / blocks.sqrt() <= away
    };
    // As if the scatter were known: never too many, and too few by some blocks only.
    let mut blocks = (NORMAL * scatter / away).powi(2).ceil().max(n as f64 + 1.0);
    if !blocks.is_finite() || blocks > MOST_BLOCKS {
        return None;
    }
    while !fits(blocks) {
        blocks += 1.0;
    }
    Some((blocks as u64).saturating_sub(n as u64))
}

/// The normal distribution's quantile that ends an interval of 95 %.
const NORMAL: f64 = 1.959_964;

/// More than anybody runs.
const MOST_BLOCKS: f64 = 1e9;

fn without_interval(found: &Estimate) -> Verdict {
    let why = match found.n {
        1 => "one block has no interval",
        _ => "its interval has no end",
    };
    Verdict::CannotTell { why: why.into(), more_blocks: Some(up_to_the_least(found.n)) }
}

/// Of fewer blocks than [`LEAST_BLOCKS`] the width itself is hardly known.
fn up_to_the_least(n: usize) -> u64 {
    LEAST_BLOCKS.saturating_sub(n).max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        figure::{Basis, Platform},
        reason::Reason,
    };

    fn figure(estimate: f64, ends: Option<[f64; 2]>, n: usize) -> Figure {
        Figure::Known(Estimate {
            estimate,
            lo: ends.map(|[lo, _]| lo),
            hi: ends.map(|[_, hi]| hi),
            n,
            detectable: None,
            platform: Platform::Native,
            basis: Basis::Blocks,
            p: None,
            notes: Vec::new(),
        })
    }

    fn blocks(verdict: &Verdict) -> Option<u64> {
        match verdict {
            Verdict::CannotTell { more_blocks, .. } => *more_blocks,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_bad_end_qualifies_and_the_good_end_disqualifies() {
        let found = figure(8.0, Some([6.0, 10.0]), 4);
        assert_eq!(Limit::AtMost(10.0).judge(&found), Verdict::Met);
        assert!(matches!(Limit::AtMost(5.9).judge(&found), Verdict::Broken { .. }));
        assert!(matches!(Limit::AtMost(6.0).judge(&found), Verdict::CannotTell { .. }));
        assert_eq!(Limit::AtLeast(6.0).judge(&found), Verdict::Met);
        assert!(matches!(Limit::AtLeast(10.1).judge(&found), Verdict::Broken { .. }));
        assert!(matches!(Limit::AtLeast(10.0).judge(&found), Verdict::CannotTell { .. }));
    }

    #[test]
    fn the_number_of_blocks_by_hand() {
        // Half a width of 6 with four blocks: s = 6 · 2/3.182446 = 3.770683. To be 2: of 16 blocks
        // it is 2.1314 s/4 = 2.009, of 17 2.1199 s/4.1231 = 1.939.
        let found = figure(8.0, Some([2.0, 14.0]), 4);
        assert_eq!(blocks(&Limit::AtMost(10.0).judge(&found)), Some(13));
        // Beyond the limit it is the good end that must come nearer, to 3: 2.3646 s/2.8284 = 3.152,
        // 2.3060 s/3 = 2.898.
        assert_eq!(blocks(&Limit::AtMost(5.0).judge(&found)), Some(5));
        assert_eq!(blocks(&Limit::AtLeast(5.0).judge(&found)), Some(5));
        // Ends at different distances: the one towards the limit counts. From 9 to 3 as from 6 to
        // 2.
        let skewed = figure(7.0, Some([6.0, 16.0]), 4);
        assert_eq!(blocks(&Limit::AtMost(10.0).judge(&skewed)), Some(13));
        // Of three blocks, s = 0.095 · 1.7321/4.3027 = 0.03824: 2.0555 s/5.1962 = 0.01513, 2.0518
        // s/5.2915 = 0.01483. The root alone would have asked for 121.
        let few = figure(0.965, Some([0.87, 1.06]), 3);
        assert_eq!(blocks(&Limit::AtLeast(0.95).judge(&few)), Some(25));
        // On the limit itself no number of blocks will do.
        assert_eq!(blocks(&Limit::AtMost(8.0).judge(&found)), None);
        // As good as there: still one more.
        assert_eq!(blocks(&Limit::AtMost(13.99).judge(&found)), Some(1));
    }

    #[test]
    fn one_block_and_none() {
        assert_eq!(blocks(&Limit::AtMost(1.0).judge(&figure(0.1, None, 1))), Some(9));
        assert_eq!(blocks(&Limit::AtMost(1.0).judge(&figure(0.1, None, 3))), Some(7));
        // Within one run: nothing is known of how runs differ.
        assert_eq!(
            blocks(&Limit::AtLeast(0.95).judge(&figure(0.96, Some([0.9, 1.0]), 1))),
            Some(9)
        );
        // Nor does it qualify or rule out.
        for limit in [Limit::AtLeast(0.85), Limit::AtMost(0.85)] {
            let verdict = limit.judge(&figure(0.96, Some([0.9, 1.0]), 1));
            assert_eq!(blocks(&verdict), Some(9), "{verdict:?}");
        }
        let absent = Limit::AtMost(1.0).judge(&Figure::null(Reason::NoTime));
        assert_eq!(
            absent,
            Verdict::CannotTell { why: Doubt::Absent(Reason::NoTime), more_blocks: None }
        );
    }
}
