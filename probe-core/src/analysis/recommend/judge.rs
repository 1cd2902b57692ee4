//! Whether a figure keeps to a limit, by its interval.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, Normal};

use crate::{
    analysis::{
        doubt::Doubt,
        interval::{self, ALPHA, LEAST_BLOCKS},
    },
    model::figure::{Estimate, Figure},
};

/// What the blocks of a method say of a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    /// Probability of such blocks, or better ones, if the limit is just not kept.
    pub(super) not_kept: f64,
    /// Probability of such blocks, or worse ones, if it is just kept.
    pub(super) kept: f64,
}

/// What a limit comes to for one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// It is kept: the bad end of the interval, widened for the number of methods, is within it.
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

    /// Judges `figure` by what its blocks say, as one of the limits of so many `methods`; a figure
    /// that is not there is not judged, for its own reason.
    pub(super) fn judge(
        self,
        figure: &Figure,
        evidence: Option<Evidence>,
        methods: usize,
    ) -> Verdict {
        let found = match figure {
            Figure::Known(found) => found,
            Figure::Null(absent) => {
                return Verdict::CannotTell {
                    why: Doubt::Absent(absent.why.clone()),
                    more_blocks: None,
                };
            }
        };
        if found.n < LEAST_BLOCKS {
            let missing = LEAST_BLOCKS.saturating_sub(found.n) as u64;
            let why = format!("a verdict takes {LEAST_BLOCKS} blocks or more");
            return Verdict::CannotTell { why: why.into(), more_blocks: Some(missing) };
        }
        let sure = ALPHA / 2.0 / f64::from(u32::try_from(methods.max(1)).unwrap_or(u32::MAX));
        match evidence {
            Some(evidence) if evidence.not_kept <= sure => Verdict::Met,
            Some(evidence) if evidence.kept <= ALPHA / 2.0 => {
                Verdict::Broken { why: "the whole interval is beyond the limit".into() }
            }
            _ => self.undecided(found, sure, methods),
        }
    }

    /// An interval that holds the limit, at the level at which it would have to be left out.
    fn undecided(self, found: &Estimate, sure: f64, methods: usize) -> Verdict {
        let holds = self.holds(found.estimate);
        let tail = if holds { sure } else { ALPHA / 2.0 };
        let away = (self.value() - found.estimate).abs();
        let half = found.lo.zip(found.hi).map(|(lo, hi)| {
            let [bad, good] = self.ends(lo, hi);
            ((if holds { bad } else { good }) - found.estimate).abs()
        });
        let more_blocks = half.and_then(|half| more_blocks(found.n, half, away, tail));
        if half.is_none() {
            return Verdict::CannotTell {
                why: "its interval has no end".to_owned().into(),
                more_blocks: None,
            };
        }
        let why = match (more_blocks, holds && methods > 1) {
            (None, _) => {
                "the estimate is so near the limit that no number of blocks can be told".into()
            }
            (Some(_), true) => {
                format!("the interval, widened for {methods} methods, holds the limit")
            }
            (Some(_), false) => "the interval holds the limit".to_owned(),
        };
        Verdict::CannotTell { why: why.into(), more_blocks }
    }
}

/// Blocks beyond `n` at which Student's interval, with `tail` left out at its end, is no more than
/// `away` wide on that side, if the scatter stays as it is; none where the estimate is the limit
/// itself. `half` is that of the 95 % interval.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of blocks, rounded up"
)]
fn more_blocks(n: usize, half: f64, away: f64, tail: f64) -> Option<u64> {
    let scatter = half * (n as f64).sqrt() / interval::quantile(1.0 - ALPHA / 2.0, n)?;
    let fits = |blocks: f64| {
        interval::t_quantile(1.0 - tail, blocks - 1.0) * scatter / blocks.sqrt() <= away
    };
    // As if the scatter were known: never too many, and too few by some blocks only.
    let normal = Normal::standard().inverse_cdf(1.0 - tail);
    let mut blocks = (normal * scatter / away).powi(2).ceil().max(n as f64 + 1.0);
    if !blocks.is_finite() || blocks > MOST_BLOCKS {
        return None;
    }
    if blocks < MANY_BLOCKS {
        while !fits(blocks) {
            blocks += 1.0;
        }
    } else {
        // What Student's t takes beyond the normal distribution, to first order: quantiles of so
        // many degrees of freedom are not exact enough to count by.
        blocks += ((normal * normal + 1.0) / 2.0).ceil();
    }
    Some((blocks as u64).saturating_sub(n as u64))
}

/// From here on the number need not be exact.
const MANY_BLOCKS: f64 = 1000.0;

