//! The difference of a figure between two campaigns, and how well it is known.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    analysis::{
        blocks::Place,
        correlation::mean,
        estimate::Scale,
        figures::Repeatability,
        interval::{ALPHA, POWER, freedom, standard_error, t_quantile, two_sided},
    },
    model::figure::Estimate,
};

/// A figure's value in each block, on its scale.
pub(super) type Placed = BTreeMap<Place, f64>;

/// New less base, in the figure's unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The difference.
    pub difference: f64,
    /// Lower end of its 95 % interval; none where the blocks do not tell.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
    /// Smallest true difference that such blocks would have shown in four of five comparisons.
    pub resolution: Option<f64>,
    /// By how much a true difference must be above what is to be seen, so that it is seen in four
    /// of five comparisons.
    #[serde(skip)]
    pub(super) beyond: f64,
    /// How far two runs of the same may be apart, where that is what the interval rests on, or is
    /// at least as wide as.
    pub repeatability: Option<f64>,
    /// Two-sided p-value of "there is none"; after Holm over all methods and figures. None without
    /// scatter over blocks.
    pub p: Option<f64>,
    /// What the interval is made of.
    pub basis: Basis,
}

/// What the interval of a difference is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Differences between blocks of the same seed, which replay each other: Student's t.
    Replays,
    /// Two independent samples of blocks: Welch's t.
    Blocks,
    /// One block: how well the counted clock repeats.
    Repeatability,
    /// Nothing: one block.
    Nothing,
}

/// Standard error of a difference of means, and its degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) error: f64,
    pub(super) freedom: f64,
}

impl Spread {
    /// Of the mean of paired differences. None below two.
    pub(super) fn paired(differences: &[f64]) -> Option<Self> {
        let error = standard_error(differences)?;
        Some(Self { error, freedom: freedom(differences.len())? })
    }

    /// Of the difference of the means of two independent samples that may scatter differently
    /// (Welch 1947, with Satterthwaite's degrees of freedom). None below two of each.
    pub(super) fn independent(base: &[f64], new: &[f64]) -> Option<Self> {
        let squares = [base, new].map(|values| Some(standard_error(values)?.powi(2)));
        let (a, b) = (squares[0]?, squares[1]?);
        let (of_a, of_b) = (freedom(base.len())?, freedom(new.len())?);
        let freedom = match a + b {
            sum if sum > 0.0 => sum * sum / (a * a / of_a + b * b / of_b),
            _ => of_a + of_b,
        };
        Some(Self { error: (a + b).sqrt(), freedom })
    }

    /// Half the width of the 95 % interval.
    pub(super) fn half(self) -> f64 {
        t_quantile(1.0 - ALPHA / 2.0, self.freedom) * self.error
    }

    /// By how much the true difference must be above [`Self::half`] to be found in four of five
    /// cases.
    fn beyond(self) -> f64 {
        t_quantile(POWER, self.freedom) * self.error
    }

    pub(super) fn p(self, difference: f64) -> f64 {
        if difference == 0.0 {
            1.0
        } else if self.error == 0.0 {
            0.0
        } else {
            two_sided(difference / self.error, self.freedom)
        }
    }
}

impl Difference {
    /// Of two figures with their values per block, on the figure's scale. Where the clock
    /// `repeats`, blocks of the same seed are replays of each other; `repeatability` is how well,
    /// where that is known, in the figure's unit.
    pub(super) fn between(
        scale: Scale,
        [(base, before), (new, after)]: [(&Estimate, &Placed); 2],
        repeats: bool,
        repeatability: Option<Repeatability>,
    ) -> Self {
        let all = scale.scaled(new.estimate) - scale.scaled(base.estimate);
        let replays = replays(before, after).filter(|_| repeats);
        let (delta, spread, basis) = match replays {
            Some(differences) => (mean(&differences), Spread::paired(&differences), Basis::Replays),
            None => {
                let list = |values: &Placed| values.values().copied().collect::<Vec<f64>>();
                (all, Spread::independent(&list(before), &list(after)), Basis::Blocks)
            }
        };
        let basis = if spread.is_some() { basis } else { Basis::Nothing };
        // One block has only the bound: of the same seed, and of a figure of which that is known.
        let replayed =
            basis == Basis::Nothing && before.keys().any(|place| after.contains_key(place));
        let repeatability =
            repeatability.filter(|bound| spread.is_some() || bound.of_one && replayed);
        let repeatability = repeatability.map(|bound| bound.within);
        let on_scale = |within| scale.scaled(base.estimate + within) - scale.scaled(base.estimate);
        let half = match (spread.map(Spread::half), repeatability.map(on_scale)) {
            (Some(half), Some(least)) => Some(half.max(least)),
            (half, least) => half.or(least),
        };
        let told = |on_scale: f64| scale.unscaled(base.estimate, on_scale);
        Self {
            difference: told(delta),
            lo: half.map(|half| told(delta - half)),
            hi: half.map(|half| told(delta + half)),
            resolution: half.map(|half| told(half + spread.map_or(0.0, Spread::beyond))),
            beyond: told(spread.map_or(0.0, Spread::beyond)),
            repeatability,
            p: spread.map(|spread| spread.p(delta)),
            basis: match (basis, repeatability) {
                (Basis::Nothing, Some(_)) => Basis::Repeatability,
                (basis, _) => basis,
            },
        }
    }

    /// Whether the interval leaves zero out.
    pub(super) fn excludes_zero(&self) -> bool {
        self.lo.is_some_and(|lo| lo > 0.0) || self.hi.is_some_and(|hi| hi < 0.0)
    }

    /// How far the interval reaches from zero.
    pub(super) fn reach(&self) -> Option<f64> {
        Some(self.lo?.abs().max(self.hi?.abs()))
    }
}

/// Differences between blocks of the same seed, where at least half of the blocks of both campaigns
/// have their like in the other.
fn replays(before: &Placed, after: &Placed) -> Option<Vec<f64>> {
    let both = after.iter().filter_map(|(place, new)| Some(new - before.get(place)?));
    let both: Vec<f64> = both.collect();
    (both.len() > 1 && both.len().saturating_mul(2) >= before.len().max(after.len()))
        .then_some(both)
}
