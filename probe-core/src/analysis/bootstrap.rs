//! Bootstrap intervals: BCa over independent values (or pairs), and blocks of bins within one run.
//!
//! The caller passes the generator: equal seeds give equal intervals.

use std::ops::Range;

use rand::{Rng, RngExt as _};
use statrs::distribution::{ContinuousCDF, Normal};

use super::interval::{self, ALPHA, Interval};

/// Number of resamples of every bootstrap interval.
pub const RESAMPLES: usize = 2000;

/// BCa interval (Efron 1987: bias-corrected and accelerated) of `statistic` over `n` independent
/// `units`, at `1 - alpha`.
/// Resamples of `n` units scatter by `√((n-1)/n)` of what the units do, and do not include the
/// error of that scatter. So the normal quantiles are replaced by `√(n/(n-1)) · t[p, n-1]`
/// (Hesterberg 2015, "expanded"); without this, 15 normal values give 92 % instead of 95 %.
///
/// `statistic` takes the units of a resample. `None` for fewer than two units, or if the statistic
/// is not a number for some resample.
pub fn bca<Unit: Copy>(
    units: &[Unit],
    alpha: f64,
    statistic: impl Fn(&[Unit]) -> f64,
    rng: &mut impl Rng,
) -> Option<Interval> {
    let n = units.len();
    if n < 2 {
        return None;
    }
    let estimate = statistic(units);
    let mut resample = units.to_vec();
    let mut replicates: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            #[expect(clippy::indexing_slicing, reason = "drawn below their number")]
            resample.fill_with(|| units[rng.random_range(0..n)]);
            statistic(&resample)
        })
        .collect();
    if replicates.iter().any(|value| !value.is_finite()) {
        return None;
    }
    replicates.sort_by(f64::total_cmp);
    if replicates.first() == replicates.last() {
        return Some(Interval { lo: estimate, hi: estimate });
    }
    let normal = Normal::standard();
    let bias = normal.inverse_cdf(share_below(&replicates, estimate));
    let acceleration = acceleration(units, &statistic);
    let expanded = expansion(n) * interval::quantile(1.0 - alpha / 2.0, n)?;
    let end = |z: f64| {
        let z = bias + z;
        let level = normal.cdf(bias + z / (1.0 - acceleration * z));
        quantile(&replicates, level)
    };
    Some(Interval { lo: end(-expanded), hi: end(expanded) })
}

#[expect(clippy::cast_precision_loss, reason = "no sample has 2^52 values")]
fn expansion(n: usize) -> f64 {
    (n as f64 / (n as f64 - 1.0)).sqrt()
}

/// Share of the replicates below the estimate, ties counting half. It is kept away from 0 and 1,
/// where its normal score would be infinite.
#[expect(clippy::cast_precision_loss, reason = "a few thousand resamples")]
fn share_below(sorted: &[f64], estimate: f64) -> f64 {
    let below = sorted.partition_point(|&value| value < estimate);
    let not_above = sorted.partition_point(|&value| value <= estimate);
    let n = sorted.len() as f64;
    ((below as f64 + not_above as f64) / 2.0).clamp(0.5, n - 0.5) / n
}

/// The acceleration, by the jackknife: `Σd³ / 6(Σd²)^1.5`, where d are the distances of the
/// leave-one-out values from their mean.
fn acceleration<Unit: Copy>(units: &[Unit], statistic: impl Fn(&[Unit]) -> f64) -> f64 {
    let left_out: Vec<f64> = (0..units.len())
        .map(|out| {
            let mut rest = units.to_vec();
            rest.remove(out);
            statistic(&rest)
        })
        .collect();
    let mean = super::correlation::mean(&left_out);
    let power = |k: i32| left_out.iter().map(|value| (mean - value).powi(k)).sum::<f64>();
    let scatter = power(2).powf(1.5);
    if scatter > 0.0 { power(3) / (6.0 * scatter) } else { 0.0 }
}

/// The `p` quantile, linear between order statistics; NaN without values.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among a few thousand values, p clamped to [0, 1]"
)]
pub(super) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let (below, above) = match sorted.get(below..).unwrap_or_default() {
        [] => return f64::NAN,
        [last] => (last, last),
        [below, above, ..] => (below, above),
    };
    below + part * (above - below)
}

