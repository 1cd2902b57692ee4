//! Estimates the number of calls from those that were drawn at random.

use probe_core::model::observation::{EstimatedCalls, Promise};

/// 97.5 % of a normal distribution are below this.
const Z: f64 = 1.959_963_985;

/// From `drawn` calls, each drawn on its own with probability `p`: the numbers of calls `n` whose
/// binomial standard deviation holds `drawn` within 1.96 of `n p` (Wilson's score interval, solved
/// for `n`). It has a meaning where none was drawn, too.
pub(super) fn binomial(drawn: u64, p: f64) -> EstimatedCalls {
    #[expect(clippy::cast_precision_loss, reason = "no trial draws 2^53 calls")]
    let k = drawn as f64;
    // (k - n p)^2 = Z^2 n p (1 - p)
    let spread = Z * Z * (1.0 - p);
    let middle = 2.0 * k + spread;
    let root = (middle * middle - 4.0 * k * k).max(0.0).sqrt();
    let bound = |sign: f64| (middle + sign * root) / (2.0 * p);
    EstimatedCalls {
        calls: k / p,
        lo: bound(-1.0).max(k),
        hi: bound(1.0),
        promise: Promise::Confidence95,
    }
}

/// A sum of weights `w = 1/p` over the drawn calls, each with a probability that was set before its
/// draw (Horvitz and Thompson 1952).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Weights {
    /// Number of calls drawn.
    pub(super) drawn: u64,
    /// `Σ w`: the estimate. The expectation of each call's term is 1 whatever happened before, so
    /// it is unbiased.
    pub(super) sum: f64,
}

impl Weights {
    /// Adds one call.
    pub(super) fn add(&mut self, weight: f64) {
        self.drawn += 1;
        self.sum += weight;
    }

    /// The sum of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self { drawn: self.drawn + other.drawn, sum: self.sum + other.sum }
    }

    /// The estimate, ± 1.96 of its standard deviation. Its terms are uncorrelated, and `variance`
    /// is the sum of their variances `(1 - p)/p = w - 1` over all calls, drawn or not: an estimate
    /// from the drawn calls alone would not know of a time in which hardly any was drawn.
    pub(super) fn estimate(self, variance: f64) -> EstimatedCalls {
        #[expect(clippy::cast_precision_loss, reason = "no trial draws 2^53 calls")]
        let least = self.drawn as f64;
        let deviation = variance.sqrt();
        EstimatedCalls {
            calls: self.sum,
            lo: (self.sum - Z * deviation).max(least),
            hi: self.sum + Z * deviation,
            promise: Promise::Confidence95,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_xoshiro::Xoshiro256PlusPlus;

    #[test]
    fn a_certain_draw_is_exact() {
        let all = binomial(50, 1.0);
        assert_eq!((all.calls, all.lo, all.hi), (50.0, 50.0, 50.0));
        let mut weights = Weights::default();
        (0..50).for_each(|_| weights.add(1.0));
        let all = weights.estimate(0.0);
        assert_eq!((all.calls, all.lo, all.hi), (50.0, 50.0, 50.0));
    }

    #[test]
    fn none_drawn_does_not_mean_none_there() {
        let none = binomial(0, 0.01);
        assert_eq!((none.calls, none.lo), (0.0, 0.0));
        // The exact bound is 367 calls; that of the score interval is wider.
        assert!((367.0..400.0).contains(&none.hi), "{none:?}");
        // 300 calls, each drawn once in 100, and none was.
        let none = Weights::default().estimate(300.0 * 99.0);
        assert!((300.0..400.0).contains(&none.hi), "{none:?}");
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        const CALLS: u32 = 3000;
        const ROUNDS: u32 = 2000;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
        let (mut plain, mut weighted, mut mean) = (0, 0, 0.0);
        for _ in 0..ROUNDS {
            let drawn = (0..CALLS).filter(|_| random.random::<f64>() < 0.01).count();
            let EstimatedCalls { lo, hi, .. } = binomial(drawn as u64, 0.01);
            plain += u32::from((lo..=hi).contains(&f64::from(CALLS)));
            // A probability that depends on earlier draws, like the bucket's.
            let (mut weights, mut variance, mut p) = (Weights::default(), 0.0, 0.5);
            for _ in 0..CALLS {
                variance += 1.0 / p - 1.0;
                if random.random::<f64>() < p {
                    weights.add(1.0 / p);
                    p = f64::max(p / 1.2, 0.02);
                } else {
                    p = f64::min(p * 1.02, 1.0);
                }
            }
            let EstimatedCalls { calls, lo, hi, .. } = weights.estimate(variance);
            weighted += u32::from((lo..=hi).contains(&f64::from(CALLS)));
            mean += calls / f64::from(ROUNDS);
        }
        let share = |hits: u32| f64::from(hits) / f64::from(ROUNDS);
        assert!((0.93..0.97).contains(&share(plain)), "{}", share(plain));
        assert!((0.93..0.98).contains(&share(weighted)), "{}", share(weighted));
        assert!((mean - f64::from(CALLS)).abs() < 10.0, "{mean}");
    }
}
