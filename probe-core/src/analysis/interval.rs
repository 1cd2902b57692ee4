//! Intervals and tests for the mean of paired differences, by Student's t.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::correlation::{are_equal, mean};

/// Level of every interval.
pub const LEVEL: f64 = 0.95;

/// `1 - LEVEL`, the level of every test.
pub const ALPHA: f64 = 0.05;

/// Power at which an effect counts as detectable.
pub const POWER: f64 = 0.8;

/// Fewest blocks for a verdict and for `detectable`: with fewer, the scatter is hardly known.
pub const LEAST_BLOCKS: usize = 4;

/// Two ends, `lo <= hi`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// Maps both ends through `f`, an increasing function.
    #[must_use]
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { lo: f(self.lo), hi: f(self.hi) }
    }
}

/// Student's t interval of the mean at 95 %: `x̄ ± t[1-α/2, n-1] · s/√n`. `None` for fewer than two
/// values.
pub fn student(values: &[f64]) -> Option<Interval> {
    student_at(values, ALPHA)
}

/// [`student`] at `1 - alpha`.
pub fn student_at(values: &[f64], alpha: f64) -> Option<Interval> {
    let half = quantile(1.0 - alpha / 2.0, values.len())? * standard_error(values)?;
    let mean = mean(values);
    Some(Interval { lo: mean - half, hi: mean + half })
}

/// Smallest true mean that a test with this number of values and this scatter would have detected
/// with [`POWER`]: `(t[1-α/2, n-1] + t[0.8, n-1]) · s/√n`. `None` for fewer than [`LEAST_BLOCKS`]
/// values.
pub fn detectable(values: &[f64]) -> Option<f64> {
    let n = Some(values.len()).filter(|&n| n >= LEAST_BLOCKS)?;
    Some((quantile(1.0 - ALPHA / 2.0, n)? + quantile(POWER, n)?) * standard_error(values)?)
}

/// Two-sided p-value of "the true mean is zero", by the paired t-test. `None` for fewer than two
/// values.
pub fn p_value(values: &[f64]) -> Option<f64> {
    let (mean, error) = (mean(values), standard_error(values)?);
    if mean == 0.0 {
        return Some(1.0);
    }
    // Equal values differ from zero with certainty (t is infinite). Replays on the counted clock
    // can give such values.
    if error == 0.0 {
        return Some(0.0);
    }
    Some(two_sided(mean / error, freedom(values.len())?))
}

/// Holm's step-down adjustment of the p-values of one family, in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p_values.len()];
    let mut order: Vec<(f64, &mut f64)> = p_values.iter().copied().zip(&mut adjusted).collect();
    order.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut least = 0.0_f64;
    for (left, (p, adjusted)) in (1..=order.len()).rev().zip(order) {
        let left = f64::from(u32::try_from(left).unwrap_or(u32::MAX));
        least = least.max((left * p).min(1.0));
        *adjusted = least;
    }
    adjusted
}

/// Fieller's interval of the ratio of two means, `ā / b̄`, over pairs. `None` for fewer than two
/// pairs, or if `b̄` may be zero (the interval would be unbounded).
pub fn ratio(a: &[f64], b: &[f64]) -> Option<Interval> {
    let t = quantile(1.0 - ALPHA / 2.0, a.len())?;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let weight = t * t / count(a);
    let square = mean_b * mean_b - weight * covariance(b, b);
    let linear = mean_a * mean_b - weight * covariance(a, b);
    let constant = mean_a * mean_a - weight * covariance(a, a);
    if square <= 0.0 {
        return None;
    }
    // Rounding may put the root of an exact ratio just below zero.
    let root = (linear * linear - square * constant).max(0.0).sqrt();
    Some(Interval { lo: (linear - root) / square, hi: (linear + root) / square })
}

/// `s/√n`; `None` for fewer than two values.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    (values.len() > 1).then(|| (covariance(values, values) / count(values)).sqrt())
}

