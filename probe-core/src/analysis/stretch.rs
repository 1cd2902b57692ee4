//! Sections of fidelity trials, and figures computed from their bins.
//!
//! A figure over several blocks has one value per block and the interval of the mean. A figure of
//! one block has the interval of that run's own bins, resampled within their sections.

use std::{cell::OnceCell, ops::Range};

use super::{
    bootstrap::{Resamples, Sections},
    correlation::Coefficient,
    estimate::{BlockValues, Scale, Values, generator, of_one_run, usable},
    gaps::{self, Gaps},
    interval::{ALPHA, Interval},
    pairs::{Block, Chosen, TrialFilter, Trials},
    weighted::{Weighted, dot},
};
use crate::model::{
    figure::{Figure, Platform},
    method::MethodId,
    note::Note,
    reason::{Compared, Reason},
    trial::Measured,
};

/// Shortest section whose bins can be resampled. A shorter one is hardly more than a single block
/// of bins: every resample would be the section itself, and the interval would have no width.
pub(super) const LEAST_BINS: usize = 8;

/// Two series over the same bins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Two {
    pub(super) a: Vec<f64>,
    pub(super) b: Vec<f64>,
}

/// Two series of one trial, and what a reader must know about them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binned {
    pub(super) two: Two,
    pub(super) gaps: Gaps,
}

/// Two series within a section, whose bins are weighted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slice<'a> {
    pub(super) a: &'a [f64],
    pub(super) b: &'a [f64],
    pub(super) weights: &'a [f64],
}

/// A statistic of a resample, computed from how often each bin occurs; `None` if it is undefined.
type Statistic<'a> = Box<dyn Fn(&[f64]) -> Option<f64> + 'a>;

/// A quantity of two series over chosen sections: its value, and its value for other weights of the
/// bins.
struct Quantity<'a> {
    value: f64,
    at: Statistic<'a>,
}

/// Chosen sections of a method's fidelity trials, block by block.
pub(super) struct Stretches<'a> {
    each: Vec<Stretch<'a>>,
    platform: Platform,
    notes: Vec<Note>,
    seed: u64,
    alpha: f64,
}

/// The chosen sections of one trial.
struct Stretch<'a> {
    block: Block,
    trial: &'a Measured,
    sections: Sections,
    /// Drawn when first used; the same for all figures.
    resamples: OnceCell<Resamples>,
}

impl<'a> Stretches<'a> {
    /// The sections with the indices `which`, in that order.
    ///
    /// # Errors
    /// Why there is no trial with them.
    pub(super) fn of(
        trials: &Trials<'a>,
        method: &MethodId,
        which: &[usize],
        seed: u64,
    ) -> Result<Self, Reason> {
        let Chosen { blocks: numbers, items, platform, mut notes } =
            trials.single(TrialFilter::FIDELITY, method)?;
        let blocks = items.len();
        let cut = |(block, trial): (Block, &'a Measured)| {
            let sections = Sections::of(picked(trial, which)?);
            Some(Stretch { block, trial, sections, resamples: OnceCell::new() })
        };
        let each: Vec<_> = numbers.into_iter().zip(items).filter_map(cut).collect();
        if each.is_empty() {
            return Err(Reason::NoSections);
        }
        if each.len() < blocks {
            let lacking = blocks.saturating_sub(each.len());
            notes.push(Note::SectionsLacking { lacking, blocks });
        }
        Ok(Self { each, platform, notes, seed, alpha: ALPHA })
    }