/// The bins of one run, split into the sections of its schedule.
///
/// A resample draws circular blocks (Politis and Romano 1992) within each section and never across
/// its border: the sections are part of the experiment's design, not of its noise. A section of `n`
/// bins is drawn in blocks of `⌈1.5·n^(1/3)⌉`. The cube root is the order at which the error of a
/// block bootstrap's variance is least (Hall, Horowitz and Jing 1995); the factor gave the best
/// coverage in simulation (table in docs/src/explanation/statistics.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sections(Vec<Range<usize>>);

impl Sections {
    /// `bins` bins, with a new section at each of `firsts`.
    pub fn new(bins: usize, firsts: &[usize]) -> Self {
        let mut cuts: Vec<usize> = firsts.iter().copied().filter(|&first| first < bins).collect();
        cuts.extend([0, bins]);
        cuts.sort_unstable();
        cuts.dedup();
        Self(cuts.array_windows().map(|&[from, to]| from..to).collect())
    }

    /// These ranges, none of them empty, in this order.
    pub(super) fn of(ranges: Vec<Range<usize>>) -> Self {
        debug_assert!(ranges.iter().all(|range| !range.is_empty()));
        Self(ranges)
    }

    /// The ranges.
    pub(super) fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }

    /// The factor by which resamples scatter too little: blocks of `l` out of `n` bins vary around
    /// the section's own mean, which costs `l` of its `n` degrees of freedom. `√(Σn / Σ(n - l))`
    /// over the sections.
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 bins")]
    fn widening(&self) -> f64 {
        let bins: usize = self.0.iter().map(Range::len).sum();
        let free = |section: &Range<usize>| {
            let bins = section.len();
            bins.saturating_sub(block_length(bins))
        };
        let free: usize = self.0.iter().map(free).sum();
        (bins as f64 / free.max(1) as f64).sqrt()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cube root of a number of bins"
)]
fn block_length(bins: usize) -> usize {
    ((1.5 * (bins as f64).cbrt()).ceil() as usize).min(bins)
}

/// Resamples of one run's bins, drawn once for everything that is computed from them: equal
/// sections and an equal generator give equal resamples.
#[derive(Debug, Clone)]
pub struct Resamples {
    /// How often each bin occurs in each resample, resample by resample; the bins of all sections
    /// in order.
    counts: Vec<u16>,
    bins: usize,
    widening: f64,
}

impl Resamples {
    /// Draws [`RESAMPLES`] resamples.
    pub fn draw(sections: &Sections, rng: &mut impl Rng) -> Self {
        let bins: usize = sections.0.iter().map(Range::len).sum();
        let mut counts = vec![0_u16; RESAMPLES.saturating_mul(bins)];
        for resample in counts.chunks_exact_mut(bins.max(1)) {
            let mut rest = resample;
            for section in &sections.0 {
                let (own, others) = rest.split_at_mut(section.len());
                draw(own, rng);
                rest = others;
            }
        }
        Self { counts, bins, widening: sections.widening() }
    }

    /// `statistic` of each resample, from how often each bin occurs; NaN if it is undefined. A
    /// statistic that compares two series takes both at the same bins.
    pub fn replicates(&self, statistic: impl Fn(&[f64]) -> Option<f64>) -> Vec<f64> {
        let mut weights = vec![0.0; self.bins];
        let of = |counts: &[u16]| {
            for (weight, &count) in weights.iter_mut().zip(counts) {
                *weight = f64::from(count);
            }
            statistic(&weights).unwrap_or(f64::NAN)
        };
        self.counts.chunks_exact(self.bins.max(1)).map(of).collect()
    }

    /// Interval at `1 - alpha` of a statistic with these `replicates`: their percentiles, moved
    /// away from `estimate` by the factor by which the resamples scatter too little.
    ///
    /// It covers the variation of this run if it were repeated with the same schedule, but not the
    /// variation between seeds. `None` if more than one replicate in twenty is undefined.
    pub fn interval(
        &self,
        estimate: f64,
        alpha: f64,
        mut replicates: Vec<f64>,
    ) -> Option<Interval> {
        replicates.retain(|value| value.is_finite());
        if replicates.len() < RESAMPLES - RESAMPLES / 20 {
            return None;
        }
        replicates.sort_unstable_by(f64::total_cmp);
        let end = |p| estimate + self.widening * (quantile(&replicates, p) - estimate);
        Some(Interval { lo: end(alpha / 2.0), hi: end(1.0 - alpha / 2.0) })
    }
}

