//! Variances of many small samples, each drawn towards what they have in common.
//!
//! Four blocks hardly tell how much a method scatters: by chance, some of forty methods seem not to
//! scatter at all, and any difference from them seems certain. The variances of all methods
//! together tell which of them are believable (Smyth 2004, the empirical Bayes of `limma`): `(d_0
//! s_0² + d s²) / (d_0 + d)`, where the variance `s_0²` and its weight `d_0` follow from how much
//! the samples' own variances `s²`, of `d` degrees of freedom each, differ.

use statrs::function::gamma::digamma;

use super::correlation::mean;

/// Fewer variances do not tell how much they differ: in simulations of three, methods of unlike
/// scatter were told apart too often.
const LEAST: usize = 4;

/// The least variance that is believed, in parts of the median: equal values say nothing.
const LEAST_PART: f64 = 1e-5;

/// What the variances have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prior {
    /// `s_0²`.
    variance: f64,
    /// `d_0`: infinite where the variances differ no more than by chance.
    pub(super) freedom: f64,
}

impl Prior {
    /// Of these variances with their degrees of freedom, by the moments of the logarithms. None
    /// of fewer than four, or where most of them are zero.
    pub(super) fn of(samples: &[(f64, f64)]) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.iter().map(|(variance, _)| *variance).collect();
        sorted.sort_by(f64::total_cmp);
        let least = LEAST_PART * sorted.get(sorted.len() / 2)?;
        if samples.len() < LEAST || least <= 0.0 {
            return None;
        }
        let log = |&(variance, freedom): &(f64, f64)| {
            variance.max(least).ln() - digamma(freedom / 2.0) + (freedom / 2.0).ln()
        };
        let logs: Vec<f64> = samples.iter().map(log).collect();
        let middle = mean(&logs);
        let apart: Vec<f64> = logs.iter().map(|log| (log - middle).powi(2)).collect();
        let by_chance: Vec<f64> =
            samples.iter().map(|(_, freedom)| trigamma(freedom / 2.0)).collect();
        #[expect(clippy::cast_precision_loss, reason = "a number of methods")]
        let of_sample = logs.len() as f64 / (logs.len() as f64 - 1.0);
        let beyond_chance = of_sample * mean(&apart) - mean(&by_chance);
        if beyond_chance <= 0.0 {
            let all: Vec<f64> = samples.iter().map(|(variance, _)| *variance).collect();
            return Some(Self { variance: mean(&all), freedom: f64::INFINITY });
        }
        let half = inverse_trigamma(beyond_chance);
        let variance = (middle + digamma(half) - half.ln()).exp();
        Some(Self { variance, freedom: 2.0 * half })
    }

    /// What a sample's own variance is drawn to.
    pub(super) fn moderated(self, variance: f64, freedom: f64) -> f64 {
        if self.freedom.is_infinite() {
            return self.variance;
        }
        (self.freedom * self.variance + freedom * variance) / (self.freedom + freedom)
    }
}

/// The derivative of [`digamma`], for `x > 0`: by recurrence to 10 or more, and there by its
/// asymptotic series.
fn trigamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        below += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = 1.0 / 6.0 - square * (1.0 / 30.0 - square * (1.0 / 42.0 - square / 30.0));
    below + 1.0 / x + square / 2.0 + square / x * series
}

/// Where [`trigamma`] is `y`, by Newton's steps on `1/y`, which rise to it from below (Smyth 2004,
/// appendix).
fn inverse_trigamma(y: f64) -> f64 {
    // Beyond these, the ends of the function themselves are exact to every digit.
    if y > 1e7 {
        return 1.0 / y.sqrt();
    }
    if y < 1e-6 {
        return 1.0 / y;
    }
    let mut x = 0.5 + 1.0 / y;
    for _ in 0..50 {
        let value = trigamma(x);
        let slope = (trigamma(x * (1.0 + 1e-6)) - trigamma(x * (1.0 - 1e-6))) / (2e-6 * x);
        let step = value * (1.0 - value / y) / slope;
        x += step;
        if -step / x < 1e-9 {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-5 * b.abs()
    }

    /// `limma` 3.54.1 on R 4.2.2: `f <- fitFDist(v, df1 = d)`, `squeezeVar(v, df = d)$var.post`.
    #[test]
    fn as_limma_has_it() {
        let v = [4.1, 0.02, 9.7, 3.3, 150.0, 1.2, 0.8, 2.6, 5.5, 0.3].map(|s2| (s2, 3.0));
        let prior = Prior::of(&v).unwrap();
        assert!(close(prior.variance, 0.919_156_109_278), "{prior:?}");
        assert!(close(prior.freedom, 1.056_422_502_24), "{prior:?}");
        assert!(close(prior.moderated(4.1, 3.0), 3.271_606_246_5));
        assert!(close(prior.moderated(150.0, 3.0), 111.174_567_478_4));
        // Unlike numbers of blocks.
        let (s2, d) = ([4.1, 0.5, 9.7, 3.3, 40.0, 1.2], [3.0, 3.0, 3.0, 9.0, 9.0, 9.0]);
        let v: Vec<(f64, f64)> = s2.into_iter().zip(d).collect();
        let prior = Prior::of(&v).unwrap();
        assert!(close(prior.variance, 2.698_881_610_5), "{prior:?}");
        assert!(close(prior.freedom, 1.955_952_673_22), "{prior:?}");
        // More alike than by chance.
        let prior = Prior::of(&[4.1, 3.9, 4.4, 3.7, 4.0, 4.2].map(|s2| (s2, 3.0))).unwrap();
        assert_eq!(prior.freedom, f64::INFINITY);
        assert!(close(prior.variance, 4.05) && close(prior.moderated(9.0, 3.0), 4.05));
    }

    #[test]
    fn few_variances_and_none_say_nothing_in_common() {
        assert_eq!(Prior::of(&[(1.0, 3.0), (2.0, 3.0), (3.0, 3.0)]), None);
        assert_eq!(Prior::of(&[(0.0, 3.0); 9]), None);
    }

    #[test]
    fn trigamma_and_its_inverse() {
        // π²/6, π²/2, and π²/6 - 1.
        for (x, y) in [(1.0, 1.644_934_067), (0.5, 4.934_802_201), (2.0, 0.644_934_067)] {
            assert!(close(trigamma(x), y), "{x}: {}", trigamma(x));
            assert!(close(inverse_trigamma(y), x), "{y}: {}", inverse_trigamma(y));
        }
        for x in [1e-5, 0.01, 0.3, 7.0, 300.0, 2e6] {
            assert!(close(inverse_trigamma(trigamma(x)), x), "{x}");
        }
    }
}