    /// The same with intervals at `1 - alpha`.
    pub(super) fn at(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// The trials, each with its bins.
    pub(super) fn trials(&self) -> impl Iterator<Item = (&'a Measured, Range<usize>)> + '_ {
        self.each.iter().flat_map(|Stretch { trial, sections, .. }| {
            sections.ranges().iter().map(move |range| (*trial, range.clone()))
        })
    }

    /// One value per block.
    pub(super) fn by_block(
        &self,
        scale: Scale,
        value: impl Fn(&Measured) -> Result<f64, Reason>,
    ) -> Figure {
        let of = |stretch: &Stretch<'_>| Ok((stretch.block, value(stretch.trial)?));
        let values: Result<Values, Reason> = self.each.iter().map(of).collect();
        match values {
            Ok(values) => self.sample(values, self.notes.clone(), scale),
            Err(why) => Figure::null(why),
        }
    }

    /// A figure with one value per block, computed from two of its series split into the sections.
    /// Blocks without a value are left out.
    pub(super) fn figure(
        &self,
        scale: Scale,
        series: impl Fn(&Measured) -> Result<Binned, Reason>,
        value: impl Fn(&[Slice<'_>]) -> Result<f64, Reason>,
    ) -> Figure {
        self.of_quantity(scale, series, |parts| Quantity::of_parts(parts, &value))
    }

    /// A correlation coefficient per block, over the bins of all sections together. Bins in which
    /// one of the series is unknown (NaN) are left out. `names` are those of the two series.
    pub(super) fn correlation(
        &self,
        scale: Scale,
        series: impl Fn(&Measured) -> Result<Binned, Reason>,
        coefficient: Coefficient,
        names: [Compared; 2],
    ) -> Figure {
        self.of_quantity(scale, series, |parts| Quantity::correlation(&parts, coefficient, names))
    }

    fn of_quantity<'v>(
        &self,
        scale: Scale,
        series: impl Fn(&Measured) -> Result<Binned, Reason>,
        quantity: impl Fn(Vec<Two>) -> Result<Quantity<'v>, Reason>,
    ) -> Figure {
        let each = self.each.iter().map(|stretch| {
            let Binned { two, gaps } = series(stretch.trial)?;
            Ok((stretch, quantity(two.cut(&stretch.sections)?)?, gaps))
        });
        let (usable, left_out) = match usable(each) {
            Ok(found) => found,
            Err(why) => return Figure::null(why),
        };
        let mut notes = self.notes.clone();
        notes.extend(left_out);
        notes.extend(gaps::notes(usable.iter().map(|(.., gaps)| gaps)));
        if self.alpha < ALPHA {
            notes.push(Note::Confidence { per_cent: 100.0 * (1.0 - self.alpha) });
        }
        match &usable[..] {
            [(stretch, quantity, _)] => {
                let found = stretch.interval(quantity, self.alpha, self.seed);
                let found = found.map(|found| scale.bound(found));
                of_one_run(quantity.value, found, self.platform, notes)
            }
            several => {
                let values = several.iter().map(|(one, quantity, _)| (one.block, quantity.value));
                self.sample(values.collect(), notes, scale)
            }
        }
    }

    fn sample(&self, values: Values, notes: Vec<Note>, scale: Scale) -> Figure {
        let sample = BlockValues { values, platform: self.platform, notes };
        sample.figure_at(scale, self.alpha, self.seed)
    }
}

impl Stretch<'_> {
    /// The interval from the trial's own bins; `None` if a section is too short.
    fn interval(&self, quantity: &Quantity<'_>, alpha: f64, seed: u64) -> Option<Interval> {
        if self.sections.ranges().iter().any(|range| range.len() < LEAST_BINS) {
            return None;
        }
        let draw = || Resamples::draw(&self.sections, &mut generator(seed));
        let resamples = self.resamples.get_or_init(draw);
        resamples.interval(quantity.value, alpha, resamples.replicates(&quantity.at))
    }
}

impl<'a> Quantity<'a> {
    fn of_parts(
        parts: Vec<Two>,
        value: &'a dyn Fn(&[Slice<'_>]) -> Result<f64, Reason>,
    ) -> Result<Self, Reason> {
        let bins = parts.iter().map(|two| two.a.len()).sum();
        let of_all = weigh(&parts, &vec![1.0; bins], value)?;
        Ok(Self { value: of_all, at: Box::new(move |weights| weigh(&parts, weights, value).ok()) })
    }

    fn correlation(
        parts: &[Two],
        coefficient: Coefficient,
        names: [Compared; 2],
    ) -> Result<Self, Reason> {
        let [a, b] = [|two: &Two| two.a.clone(), |two: &Two| two.b.clone()]
            .map(|of| parts.iter().flat_map(of).collect::<Vec<f64>>());
        let weighted = Weighted::new(coefficient, &a, &b);
        let weighted = weighted.map_err(|undefined| undefined.of(names))?;
        Ok(Self { value: weighted.whole(), at: Box::new(move |weights| weighted.at(weights)) })
    }
}

