//! How sure it is that enough is left of a correlation, on Fisher's z.
//!
//! Correlations are skewed to the left: most of a few blocks lie above their mean, close together,
//! and an interval of Student's from them is too high. On Fisher's `z = atanh r` they scatter
//! evenly. The mean of `z` is not the mean of `r`, though: that falls with the scatter of `z`. So
//! mean and scatter of `z` are drawn together from all that may lie behind the blocks, and each
//! draw tells what `mean r_m / mean r_0` would be (generalized pivotal quantities, Weerahandi 1993;
//! as Krishnamoorthy and Mathew 2003 have it for the mean of log-normal values).

use rand::{Rng, RngExt as _};
use statrs::distribution::{ContinuousCDF, Normal};

use super::correlation::mean;

/// Draws behind each answer: the least p is one in so many.
const DRAWS: usize = 10_000;

/// A correlation of 1 has no z.
const MOST: f64 = 1.0 - 1e-6;

/// Points and weights of the Gauss-Hermite rule of five points, for the normal distribution.
const POINTS: [(f64, f64); 3] =
    [(0.0, 0.533_333_333), (1.355_626_18, 0.222_075_922), (2.856_970_014, 0.011_257_411)];

/// Up to this scatter five points are enough: `tanh` is nearly a polynomial there.
const NARROW: f64 = 0.6;

/// The middles of 25 parts of the normal distribution that are equally likely; the others are these
/// with the other sign, and 0.
const MIDDLES: [f64; 12] = [
    0.100_434, 0.201_893, 0.305_481, 0.412_463, 0.524_401, 0.643_345, 0.772_193, 0.915_365,
    1.080_319, 1.281_552, 1.554_774, 2.053_749,
];

/// Fisher's z of a correlation.
pub(super) fn z(r: f64) -> f64 {
    r.clamp(-MOST, MOST).atanh()
}

/// What may lie behind any two series of `n` normal values each, as what they showed is turned into
/// it. Equal for all methods: drawn once.
pub(super) struct Pivots {
    n: usize,
    draws: Vec<Pivot>,
}

struct Pivot {
    /// Roots of chi-squared values, with `n - 1` and `n - 2` degrees of freedom.
    scatter: [f64; 2],
    /// Of how much of the second series follows the first.
    follows: f64,
    /// Errors of the means.
    errors: [f64; 2],
}

impl Pivots {
    /// For `n` blocks. None below three.
    pub(super) fn draw(n: usize, rng: &mut impl Rng) -> Option<Self> {
        if n < 3 {
            return None;
        }
        let normal = Normal::standard();
        let mut draw = || normal.inverse_cdf(rng.random_range(f64::EPSILON..1.0));
        #[expect(clippy::cast_precision_loss, reason = "a number of blocks")]
        let root = (n as f64).sqrt();
        let draws = std::iter::repeat_with(|| {
            let mut chi = |freedom: usize| -> f64 {
                (0..freedom).map(|_| draw().powi(2)).sum::<f64>().sqrt()
            };
            let scatter = [chi(n.saturating_sub(1)), chi(n.saturating_sub(2))];
            Pivot { scatter, follows: draw(), errors: [draw() / root, draw() / root] }
        });
        Some(Self { n, draws: draws.take(DRAWS).collect() })
    }

    /// How likely less than `share` of the correlation is left, and how likely more, of blocks with
    /// these correlations without and under a method.
    pub(super) fn chances(&self, share: f64, blocks: &[[f64; 2]]) -> [f64; 2] {
        debug_assert_eq!(blocks.len(), self.n);
        let without: Vec<f64> = blocks.iter().map(|[r_0, _]| z(*r_0)).collect();
        let under: Vec<f64> = blocks.iter().map(|[_, r_m]| z(*r_m)).collect();
        let means = [mean(&without), mean(&under)];
        let sum = |a: &[f64], b: &[f64], [of_a, of_b]: [f64; 2]| -> f64 {
            a.iter().zip(b).map(|(a, b)| (a - of_a) * (b - of_b)).sum()
        };
        let [of_0, of_m] = means;
        let own = sum(&without, &without, [of_0, of_0]).sqrt();
        let both = sum(&without, &under, means);
        let along = if own > 0.0 { both / own } else { 0.0 };
        let across = (sum(&under, &under, [of_m, of_m]) - along * along).max(0.0).sqrt();
        let (mut less, mut more) = (0_usize, 0_usize);
        for draw in &self.draws {
            let [left, needed] = draw.correlations(means, [own, along, across]);
            let beyond = left - share * needed;
            less = less.saturating_add(usize::from(beyond < -ROUNDING));
            more = more.saturating_add(usize::from(beyond > ROUNDING));
        }
        [less, more].map(one_more_of)
    }
}

