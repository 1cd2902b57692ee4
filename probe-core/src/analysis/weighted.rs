//! Correlations of resamples, in which each bin is weighted by how often the resample contains it.
//!
//! What can be computed once for all resamples is: the deviations for Pearson's coefficient, and
//! the order for ranks. A resample then costs a few sums over the bins.

use super::correlation::{Coefficient, FEWEST_BINS, Undefined, deviations};

/// If the variance of a resample is below this part of the squared greatest deviation, it is only
/// rounding of equal values.
const ROUNDING: f64 = 1e-24;

#[expect(clippy::cast_precision_loss, reason = "a small number")]
const FEWEST: f64 = FEWEST_BINS as f64;

/// Two series whose correlation coefficient can be computed for any weights of their bins.
#[derive(Debug, Clone)]
pub struct Weighted {
    /// 0 for bins in which one of the series is unknown, otherwise 1.
    known: Vec<f64>,
    series: Series,
    whole: f64,
}

#[derive(Debug, Clone)]
enum Series {
    Deviations([Vec<f64>; 2]),
    Rankings([Ranking; 2]),
}

impl Weighted {
    /// Takes two series of the same length; bins in which one of them is NaN are ignored, whatever
    /// their weight.
    ///
    /// # Errors
    /// The coefficient is undefined for all bins together.
    pub fn new(coefficient: Coefficient, x: &[f64], y: &[f64]) -> Result<Self, Undefined> {
        let known: Vec<bool> = x.iter().zip(y).map(|(x, y)| !x.is_nan() && !y.is_nan()).collect();
        let all = |values: &[f64]| -> Vec<f64> {
            values
                .iter()
                .zip(&known)
                .filter_map(|(&value, &known)| known.then_some(value))
                .collect()
        };
        if x.len() != y.len() {
            return Err(Undefined::Unpaired(x.len(), y.len()));
        }
        let whole = [all(x), all(y)];
        let of_all = coefficient.of(&whole[0], &whole[1])?;
        let series = match coefficient {
            Coefficient::Pearson => {
                Series::Deviations(whole.map(|values| spread(&scaled(deviations(&values)), &known)))
            }
            Coefficient::Spearman => {
                Series::Rankings([x, y].map(|values| Ranking::of(values, &known)))
            }
        };
        let known = known.into_iter().map(|known| f64::from(u8::from(known))).collect();
        Ok(Self { known, series, whole: of_all })
    }

    /// The coefficient of all bins, each with weight 1.
    pub fn whole(&self) -> f64 {
        self.whole
    }

    /// The coefficient of the bins with these weights; `None` if it is undefined.
    pub fn at(&self, weights: &[f64]) -> Option<f64> {
        match &self.series {
            Series::Deviations([x, y]) => pearson(&self.known, weights, x, y),
            Series::Rankings(both) => {
                let [x, y] = both.each_ref().map(|ranking| ranking.at(weights));
                pearson(&self.known, weights, &x, &y)
            }
        }
    }
}

/// The order of the bins by value.
#[derive(Debug, Clone)]
struct Ranking {
    /// For each bin, the rank of its value among all distinct values; the last one for bins that
    /// are unknown.
    places: Vec<usize>,
    /// Number of distinct values.
    values: usize,
}

impl Ranking {
    fn of(values: &[f64], known: &[bool]) -> Self {
        let mut places = vec![None; values.len()];
        let bins = values.iter().copied().zip(&mut places).zip(known);
        let mut order: Vec<(f64, &mut Option<usize>)> =
            bins.filter_map(|(bin, &known)| known.then_some(bin)).collect();
        order.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut values = 0_usize;
        for group in order.chunk_by_mut(|(a, _), (b, _)| a == b) {
            group.iter_mut().for_each(|(_, place)| **place = Some(values));
            values = values.saturating_add(1);
        }
        let places = places.into_iter().map(|place| place.unwrap_or(values)).collect();
        Self { places, values }
    }

    /// Average ranks of bins with equal values, scaled to between -1 and 1, which is enough for
    /// deviations.
    #[expect(clippy::indexing_slicing, reason = "no place is above the number of values")]
    fn at(&self, weights: &[f64]) -> Vec<f64> {
        let mut ranks = vec![0.0; self.values.saturating_add(1)];
        for (&place, &weight) in self.places.iter().zip(weights) {
            ranks[place] += weight;
        }
        let all: f64 = ranks[..self.values].iter().sum();
        let mut below = 0.0;
        for rank in &mut ranks {
            let own = *rank;
            *rank = (2.0 * below + own - all) / all;
            below += own;
        }
        self.places.iter().map(|&place| ranks[place]).collect()
    }
}

/// Takes deviations of at most 1.
fn pearson(known: &[f64], weights: &[f64], x: &[f64], y: &[f64]) -> Option<f64> {
    let [n, sum_x, sum_y] =
        sums(known, weights, x, y, |weight, x, y| [weight, weight * x, weight * y]);
    if n < FEWEST {
        return None;
    }
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let [xx, yy, xy] = sums(known, weights, x, y, |weight, x, y| {
        let (x, y) = (x - mean_x, y - mean_y);
        [weight * x * x, weight * y * y, weight * x * y]
    });
    if xx <= ROUNDING * n || yy <= ROUNDING * n {
        return None;
    }
    Some((xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0))
}