/// Sample covariance, with `n - 1`.
fn covariance(a: &[f64], b: &[f64]) -> f64 {
    // Equal values have no scatter, even if their mean is rounded.
    if are_equal(a) || are_equal(b) {
        return 0.0;
    }
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum: f64 = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum();
    sum / (count(a) - 1.0)
}

#[expect(clippy::cast_precision_loss, reason = "no sample has 2^52 values")]
fn count(values: &[f64]) -> f64 {
    values.len() as f64
}

/// The `p` quantile of Student's t for a sample of `n`: `n - 1` degrees of freedom. `None` for `n`
/// below two.
pub(super) fn quantile(p: f64, n: usize) -> Option<f64> {
    Some(t_quantile(p, freedom(n)?))
}

/// The `p` quantile of Student's t with `freedom` degrees of freedom; NaN unless these are above
/// zero.
pub(super) fn t_quantile(p: f64, freedom: f64) -> f64 {
    student_t(freedom).map_or(f64::NAN, |student| student.inverse_cdf(p))
}

/// Probability that Student's t is at least as far from zero as `t`; NaN as above.
pub(super) fn two_sided(t: f64, freedom: f64) -> f64 {
    student_t(freedom).map_or(f64::NAN, |student| 2.0 * student.sf(t.abs()))
}

/// Degrees of freedom of a sample of `n`; `None` for `n` below two.
pub(super) fn freedom(n: usize) -> Option<f64> {
    let freedom = n.checked_sub(1).filter(|&freedom| freedom > 0)?;
    Some(f64::from(u32::try_from(freedom).ok()?))
}

