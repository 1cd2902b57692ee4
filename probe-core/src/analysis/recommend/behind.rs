//! All comparisons of any two methods at once, so that none seems worse by chance alone.
//!
//! The first of an order is found by looking at all methods. A test of another against it is
//! therefore one of the tests of all pairs: each p is times their number
//! (docs/src/explanation/recommending.md).

use std::collections::BTreeMap;

use crate::analysis::{
    correlation::mean,
    interval::{LEAST_BLOCKS, freedom, standard_error, two_sided},
    moderated::Prior,
};

/// Methods by their place in the list.
type Pair = (usize, usize);

/// Any two methods with enough blocks in common.
pub(super) struct Comparisons(BTreeMap<Pair, Comparison>);

/// By how much the second of two methods is more than the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Comparison {
    /// On the average of the blocks that both have.
    pub(super) more: f64,
    /// Probability of such a difference, either way, between any two of all methods, if all are
    /// the same.
    pub(super) p: f64,
}

/// What the blocks in common say of a pair.
struct Difference {
    mean: f64,
    n: f64,
    freedom: f64,
    variance: f64,
}

impl Difference {
    /// None of too few blocks.
    #[expect(clippy::cast_precision_loss, reason = "a number of blocks")]
    fn of<Block: Ord>(first: &BTreeMap<Block, f64>, second: &BTreeMap<Block, f64>) -> Option<Self> {
        let more = second.iter().filter_map(|(block, value)| Some(value - first.get(block)?));
        let more: Vec<f64> = more.collect();
        if more.len() < LEAST_BLOCKS {
            return None;
        }
        let n = more.len() as f64;
        let variance = standard_error(&more)?.powi(2) * n;
        Some(Self { mean: mean(&more), n, freedom: freedom(more.len())?, variance })
    }

    /// Two-sided p. A pair that seems to scatter less than all pairs together say is taken to
    /// scatter as those do; `most` bounds what they are believed to know.
    fn p(&self, common: Option<Prior>, most: f64) -> f64 {
        let (variance, freedom) = common.map_or((self.variance, self.freedom), |common| {
            let moderated = common.moderated(self.variance, self.freedom);
            (moderated.max(self.variance), (self.freedom + common.freedom).min(most))
        });
        match (self.mean == 0.0, variance > 0.0) {
            (true, _) => 1.0,
            (false, true) => two_sided(self.mean / (variance / self.n).sqrt(), freedom),
            (false, false) => 0.0,
        }
    }
}

impl Comparisons {
    /// Of these methods, each with its value in each block.
    #[expect(clippy::cast_precision_loss, reason = "a number of methods")]
    pub(super) fn of<Block: Ord>(methods: &[BTreeMap<Block, f64>]) -> Self {
        let second = |(at, first): (usize, _)| {
            let others = methods.iter().enumerate().skip(at.saturating_add(1));
            others.filter_map(move |(other, values)| {
                Some(((at, other), Difference::of(first, values)?))
            })
        };
        let pairs: BTreeMap<Pair, Difference> =
            methods.iter().enumerate().flat_map(second).collect();
        let variances: Vec<_> = pairs.values().map(|one| (one.variance, one.freedom)).collect();
        let common = Prior::of(&variances);
        let least = variances.iter().map(|(_, freedom)| *freedom).fold(f64::INFINITY, f64::min);
        let compared = methods.iter().filter(|blocks| blocks.len() >= LEAST_BLOCKS).count();
        let most = least * (compared as f64 - 1.0).max(1.0);
        let tests = pairs.len() as f64;
        let compared = pairs.into_iter().map(|(pair, found)| {
            (pair, Comparison { more: found.mean, p: (found.p(common, most) * tests).min(1.0) })
        });
        Self(compared.collect())
    }

    /// By how much `second` is more than `first`.
    pub(super) fn between(&self, first: usize, second: usize) -> Option<Comparison> {
        if let Some(found) = self.0.get(&(first, second)) {
            return Some(*found);
        }
        let found = self.0.get(&(second, first))?;
        Some(Comparison { more: -found.more, ..*found })
    }
}
