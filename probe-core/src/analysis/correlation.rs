//! Correlation of two series of bins.

use crate::model::reason::{Compared, Reason};

/// Least number of bins of a correlation.
pub const FEWEST_BINS: usize = 30;

/// Why a correlation is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undefined {
    /// Fewer than [`FEWEST_BINS`] bins.
    Short(usize),
    /// The series differ in length.
    Unpaired(usize, usize),
    /// A series has the same value in every bin.
    Constant(Side),
    /// A series contains a value that is not a number.
    NotANumber(Side),
}

/// Which of the two series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first argument.
    First,
    /// The second argument.
    Second,
}

impl Undefined {
    /// The reason for a figure computed from these two series.
    pub fn of(self, [first, second]: [Compared; 2]) -> Reason {
        let series = |side| if side == Side::First { first } else { second };
        match self {
            Self::Short(bins) => Reason::TooFewBins { bins, least: FEWEST_BINS },
            Self::Unpaired(a, b) => Reason::Lengths { bins: [a, b] },
            Self::Constant(side) => Reason::Constant { series: series(side) },
            Self::NotANumber(side) => Reason::NotANumber { series: series(side) },
        }
    }
}

/// A coefficient of correlation, in `[-1, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coefficient {
    /// [`pearson`].
    Pearson,
    /// [`spearman`].
    Spearman,
}

impl Coefficient {
    /// The coefficient of two series.
    ///
    /// # Errors
    /// As [`pearson`].
    pub fn of(self, x: &[f64], y: &[f64]) -> Result<f64, Undefined> {
        match self {
            Self::Pearson => pearson(x, y),
            Self::Spearman => spearman(x, y),
        }
    }
}

/// Pearson's coefficient, equation 1 of the paper: `Σ(x - x̄)(y - ȳ) / √(Σ(x - x̄)² · Σ(y - ȳ)²)`.
///
/// # Errors
/// A series is constant, too short, or not as long as the other.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<f64, Undefined> {
    check(x, y)?;
    let (x, y) = (deviations(x), deviations(y));
    let product: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    let length = |d: &[f64]| d.iter().map(|d| d * d).sum::<f64>().sqrt();
    let r = product / (length(&x) * length(&y));
    if r.is_nan() {
        // The values differ, but by less than a double can represent once their mean is subtracted.
        return Err(Undefined::Constant(if length(&x) == 0.0 {
            Side::First
        } else {
            Side::Second
        }));
    }
    Ok(r.clamp(-1.0, 1.0))
}

/// Spearman's coefficient: Pearson's of the ranks; ties share their average rank.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64, Undefined> {
    check(x, y)?;
    pearson(&ranks(x), &ranks(y))
}

/// Ranks from 1; ties share the average of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut order: Vec<(f64, &mut f64)> = values.iter().copied().zip(&mut ranks).collect();
    order.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut below = 0_usize;
    for ties in order.chunk_by_mut(|(a, _), (b, _)| a == b) {
        let shared = average_rank(below, ties.len());
        below = below.saturating_add(ties.len());
        ties.iter_mut().for_each(|(_, rank)| **rank = shared);
    }
    ranks
}

#[expect(clippy::cast_precision_loss, reason = "no series has 2^52 bins")]
fn average_rank(below: usize, ties: usize) -> f64 {
    below as f64 + (ties as f64 + 1.0) / 2.0
}

/// Simple moving average over `window` bins: one value per whole window, so `len - window + 1` of
/// them.
pub fn moving_average(values: &[f64], window: usize) -> Vec<f64> {
    values.windows(window.max(1)).map(mean).collect()
}

/// Arithmetic mean; NaN without values.
#[expect(clippy::cast_precision_loss, reason = "no sample has 2^52 values")]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Distances from the mean, relative to the greatest value.
pub(super) fn deviations(values: &[f64]) -> Vec<f64> {
    // Scaled by the greatest value, so that neither the mean nor a square overflows a double.
    let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let scaled: Vec<f64> = values.iter().map(|value| value / largest).collect();
    let mean = mean(&scaled);
    scaled.iter().map(|value| value - mean).collect()
}

/// Whether all values are the same; true without values.
pub(super) fn are_equal(values: &[f64]) -> bool {
    values.first().is_none_or(|first| values.iter().all(|value| value == first))
}