/// Draws as many bins as the section has, in circular blocks.
fn draw(section: &mut [u16], rng: &mut impl Rng) {
    let bins = section.len();
    let length = block_length(bins).max(1);
    for drawn in (0..bins).step_by(length) {
        let (before, behind) = section.split_at_mut(rng.random_range(0..bins));
        let block = behind.iter_mut().chain(before).take(length.min(bins.saturating_sub(drawn)));
        block.for_each(|count| *count = count.saturating_add(1));
    }
}

/// [`Resamples::interval`] of one statistic at 95 %. `None` if it is undefined for the run itself.
pub fn within_run(
    sections: &Sections,
    statistic: impl Fn(&[f64]) -> Option<f64>,
    rng: &mut impl Rng,
) -> Option<Interval> {
    let resamples = Resamples::draw(sections, rng);
    let estimate = statistic(&vec![1.0; resamples.bins])?;
    resamples.interval(estimate, ALPHA, resamples.replicates(statistic))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::analysis::{
        correlation::{Coefficient, mean, pearson},
        fixture::{coverage, normal},
        weighted::Weighted,
    };

    fn rng(seed: u64) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(seed)
    }

    fn weighed(x: &[f64], y: &[f64]) -> Weighted {
        Weighted::new(Coefficient::Pearson, x, y).unwrap()
    }

    fn bca_mean(values: &[f64], seed: u64) -> Option<Interval> {
        bca(values, ALPHA, mean, &mut rng(seed))
    }

    #[test]
    fn bca_covers_the_mean_of_symmetric_and_of_skewed_values() {
        let mut draws = rng(11);
        let mut seed = 0;
        for n in [15, 30] {
            let covered = coverage(300, 0.0, || {
                seed += 1;
                bca_mean(&normal(&mut draws, n, 0.0, 1.0), seed)
            });
            println!("BCa, normal, n = {n}: {covered:.3}");
            assert!((0.91..0.985).contains(&covered), "n = {n}: {covered}");
        }
        // exp(N(0, 0.5)) has the mean exp(0.125).
        let covered = coverage(300, 0.125_f64.exp(), || {
            seed += 1;
            let values: Vec<f64> =
                normal(&mut draws, 30, 0.0, 0.5).into_iter().map(f64::exp).collect();
            bca_mean(&values, seed)
        });
        println!("BCa, log-normal, n = 30: {covered:.3}");
        assert!((0.90..0.985).contains(&covered), "{covered}");
    }

    #[test]
    fn bca_leans_to_the_long_tail() {
        let values: Vec<f64> = (0..20).map(|i| f64::from(i).exp2()).collect();
        let Interval { lo, hi } = bca_mean(&values, 1).unwrap();
        let estimate = mean(&values);
        assert!(hi - estimate > 1.5 * (estimate - lo), "{lo} {estimate} {hi}");
    }

    #[test]
    fn bca_of_equal_values_is_a_point_and_of_one_value_nothing() {
        assert_eq!(bca_mean(&[0.0; 15], 1), Some(Interval { lo: 0.0, hi: 0.0 }));
        assert_eq!(bca_mean(&[4.0], 1), None);
        assert_eq!(bca(&[1.0; 3], ALPHA, |_| f64::NAN, &mut rng(1)), None);
    }

    #[test]
    fn sections_hold_every_bin_once() {
        let sections = Sections::new(10, &[0, 4, 4, 9, 12]);
        assert_eq!(sections, Sections(vec![0..4, 4..9, 9..10]));
        assert_eq!(Sections::new(5, &[]).0.as_slice(), std::slice::from_ref(&(0..5)));
        assert_eq!(Sections::new(5, &[2]), Sections(vec![0..2, 2..5]));
    }

    #[test]
    fn blocks_are_as_long_as_the_cube_root_asks() {
        for (bins, length) in [(1, 1), (2, 2), (8, 3), (12, 4), (24, 5), (50, 6), (64, 6)] {
            assert_eq!(block_length(bins), length, "{bins} bins");
        }
    }

    #[test]
    fn identical_series_differ_by_exactly_nothing() {
        let x = normal(&mut rng(5), 64, 10.0, 3.0);
        let y = normal(&mut rng(6), 64, 10.0, 3.0);
        let (one, other) = (weighed(&x, &y), weighed(&x, &y));
        let difference = |at: &[f64]| Some(one.at(at)? - other.at(at)?);
        let found = within_run(&Sections::new(64, &[0, 32]), difference, &mut rng(7));
        assert_eq!(found, Some(Interval { lo: 0.0, hi: 0.0 }));
    }

    #[test]
    fn a_statistic_that_is_mostly_undefined_has_no_interval() {
        let sections = Sections::new(40, &[0]);
        // A single bin differs: every third resample is constant.
        let mut x = vec![0.0; 40];
        x[20] = 1.0;
        let y = normal(&mut rng(5), 40, 0.0, 1.0);
        let r = weighed(&x, &y);
        assert_eq!(within_run(&sections, |at| r.at(at), &mut rng(7)), None);
    }

    /// Calls and throughput of a run of five sections whose level steps; both follow the level,
    /// with AR(1) noise.
    fn run(draws: &mut Xoshiro256PlusPlus, bins: usize, persistence: f64) -> (Vec<f64>, Vec<f64>) {
        let mut series = || {
            let noise = normal(draws, bins * 5, 0.0, 1.0);
            let mut at = 0.0;
            let levels = [4.0, 2.0, 1.0, 2.0, 4.0];
            noise
                .iter()
                .enumerate()
                .map(|(bin, noise)| {
                    at = persistence * at + (1.0 - persistence * persistence).sqrt() * noise;
                    levels[bin / bins] + at
                })
                .collect()
        };
        (series(), series())
    }

    #[test]
    fn blocks_cover_the_scatter_of_repeated_runs() {
        let (bins, persistence) = (12, 0.3);
        let mut draws = rng(21);
        let all: Vec<f64> = (0..4000)
            .map(|_| {
                let (x, y) = run(&mut draws, bins, persistence);
                pearson(&x, &y).unwrap()
            })
            .collect();
        let sections = Sections::new(bins * 5, &[0, 12, 24, 36, 48]);
        let mut seed = 0;
        let covered = coverage(100, mean(&all), || {
            let (x, y) = run(&mut draws, bins, persistence);
            let r = weighed(&x, &y);
            seed += 1;
            within_run(&sections, |at| r.at(at), &mut rng(seed))
        });
        println!("blocks within a run, AR(1) {persistence}, 5 x {bins} bins: {covered:.3}");
        assert!(covered > 0.80 && covered < 0.98, "{covered}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn bca_moves_with_its_values(
            values in vec(-1e3..1e3_f64, 15..30), shift in -1e3..1e3_f64, scale in 0.01..100.0_f64,
        ) {
            let plain = bca_mean(&values, 3).unwrap();
            let moved: Vec<f64> = values.iter().map(|x| scale * x + shift).collect();
            let moved = bca_mean(&moved, 3).unwrap();
            let tolerance = 1e-6 * (1.0 + scale * 1e3 + shift.abs());
            prop_assert!((moved.lo - (scale * plain.lo + shift)).abs() < tolerance);
            prop_assert!((moved.hi - (scale * plain.hi + shift)).abs() < tolerance);
        }

        #[test]
        fn a_resample_stays_within_its_sections(
            bins in 1..80_usize, firsts in vec(0..90_usize, 0..6), seed: u64,
        ) {
            let sections = Sections::new(bins, &firsts);
            let resamples = Resamples::draw(&sections, &mut rng(seed));
            for counts in resamples.counts.chunks_exact(bins) {
                for section in &sections.0 {
                    let drawn: usize = counts[section.clone()].iter().map(|&n| usize::from(n)).sum();
                    prop_assert_eq!(drawn, section.len());
                }
            }
        }
    }

    #[test]
    fn a_quantile_of_one_value_is_that_value_and_of_none_no_number() {
        assert_eq!([0.0, 0.3, 1.0].map(|p| quantile(&[4.0], p)), [4.0; 3]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