/// More than anybody runs.
const MOST_BLOCKS: f64 = 1e9;

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

    /// By Student's t from the end of the interval that is on the limit's side.
    fn judge_of(limit: Limit, figure: &Figure, methods: usize) -> Verdict {
        let evidence = |found: &Estimate| {
            let [bad, good] = limit.ends(found.lo?, found.hi?);
            let holds = limit.holds(found.estimate);
            let half = (if holds { bad } else { good } - found.estimate).abs();
            let error = half / interval::quantile(0.975, found.n)?;
            let away = (limit.value() - found.estimate).abs() / error;
            let tail = interval::two_sided(away, interval::freedom(found.n)?) / 2.0;
            let [not_kept, kept] = if holds { [tail, 1.0 - tail] } else { [1.0 - tail, tail] };
            Some(Evidence { not_kept, kept })
        };
        limit.judge(figure, figure.known().and_then(evidence), methods)
    }

    fn judge(limit: Limit, figure: &Figure) -> Verdict {
        judge_of(limit, figure, 1)
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
        assert_eq!(judge(Limit::AtMost(10.001), &found), Verdict::Met);
        assert!(matches!(judge(Limit::AtMost(5.9), &found), Verdict::Broken { .. }));
        assert!(matches!(judge(Limit::AtMost(6.001), &found), Verdict::CannotTell { .. }));
        assert_eq!(judge(Limit::AtLeast(5.999), &found), Verdict::Met);
        assert!(matches!(judge(Limit::AtLeast(10.1), &found), Verdict::Broken { .. }));
        assert!(matches!(judge(Limit::AtLeast(9.999), &found), Verdict::CannotTell { .. }));
    }

    #[test]
    fn a_limit_of_many_methods_takes_more_to_be_kept_and_no_more_to_be_broken() {
        // t[0.975, 3] = 3.182, t[1 - 0.025/9, 3] = 7.185: half a width of 2 is 4.515.
        let found = figure(8.0, Some([6.0, 10.0]), 4);
        let nine = |limit| judge_of(Limit::AtMost(limit), &found, 9);
        assert_eq!(nine(12.52), Verdict::Met);
        let Verdict::CannotTell { why: Doubt::Text(why), more_blocks } = nine(12.51) else {
            panic!("{:?}", nine(12.51))
        };
        assert!(why.contains("widened for 9 methods"), "{why}");
        assert_eq!(more_blocks, Some(1));
        assert!(matches!(nine(5.9), Verdict::Broken { .. }));
    }

    #[test]
    fn the_number_of_blocks_by_hand() {
        // Half a width of 6 with four blocks: s = 6 · 2/3.182446 = 3.770683. To be 2: of 16 blocks
        // it is 2.1314 s/4 = 2.009, of 17 2.1199 s/4.1231 = 1.939.
        let found = figure(8.0, Some([2.0, 14.0]), 4);
        assert_eq!(blocks(&judge(Limit::AtMost(10.0), &found)), Some(13));
        // Beyond the limit it is the good end that must come nearer, to 3: 2.3646 s/2.8284 = 3.152,
        // 2.3060 s/3 = 2.898.
        assert_eq!(blocks(&judge(Limit::AtMost(5.0), &found)), Some(5));
        assert_eq!(blocks(&judge(Limit::AtLeast(5.0), &found)), Some(5));
        // Ends at different distances: the one towards the limit counts. From 9 to 3 as from 6 to
        // 2.
        let skewed = figure(7.0, Some([6.0, 16.0]), 4);
        assert_eq!(blocks(&judge(Limit::AtMost(10.0), &skewed)), Some(13));
        // s = 0.095 · 2/3.1824 = 0.05970: of 63 blocks it is 1.99897 s/√63 = 0.01504, of 64 0.01491.
        let few = figure(0.965, Some([0.87, 1.06]), 4);
        assert_eq!(blocks(&judge(Limit::AtLeast(0.95), &few)), Some(60));
        // Very near: (1.959964 · 3.770683/0.001)².
        let near = blocks(&judge(Limit::AtMost(8.001), &found)).unwrap();
        assert!((54_618_000..54_618_200).contains(&near), "{near}");
        // On the limit itself no number of blocks will do.
        assert_eq!(blocks(&judge(Limit::AtMost(8.0), &found)), None);
        // As good as there: still one more.
        assert_eq!(blocks(&judge(Limit::AtMost(13.99), &found)), Some(1));
    }

    #[test]
    fn below_four_blocks_there_is_no_verdict() {
        assert_eq!(blocks(&judge(Limit::AtMost(1.0), &figure(0.1, None, 1))), Some(3));
        assert_eq!(blocks(&judge(Limit::AtMost(1.0), &figure(0.1, None, 3))), Some(1));
        // Within one run: nothing is known of how runs differ.
        assert_eq!(
            blocks(&judge(Limit::AtLeast(0.95), &figure(0.96, Some([0.9, 1.0]), 1))),
            Some(3)
        );
        // Nor does it qualify or rule out.
        for limit in [Limit::AtLeast(0.85), Limit::AtMost(0.85)] {
            let verdict = judge(limit, &figure(0.96, Some([0.9, 1.0]), 1));
            assert_eq!(blocks(&verdict), Some(3), "{verdict:?}");
        }
        let absent = judge(Limit::AtMost(1.0), &Figure::null(Reason::NoTime));
        assert_eq!(
            absent,
            Verdict::CannotTell { why: Doubt::Absent(Reason::NoTime), more_blocks: None }
        );
    }
}