fn check(x: &[f64], y: &[f64]) -> Result<(), Undefined> {
    if x.len() != y.len() {
        return Err(Undefined::Unpaired(x.len(), y.len()));
    }
    if x.len() < FEWEST_BINS {
        return Err(Undefined::Short(x.len()));
    }
    for (side, series) in [(Side::First, x), (Side::Second, y)] {
        if !series.iter().all(|value| value.is_finite()) {
            return Err(Undefined::NotANumber(side));
        }
        // Values are compared one by one: the variance of equal values may not round to zero.
        if are_equal(series) {
            return Err(Undefined::Constant(side));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// `0, 1, …, 29` and the same with the first and the last exchanged: `Σd² = 2·29²`, so
    /// Spearman's (and, for integers without ties, Pearson's) coefficient is `1 - 6·1682 / (30·899)
    /// = 0.62580645…` by hand.
    fn exchanged() -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (0..30).map(f64::from).collect();
        let mut y = x.clone();
        y.swap(0, 29);
        (x, y)
    }

    #[test]
    fn both_coefficients_agree_with_the_hand_computed_value() {
        let (x, y) = exchanged();
        let by_hand = 1.0 - 6.0 * 1682.0 / (30.0 * 899.0);
        assert!((pearson(&x, &y).unwrap() - by_hand).abs() < 1e-12);
        assert!((spearman(&x, &y).unwrap() - by_hand).abs() < 1e-12);
    }

    #[test]
    fn pearson_follows_equation_1_where_ranks_would_not() {
        // One bin in 30 against two bins that contain it: p = 1/30, q = 2/30;
        // r = (p - pq) / √(p(1-p)q(1-q)) = √(p(1-q) / (q(1-p))) = √(14/29).
        let mut x = vec![0.0; 30];
        let mut y = vec![0.0; 30];
        (x[7], y[7], y[8]) = (1.0, 1.0, 1.0);
        assert!((pearson(&x, &y).unwrap() - (14.0_f64 / 29.0).sqrt()).abs() < 1e-12);
        // A cube preserves the order: Spearman's is 1, Pearson's is not.
        let x: Vec<f64> = (0..30).map(f64::from).collect();
        let cubes: Vec<f64> = x.iter().map(|x| x.powi(3)).collect();
        assert!((spearman(&x, &cubes).unwrap() - 1.0).abs() < 1e-12);
        assert!(pearson(&x, &cubes).unwrap() < 0.95);
    }

    #[test]
    fn ties_share_their_average_rank() {
        assert_eq!(ranks(&[10.0, 20.0, 10.0, 5.0, 20.0, 20.0]), [2.5, 5.0, 2.5, 1.0, 5.0, 5.0]);
    }

    #[test]
    fn what_does_not_exist_says_why() {
        let rising: Vec<f64> = (0..30).map(f64::from).collect();
        // 0.1 thirty times: the mean is rounded, so the variance would not be zero.
        assert_eq!(pearson(&rising, &[0.1; 30]), Err(Undefined::Constant(Side::Second)));
        assert_eq!(spearman(&[0.1; 30], &rising), Err(Undefined::Constant(Side::First)));
        assert_eq!(pearson(&rising[..29], &rising[..29]), Err(Undefined::Short(29)));
        assert_eq!(pearson(&rising, &rising[1..]), Err(Undefined::Unpaired(30, 29)));
        let mut broken = rising.clone();
        broken[3] = f64::NAN;
        assert_eq!(pearson(&broken, &rising), Err(Undefined::NotANumber(Side::First)));
        let why = Undefined::Constant(Side::Second)
            .of([Compared::ReferenceCounter, Compared::Throughput]);
        assert_eq!(why, Reason::Constant { series: Compared::Throughput });
    }

    #[test]
    fn a_moving_average_has_one_value_per_whole_window() {
        assert_eq!(moving_average(&[1.0, 3.0, 5.0, 4.0], 2), [2.0, 4.0, 4.5]);
        assert_eq!(moving_average(&[1.0, 3.0], 3), Vec::<f64>::new());
    }

    #[test]
    fn huge_values_do_not_overflow() {
        let (x, y) = exchanged();
        let huge: Vec<f64> = x.iter().map(|x| (x - 15.0) * 1e307).collect();
        assert!((pearson(&huge, &y).unwrap() - pearson(&x, &y).unwrap()).abs() < 1e-9);
    }

    fn series() -> impl Strategy<Value = Vec<(f64, f64)>> {
        vec((-1e6..1e6_f64, -1e6..1e6_f64), 30..80)
    }

    proptest! {
        #[test]
        fn r_is_symmetric_bounded_and_blind_to_shift_and_scale(
            pairs in series(), shift in -1e6..1e6_f64, scale in 1e-3..1e3_f64,
        ) {
            let (x, y): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            for r in [Coefficient::Pearson, Coefficient::Spearman] {
                let plain = r.of(&x, &y).unwrap();
                prop_assert!(plain.abs() <= 1.0);
                prop_assert!((plain - r.of(&y, &x).unwrap()).abs() < 1e-9);
                let moved: Vec<f64> = x.iter().map(|x| x * scale + shift).collect();
                prop_assert!((plain - r.of(&moved, &y).unwrap()).abs() < 1e-6);
                let mirrored: Vec<f64> = x.iter().map(|x| -x).collect();
                prop_assert!((plain + r.of(&mirrored, &y).unwrap()).abs() < 1e-9);
            }
        }

        #[test]
        fn ranks_add_up(values in vec(-5..5_i8, 1..60)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let n = values.len() as f64;
            prop_assert!((ranks(&values).iter().sum::<f64>() - n * (n + 1.0) / 2.0).abs() < 1e-9);
        }
    }
}