/// Sums of the same numbers differ by less.
const ROUNDING: f64 = 1e-9;

/// A share that is never zero: of draws, what was never seen may still be.
#[expect(clippy::cast_precision_loss, reason = "a number of draws")]
fn one_more_of(count: usize) -> f64 {
    (count as f64 + 1.0) / (DRAWS as f64 + 1.0)
}

impl Pivot {
    /// The mean correlations under the method and without it.
    fn correlations(&self, [of_0, of_m]: [f64; 2], [own, along, across]: [f64; 3]) -> [f64; 2] {
        let [first, second] = self.scatter;
        let own = own / first;
        let across = across / second;
        let along = (along - across * self.follows) / first;
        let [error_0, error_m] = self.errors;
        let without = mean_of_tanh(of_0 - own * error_0, own);
        let under = of_m - along * error_0 - across * error_m;
        [mean_of_tanh(under, along.hypot(across)), without]
    }
}

/// The mean of `tanh z` of normal `z`.
fn mean_of_tanh(mean: f64, sd: f64) -> f64 {
    let both = |point: f64| (mean + sd * point).tanh() + (mean - sd * point).tanh();
    if sd > NARROW {
        let all = mean.tanh() + MIDDLES.into_iter().map(both).sum::<f64>();
        return all / 25.0;
    }
    let [middle, inner, outer] = POINTS.map(|(point, weight)| weight / 2.0 * both(point));
    middle + 2.0 * (inner + outer)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::analysis::fixture::normal;

    const CAMPAIGNS: u32 = 150;

    /// Share of campaigns in which it seems sure, at 0.025, that more is left than is, of r without
    /// and under a method whose z are normal with these means and scatters.
    fn wrong(n: usize, [z_0, z_m]: [(f64, f64); 2]) -> f64 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
        let truth = mean_of_tanh(z_m.0, z_m.1) / mean_of_tanh(z_0.0, z_0.1);
        let pivots = Pivots::draw(n, &mut rng).unwrap();
        let wrong = (0..CAMPAIGNS).filter(|_| {
            let [a, b] = [z_0, z_m].map(|(mean, sd)| normal(&mut rng, n, mean, sd));
            let blocks: Vec<_> = a.iter().zip(&b).map(|(a, b)| [a.tanh(), b.tanh()]).collect();
            pivots.chances(truth, &blocks)[0] < 0.025
        });
        f64::from(u32::try_from(wrong.count()).unwrap()) / f64::from(CAMPAIGNS)
    }

    #[test]
    fn the_mean_of_tanh_is_that_of_many_draws() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        for (z, sd) in [(0.9, 0.3), (1.4, 0.55), (2.0, 0.4)] {
            let drawn: Vec<f64> =
                normal(&mut rng, 200_000, z, sd).into_iter().map(f64::tanh).collect();
            assert!((mean(&drawn) - mean_of_tanh(z, sd)).abs() < 2e-3, "{z} {sd}");
        }
        for (z, sd) in [(0.9, 0.7), (1.2, 2.0), (1.2, 5.0), (2.0, 4.0)] {
            let drawn: Vec<f64> =
                normal(&mut rng, 200_000, z, sd).into_iter().map(f64::tanh).collect();
            assert!((mean(&drawn) - mean_of_tanh(z, sd)).abs() < 0.02, "{z} {sd}");
        }
    }

    #[test]
    fn what_is_left_of_skewed_correlations_is_not_overrated() {
        for n in [4, 10] {
            for z in [[(1.4, 0.05), (1.4, 0.55)], [(2.0, 0.4), (2.0, 0.4)]] {
                let wrong = wrong(n, z);
                println!("{n} blocks, {z:?}: {wrong:.3}");
                // By Student's t it is 0.12 to 0.14.
                assert!(wrong <= 0.05, "{n} blocks, {z:?}: {wrong}");
            }
        }
    }

    #[test]
    fn equal_series_keep_all_and_no_more() {
        let blocks = [0.9, 0.8, 0.95, 0.85].map(|r| [r, r]);
        let pivots = Pivots::draw(4, &mut Xoshiro256PlusPlus::seed_from_u64(1)).unwrap();
        let [less, more] = pivots.chances(1.0, &blocks);
        assert!(less < 1e-3 && more < 1e-3, "{less} {more}");
        assert!(pivots.chances(1.1, &blocks)[0] > 0.9);
        assert!(pivots.chances(0.5, &blocks)[0] < 0.025);
        assert!(Pivots::draw(2, &mut Xoshiro256PlusPlus::seed_from_u64(1)).is_none());
    }
}
