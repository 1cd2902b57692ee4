//! Known truths for the tests: simulated noise, and a campaign whose figures can be computed by hand.

use rand::{Rng, RngExt as _};
use statrs::distribution::{ContinuousCDF, Normal};

use super::interval::Interval;

/// `n` draws from a normal distribution.
pub(crate) fn normal(rng: &mut impl Rng, n: usize, mean: f64, sd: f64) -> Vec<f64> {
    let normal = Normal::new(mean, sd).unwrap();
    (0..n).map(|_| normal.inverse_cdf(rng.random_range(f64::EPSILON..1.0))).collect()
}

/// Share of `times` simulated experiments whose interval holds `truth`.
pub(crate) fn coverage(
    times: u32,
    truth: f64,
    mut experiment: impl FnMut() -> Option<Interval>,
) -> f64 {
    let covered = (0..times)
        .filter(|_| experiment().is_some_and(|found| (found.lo..=found.hi).contains(&truth)))
        .count();
    f64::from(u32::try_from(covered).unwrap()) / f64::from(times)
}