/// Three sums over the bins at once, in four independent lanes.
#[expect(clippy::indexing_slicing, reason = "of arrays of four lanes and of three terms")]
fn sums(
    known: &[f64],
    weights: &[f64],
    x: &[f64],
    y: &[f64],
    term: impl Fn(f64, f64, f64) -> [f64; 3],
) -> [f64; 3] {
    let mut lanes = [[0.0; 4]; 3];
    let (known, weights) = (known.as_chunks::<4>(), weights.as_chunks::<4>());
    let (x, y) = (x.as_chunks::<4>(), y.as_chunks::<4>());
    for (((known, weights), x), y) in known.0.iter().zip(weights.0).zip(x.0).zip(y.0) {
        for lane in 0..4 {
            let terms = term(known[lane] * weights[lane], x[lane], y[lane]);
            (0..3).for_each(|sum| lanes[sum][lane] += terms[sum]);
        }
    }
    for (((known, weight), &x), &y) in known.1.iter().zip(weights.1).zip(x.1).zip(y.1) {
        let terms = term(known * weight, x, y);
        (0..3).for_each(|sum| lanes[sum][0] += terms[sum]);
    }
    lanes.map(|lanes| lanes.iter().sum())
}

/// Scales so that the greatest is 1.
fn scaled(deviations: Vec<f64>) -> Vec<f64> {
    let most = deviations.iter().fold(0.0_f64, |most, deviation| most.max(deviation.abs()));
    deviations.into_iter().map(|deviation| deviation / most).collect()
}

/// The values of the known bins at their places, 0 at the others.
fn spread(values: &[f64], known: &[bool]) -> Vec<f64> {
    let mut values = values.iter();
    known
        .iter()
        .map(|&known| known.then(|| values.next().copied()).flatten().unwrap_or(0.0))
        .collect()
}

/// `Σ weight · value`, in four independent lanes.
pub(super) fn dot(weights: &[f64], values: &[f64]) -> f64 {
    const LANES: usize = 4;
    let (weights, last_weights) = weights.as_chunks::<LANES>();
    let (values, last_values) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (weights, values) in weights.iter().zip(values) {
        for ((lane, weight), value) in lanes.iter_mut().zip(weights).zip(values) {
            *lane += weight * value;
        }
    }
    let last: f64 =
        last_weights.iter().zip(last_values).map(|(weight, value)| weight * value).sum();
    lanes.iter().sum::<f64>() + last
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Each bin, repeated according to its weight.
    fn repeated(values: &[f64], weights: &[u8]) -> Vec<f64> {
        let times = |(&value, &weight): (&f64, &u8)| std::iter::repeat_n(value, weight.into());
        values.iter().zip(weights).flat_map(times).collect()
    }

    fn bins() -> impl Strategy<Value = Vec<((i8, i8), u8)>> {
        vec(((-6..6_i8, -6..6_i8), 0..4_u8), 30..90)
    }

    proptest! {
        #[test]
        fn a_weight_is_a_number_of_repetitions(bins in bins(), level in -1e9..1e9_f64) {
            let x: Vec<f64> = bins.iter().map(|((x, _), _)| level + f64::from(*x)).collect();
            let y: Vec<f64> = bins.iter().map(|((_, y), _)| f64::from(*y)).collect();
            let weights: Vec<u8> = bins.iter().map(|(_, weight)| *weight).collect();
            let at: Vec<f64> = weights.iter().copied().map(f64::from).collect();
            for coefficient in [Coefficient::Pearson, Coefficient::Spearman] {
                let Ok(weighted) = Weighted::new(coefficient, &x, &y) else { continue };
                let expected = coefficient.of(&repeated(&x, &weights), &repeated(&y, &weights)).ok();
                match (weighted.at(&at), expected) {
                    (Some(found), Some(expected)) => {
                        prop_assert!((found - expected).abs() < 1e-6, "{} {}", found, expected);
                    }
                    (found, expected) => prop_assert_eq!(found, expected),
                }
            }
        }
    }

    #[test]
    fn what_is_not_known_counts_nothing() {
        let x: Vec<f64> = (0..40).map(f64::from).collect();
        let mut y: Vec<f64> = x.iter().map(|x| x * x).collect();
        let at = [1.0; 40];
        for coefficient in [Coefficient::Pearson, Coefficient::Spearman] {
            let whole = coefficient.of(&x[1..], &y[1..]).unwrap();
            let mut gap = y.clone();
            gap[0] = f64::NAN;
            let found = Weighted::new(coefficient, &x, &gap).unwrap().at(&at).unwrap();
            assert!((found - whole).abs() < 1e-12, "{found} {whole}");
        }
        y[10..].fill(f64::NAN);
        let few = Weighted::new(Coefficient::Pearson, &x, &y).unwrap_err();
        assert_eq!(few, Undefined::Short(10));
    }
}