fn student_t(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::analysis::fixture::{coverage, normal};

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    #[test]
    fn quantiles_are_those_of_the_printed_tables() {
        for (p, n, t) in [
            (0.975, 2, 12.7062),
            (0.975, 3, 4.3027),
            (0.975, 6, 2.5706),
            (0.975, 10, 2.2622),
            (0.975, 15, 2.1448),
            (0.8, 2, 1.3764),
            (0.8, 10, 0.8834),
        ] {
            let found = quantile(p, n).unwrap();
            assert!((found - t).abs() < 5e-5, "t[{p}, {}] = {found}", n - 1);
        }
    }

    #[test]
    fn the_interval_of_four_values_by_hand() {
        // Mean 5, s = √(20/3), s/√4 = 1.290994, t[0.975, 3] = 3.182446.
        let values = [2.0, 4.0, 6.0, 8.0];
        let Interval { lo, hi } = student(&values).unwrap();
        assert!((lo - (5.0 - 4.108522)).abs() < 1e-5, "{lo}");
        assert!((hi - (5.0 + 4.108522)).abs() < 1e-5, "{hi}");
        // t[0.8, 3] = 0.978472.
        let detectable = detectable(&values).unwrap();
        assert!((detectable - (3.182446 + 0.978472) * 1.290994).abs() < 1e-4, "{detectable}");
        // t = 5 / 1.290994 = 3.872983 on 3 degrees of freedom.
        let p = p_value(&values).unwrap();
        assert!((p - 0.030466).abs() < 1e-5, "{p}");
    }

    #[test]
    fn one_value_has_no_interval() {
        assert_eq!(student(&[3.0]), None);
        assert_eq!(detectable(&[3.0]), None);
        assert_eq!(p_value(&[]), None);
        assert_eq!(ratio(&[1.0], &[2.0]), None);
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        assert_eq!(student(&[0.0; 7]), Some(Interval { lo: 0.0, hi: 0.0 }));
        assert_eq!(p_value(&[0.0; 7]), Some(1.0));
        // Seven times 0.1 is not exactly 0.7.
        assert_eq!(standard_error(&[0.1; 7]), Some(0.0));
        assert_eq!(p_value(&[0.1; 7]), Some(0.0));
    }

    #[test]
    fn holm_by_hand() {
        // Sorted: 0.01·4 = 0.04, 0.02·3 = 0.06, 0.03·2 = 0.06, 0.9·1.
        assert_eq!(holm(&[0.03, 0.01, 0.9, 0.02]), [0.06, 0.04, 0.9, 0.06]);
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn a_ratio_without_scatter_is_exact_and_one_over_zero_has_no_end() {
        let Interval { lo, hi } = ratio(&[0.7, 0.8, 0.9], &[0.7, 0.8, 0.9]).unwrap();
        assert!(close(lo, 1.0) && close(hi, 1.0), "{lo} {hi}");
        assert_eq!(ratio(&[1.0, 2.0, 3.0], &[-1.0, 0.1, 1.0]), None);
    }

    #[test]
    fn t_and_ratio_intervals_cover_the_truth_as_often_as_they_say() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for n in [3, 5, 10] {
            let covered = coverage(4000, 7.0, || student(&normal(&mut rng, n, 7.0, 2.0)));
            println!("Student's t, normal, n = {n}: {covered:.3}");
            assert!((0.937..0.963).contains(&covered), "n = {n}: {covered}");
        }
        let covered = coverage(4000, 0.6, || {
            let b = normal(&mut rng, 6, 0.9, 0.1);
            let noise = normal(&mut rng, 6, 0.0, 0.05);
            let a: Vec<f64> = b.iter().zip(&noise).map(|(b, noise)| 0.6 * b + noise).collect();
            ratio(&a, &b)
        });
        println!("Fieller, normal, n = 6: {covered:.3}");
        assert!((0.937..0.963).contains(&covered), "{covered}");
    }

    #[test]
    fn an_effect_of_the_detectable_size_is_found_four_times_in_five() {
        // With s known to the formula: d = (t1 + t2) · σ/√n.
        let n = 10;
        let effect = (quantile(0.975, n).unwrap() + quantile(POWER, n).unwrap()) / 10.0_f64.sqrt();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let found = (0..4000)
            .filter(|_| p_value(&normal(&mut rng, n, effect, 1.0)).unwrap() < ALPHA)
            .count();
        assert!((3080..3400).contains(&found), "{found} of 4000");
    }

    proptest! {
        #[test]
        fn the_interval_moves_with_its_values(
            values in vec(-1e3..1e3_f64, 2..40), shift in -1e3..1e3_f64, scale in 0.01..100.0_f64,
        ) {
            let plain = student(&values).unwrap();
            let moved: Vec<f64> = values.iter().map(|x| scale * x + shift).collect();
            let moved = student(&moved).unwrap();
            let tolerance = 1e-7 * (1.0 + scale * 1e3 + shift.abs());
            prop_assert!((moved.lo - (scale * plain.lo + shift)).abs() < tolerance);
            prop_assert!((moved.hi - (scale * plain.hi + shift)).abs() < tolerance);
            prop_assert!(plain.lo <= mean(&values) && mean(&values) <= plain.hi);
        }

        #[test]
        fn the_order_of_the_values_does_not_matter(values in vec(-1e3..1e3_f64, 2..40)) {
            let mut turned = values.clone();
            turned.reverse();
            let (a, b) = (student(&values).unwrap(), student(&turned).unwrap());
            prop_assert!(close(a.lo, b.lo) && close(a.hi, b.hi));
        }

        #[test]
        fn holm_is_never_below_p_and_keeps_the_order(p in vec(0.0..=1.0_f64, 1..12)) {
            let adjusted = holm(&p);
            for i in 0..p.len() {
                prop_assert!((p[i]..=1.0).contains(&adjusted[i]));
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }

    #[test]
    fn without_degrees_of_freedom_there_is_no_number() {
        for freedom in [0.0, -1.0, f64::NAN] {
            assert!(t_quantile(0.975, freedom).is_nan() && two_sided(1.0, freedom).is_nan());
        }
    }
}