/// `value` of the parts with these weights, given one after the other.
fn weigh(
    parts: &[Two],
    weights: &[f64],
    value: &dyn Fn(&[Slice<'_>]) -> Result<f64, Reason>,
) -> Result<f64, Reason> {
    // Usually there is one part: avoid making a list for each of thousands of resamples.
    if let [Two { a, b }] = parts {
        return value(&[Slice { a, b, weights }]);
    }
    let mut rest = weights;
    let parts: Vec<Slice<'_>> = parts
        .iter()
        .map(|Two { a, b }| {
            let (weights, behind) = rest.split_at(a.len());
            rest = behind;
            Slice { a, b, weights }
        })
        .collect();
    value(&parts)
}

impl Two {
    /// Two series, which must have the same length.
    pub(super) fn new(a: Vec<f64>, b: Vec<f64>) -> Result<Self, Reason> {
        if a.len() == b.len() {
            return Ok(Self { a, b });
        }
        Err(Reason::Lengths { bins: [a.len(), b.len()] })
    }

    /// The series within each of `sections`.
    fn cut(&self, sections: &Sections) -> Result<Vec<Self>, Reason> {
        let pick = |values: &[f64], range: &Range<usize>| Some(values.get(range.clone())?.to_vec());
        let cut = |range| Some(Self { a: pick(&self.a, range)?, b: pick(&self.b, range)? });
        let all = sections.ranges().iter().map(cut).collect::<Option<_>>();
        all.ok_or(Reason::EndsBeforeSection)
    }
}

impl From<Two> for Binned {
    /// Series that come neither from the reference counter nor from a method.
    fn from(two: Two) -> Self {
        Self { two, gaps: Gaps::default() }
    }
}

/// Bins of each section of `trial`'s schedule.
pub(super) fn ranges(trial: &Measured) -> Vec<Range<usize>> {
    let bins = trial.throughput.len();
    let ends = trial.sections.iter().skip(1).map(|mark| mark.first_bin).chain([bins]);
    trial.sections.iter().zip(ends).map(|(mark, end)| mark.first_bin..end.min(bins)).collect()
}

fn picked(trial: &Measured, which: &[usize]) -> Option<Vec<Range<usize>>> {
    let all = ranges(trial);
    which.iter().map(|&index| all.get(index).filter(|range| !range.is_empty()).cloned()).collect()
}

/// `Σa / Σb` over all of `parts`.
pub(super) fn ratio(parts: &[Slice<'_>]) -> Result<f64, Reason> {
    let above: f64 = parts.iter().map(|part| dot(part.weights, part.a)).sum();
    let below: f64 = parts.iter().map(|part| dot(part.weights, part.b)).sum();
    if below > 0.0 { Ok(above / below) } else { Err(Reason::NothingToDivideBy) }
}

/// Standard deviation of `a / b`, bin by bin.
pub(super) fn deviation(parts: &[Slice<'_>]) -> Result<f64, Reason> {
    scatter(parts).map(|(deviation, _)| deviation)
}

/// Coefficient of variation of `a / b`, bin by bin: standard deviation over mean.
pub(super) fn variation(parts: &[Slice<'_>]) -> Result<f64, Reason> {
    scatter(parts).map(|(deviation, mean)| deviation / mean)
}

/// Standard deviation and mean of `a / b`.
fn scatter(parts: &[Slice<'_>]) -> Result<(f64, f64), Reason> {
    let bins = sum(parts, |_| 1.0);
    let mean = sum(parts, |value| value) / bins;
    if bins < 2.0 || mean <= 0.0 {
        return Err(Reason::NoScatter);
    }
    let squares = sum(parts, |value| (value - mean).powi(2));
    Ok(((squares / (bins - 1.0)).sqrt(), mean))
}

/// `Σ weight · of(a / b)`.
fn sum(parts: &[Slice<'_>], of: impl Fn(f64) -> f64) -> f64 {
    let of_part = |Slice { a, b, weights }: &Slice<'_>| -> f64 {
        a.iter().zip(*b).zip(*weights).map(|((a, b), weight)| weight * of(a / b)).sum()
    };
    parts.iter().map(of_part).sum()
}

#[cfg(test)]
mod tests;
