//! Computes a figure from one value per block.

use std::collections::BTreeMap;

use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng as _};

use super::{
    bootstrap,
    correlation::mean,
    interval::{self, ALPHA, Interval},
    pairs::Block,
};
use crate::model::{
    figure::{Basis, Estimate, Figure, Platform},
    note::Note,
    reason::Reason,
};

/// Number of blocks from which the interval is BCa's. With fewer, resamples are too similar, and
/// Student's t is accurate.
pub const BOOTSTRAP_FROM: usize = 15;

/// The blocks in which a value exists, with a note about those that are left out.
///
/// # Errors
/// Why no block has one.
pub(super) fn usable<T>(
    blocks: impl IntoIterator<Item = Result<T, Reason>>,
) -> Result<(Vec<T>, Option<Note>), Reason> {
    let (mut found, mut whys) = (Vec::new(), Vec::new());
    for block in blocks {
        match block {
            Ok(block) => found.push(block),
            Err(why) => whys.push(why),
        }
    }
    let left_out = whys.len();
    let blocks = found.len().saturating_add(left_out);
    if found.is_empty() {
        return Err(Reason::of_blocks(whys));
    }
    let note = || Note::BlocksLeftOut { left_out, blocks, why: Reason::of_blocks(whys) };
    Ok((found, (left_out > 0).then(note)))
}

/// One value per block, on the scale of its figure.
pub type Values = BTreeMap<Block, f64>;

/// Values of independent blocks.
#[derive(Debug, Clone)]
pub struct BlockValues {
    /// One per block.
    pub values: Values,
    /// The clock of all values.
    pub platform: Platform,
    /// Remarks on the choice of trials.
    pub notes: Vec<Note>,
}

/// What the mean of a sample represents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A mean of differences from the baseline.
    Difference,
    /// A mean of log-ratios to the baseline, printed in per cent.
    PerCentOfControl,
    /// A mean that is not compared with anything, within these bounds.
    Level(Bounds),
}

/// The possible values of a level; its interval ends at these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// `[-1, 1]`: a correlation.
    Correlation,
    /// `[0, 1]`: a probability.
    Probability,
    /// `[0, ∞)`: a share or an error.
    Positive,
    /// Any.
    None,
}

impl BlockValues {
    /// The figure: the mean, its 95 % interval, the smallest detectable effect and, for
    /// differences, p.
    pub fn figure(self, scale: Scale, seed: u64) -> Figure {
        self.figure_at(scale, ALPHA, seed)
    }

    /// [`Self::figure`] with an interval at `1 - alpha`.
    pub fn figure_at(self, scale: Scale, alpha: f64, seed: u64) -> Figure {
        let Self { values, platform, mut notes } = self;
        let values: Vec<f64> = values.into_values().collect();
        if values.is_empty() {
            return Figure::null(Reason::NoTrials);
        }
        if values.len() == 1 {
            notes.push(Note::OneTrial);
        }
        let of_interval = mean_interval_at(&values, alpha, seed).map(|found| scale.bound(found));
        Figure::Known(Estimate {
            estimate: scale.of(mean(&values)),
            lo: of_interval.map(|found| found.lo),
            hi: of_interval.map(|found| found.hi),
            n: values.len(),
            detectable: interval::detectable(&values).map(|effect| scale.of(effect)),
            platform,
            basis: Basis::Blocks,
            p: if scale.is_compared() { interval::p_value(&values) } else { None },
            notes,
        })
    }
}

/// The figure of these values, if there are any.
pub(super) fn figure(found: Result<BlockValues, Reason>, scale: Scale, seed: u64) -> Figure {
    found.map_or_else(Figure::null, |found| found.figure(scale, seed))
}

/// The figure of a single trial. Its interval, if any, covers the scatter of its own bins.
pub(super) fn of_one_run(
    estimate: f64,
    found: Option<Interval>,
    platform: Platform,
    mut notes: Vec<Note>,
) -> Figure {
    if found.is_none() {
        notes.push(Note::OneTrial);
    }
    Figure::Known(Estimate {
        estimate,
        lo: found.map(|found| found.lo),
        hi: found.map(|found| found.hi),
        n: 1,
        detectable: None,
        platform,
        basis: if found.is_some() { Basis::WithinRun } else { Basis::Blocks },
        p: None,
        notes,
    })
}

impl Scale {
    fn is_compared(self) -> bool {
        matches!(self, Self::Difference | Self::PerCentOfControl)
    }

    fn of(self, value: f64) -> f64 {
        match self {
            Self::Difference | Self::Level(_) => value,
            Self::PerCentOfControl => 100.0 * value.exp_m1(),
        }
    }

    /// The interval in the unit of the figure, within its bounds.
    pub(super) fn bound(self, found: Interval) -> Interval {
        let found = found.map(|end| self.of(end));
        match self {
            Self::Difference | Self::PerCentOfControl | Self::Level(Bounds::None) => found,
            Self::Level(Bounds::Correlation) => found.map(|end| end.clamp(-1.0, 1.0)),
            Self::Level(Bounds::Probability) => found.map(|end| end.clamp(0.0, 1.0)),
            Self::Level(Bounds::Positive) => found.map(|end| end.max(0.0)),
        }
    }
}

/// The random generator of one figure. Each figure starts from the campaign's seed, so that none
/// depends on which others are computed.
pub fn generator(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// 95 % interval of the mean of independent values: none for one value, Student's t for fewer than
/// [`BOOTSTRAP_FROM`], otherwise BCa.
pub fn mean_interval(values: &[f64], seed: u64) -> Option<Interval> {
    mean_interval_at(values, ALPHA, seed)
}

/// [`mean_interval`] at `1 - alpha`.
pub fn mean_interval_at(values: &[f64], alpha: f64, seed: u64) -> Option<Interval> {
    if values.len() < BOOTSTRAP_FROM {
        return interval::student_at(values, alpha);
    }
    bootstrap::bca(values, alpha, mean, &mut generator(seed))
}
