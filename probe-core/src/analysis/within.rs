//! What a series tells within the sections of the schedule, each bin against the others of its own
//! section. Between sections the load itself changes, and any series follows that.

use std::ops::Range;

use super::{
    correlation::FEWEST_BINS,
    view::{Side, View},
    weighted::dot,
};
use crate::model::reason::{Compared, Reason};

/// Below this part of the squares, the scatter within sections is what rounding makes of equal
/// values.
const ROUNDING: f64 = 1e-24;

/// Above this r², no bound of the bits can be told from none.
const EXACT: f64 = 1.0 - 1e-12;

/// A quantity of one trial, of its bins' values within their sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// r of a series with the throughput.
    R(Side),
    /// How much less it is of the method's series than of the reference counter's.
    RLoss,
    /// r of the method's series with the reference counter's.
    Calls,
    /// What a bin of the method's series tells of the throughput, in bits.
    Bits,
    /// Chance that a degraded bin of a series shows less than another of its section.
    Detection(Side),
    /// How much less it is of the method's series than of the reference counter's.
    DetectionLoss,
}

/// What is computed of a resample, from how often it holds each bin; none where that is not
/// defined.
pub(super) type Statistic<'a> = Box<dyn Fn(&[f64]) -> Option<f64> + 'a>;

impl Within {
    /// Whether the method's own series is part of it.
    pub(super) fn uses_method(self) -> bool {
        !matches!(self, Self::R(Side::ReferenceCounter) | Self::Detection(Side::ReferenceCounter))
    }

    /// Whether the reference counter is part of it.
    pub(super) fn uses_reference(self) -> bool {
        !matches!(self, Self::R(Side::Method) | Self::Detection(Side::Method) | Self::Bits)
    }

    /// The quantity in this trial.
    ///
    /// # Errors
    /// Why it does not exist.
    pub(super) fn value(self, view: &View) -> Result<f64, Reason> {
        let all = vec![1.0; view.throughput.len()];
        let undefined = match self {
            Self::Bits => Reason::FollowsExactly,
            _ => Reason::NoScatter,
        };
        self.statistic(view)?(&all).ok_or(undefined)
    }

    /// The same of any resample of the trial's bins.
    ///
    /// # Errors
    /// Why it does not exist.
    pub(super) fn statistic(self, view: &View) -> Result<Statistic<'_>, Reason> {
        let both = [Side::ReferenceCounter, Side::Method];
        Ok(match self {
            Self::R(side) => with_throughput(view, side)?,
            Self::RLoss => less(both.map(|side| with_throughput(view, side)))?,
            Self::Calls => {
                let method = (Compared::Method, view.calls()?);
                correlation(view, [method, (Compared::ReferenceCounter, view.reference()?)])?
            }
            Self::Bits => bits(view)?,
            Self::Detection(side) => detection(view, side)?,
            Self::DetectionLoss => less(both.map(|side| detection(view, side)))?,
        })
    }
}

/// The first less the second, at the same bins.
fn less(both: [Result<Statistic<'_>, Reason>; 2]) -> Result<Statistic<'_>, Reason> {
    let [whole, part] = both;
    let (whole, part) = (whole?, part?);
    Ok(Box::new(move |weights| Some(whole(weights)? - part(weights)?)))
}

/// r of a series of the trial with its throughput.
fn with_throughput(view: &View, side: Side) -> Result<Statistic<'_>, Reason> {
    correlation(view, [view.named(side)?, (Compared::Throughput, &view.throughput)])
}

fn correlation<'a>(
    view: &'a View,
    both: [(Compared, &'a [f64]); 2],
) -> Result<Statistic<'a>, Reason> {
    let [(_, a), (_, b)] = both;
    if a.len() != b.len() {
        return Err(Reason::Lengths { bins: [a.len(), b.len()] });
    }
    if a.len() < FEWEST_BINS {
        return Err(Reason::TooFewBins { bins: a.len(), least: FEWEST_BINS });
    }
    let sections = view.sections.ranges();
    let all = vec![1.0; a.len()];
    for (name, series) in both {
        if !series.iter().all(|value| value.is_finite()) {
            return Err(Reason::NotANumber { series: name });
        }
        if r(sections, &all, series, series).is_none() {
            return Err(Reason::ConstantWithin { series: name });
        }
    }
    Ok(Box::new(move |weights| r(sections, weights, a, b)))
}

/// Pearson's coefficient of what is left of two series when the mean of each section is removed.
fn r(sections: &[Range<usize>], weights: &[f64], a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut aa, mut bb, mut ab, mut squares) = (0.0, 0.0, 0.0, [0.0; 2]);
    for section in sections {
        let [weights, a, b] = [weights, a, b].map(|all| all.get(section.clone()));
        let (weights, a, b) = (weights?, a?, b?);
        let n: f64 = weights.iter().sum();
        let (mean_a, mean_b) = (dot(weights, a) / n, dot(weights, b) / n);
        for ((&weight, &a), &b) in weights.iter().zip(a).zip(b) {
            let (x, y) = (a - mean_a, b - mean_b);
            aa += weight * x * x;
            bb += weight * y * y;
            ab += weight * x * y;
            squares = [squares[0] + weight * a * a, squares[1] + weight * b * b];
        }
    }
    let scatters = aa > ROUNDING * squares[0] && bb > ROUNDING * squares[1];
    scatters.then(|| (ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0))
}

/// `-½ log2(1 - r²)`, less what chance alone makes of it: with as many bins as there are beyond the
/// sections' means, `1 - r²` is too small by one of them.
fn bits(view: &View) -> Result<Statistic<'_>, Reason> {
    let r = with_throughput(view, Side::Method)?;
    let bins: usize = view.sections.ranges().iter().map(Range::len).sum();
    let free = number(bins) - number(view.sections.ranges().len());
    if free < 2.0 {
        return Err(Reason::NoScatter);
    }
    Ok(Box::new(move |weights| {
        let square = r(weights)?.powi(2);
        (square < EXACT).then(|| -0.5 * ((1.0 - square) * free / (free - 1.0)).log2())
    }))
}

/// The share of pairs of a degraded bin and another of the same section in which the degraded one
/// shows less; equal ones count half (Mann and Whitney 1947). That is the area under the curve of
/// true against false alarms of a detector that knows the section.
fn detection(view: &View, side: Side) -> Result<Statistic<'_>, Reason> {
    let (_, series) = view.named(side)?;
    let mut pairs = Vec::new();
    for section in view.sections.ranges() {
        let bins = || section.clone().filter_map(|bin| Some((bin, *series.get(bin)?)));
        let is_degraded = |(bin, _): &(usize, f64)| view.degraded.get(*bin) == Some(&true);
        let (degraded, others): (Vec<_>, Vec<_>) = bins().partition(is_degraded);
        for (bin, value) in degraded {
            let less = |&(other, above): &(usize, f64)| {
                let less = f64::from(u8::from(value < above)) + f64::from(u8::from(value <= above));
                (bin, other, less / 2.0)
            };
            pairs.extend(others.iter().map(less));
        }
    }
    if pairs.is_empty() {
        return Err(Reason::NoDegradation);
    }
    Ok(Box::new(move |weights| {
        let (mut less, mut all) = (0.0, 0.0);
        for (degraded, other, score) in &pairs {
            let weight = weights.get(*degraded)? * weights.get(*other)?;
            all += weight;
            less += weight * score;
        }
        (all > 0.0).then(|| less / all)
    }))
}

#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 bins")]
fn number(bins: usize) -> f64 {
    bins as f64
}

#[cfg(test)]
mod planted;
#[cfg(test)]
mod tests;
