//! Sections of fidelity trials, and figures that are made of their bins.
//!
//! A figure over several blocks has one value per block and the interval of their mean; over one block it has the
//! interval of that run's own bins, resampled within their sections.

use std::{collections::BTreeSet, ops::Range};

use super::{
    bootstrap::{Sections, within_run},
    correlation::{Coefficient, mean},
    estimate::{Sample, Scale, generator},
    fidelity::WITHIN_RUN,
    interval::Interval,
    pairs::{Chosen, Kind, Trials},
};
use crate::model::{
    figure::{Estimate, Figure, Platform},
    method::MethodId,
    trial::Measured,
};

/// Shortest section whose bins can be resampled: a shorter one is hardly more than a single block of them, so that every
/// resample would be the section itself and the interval nothing.
const LEAST_BINS: usize = 8;

/// Two series over the same bins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Two {
    pub(super) a: Vec<f64>,
    pub(super) b: Vec<f64>,
}

/// Chosen sections of a method's fidelity trials, block by block.
pub(super) struct Stretches<'a> {
    each: Vec<(&'a Measured, Sections)>,
    platform: Platform,
    notes: Vec<String>,
    seed: u64,
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
    ) -> Result<Self, String> {
        let Chosen { items, platform, mut notes } = trials.single(Kind::FIDELITY, method)?;
        let blocks = items.len();
        let cut = |trial: &'a Measured| Some((trial, Sections::of(picked(trial, which)?)));
        let each: Vec<_> = items.into_iter().filter_map(cut).collect();
        if each.is_empty() {
            return Err("no trial holds these sections".into());
        }
        if each.len() < blocks {
            notes.push(format!("{} of {blocks} blocks lack a section", blocks - each.len()));
        }
        Ok(Self { each, platform, notes, seed })
    }

    /// The trials, each with its bins.
    pub(super) fn trials(&self) -> impl Iterator<Item = (&'a Measured, Range<usize>)> + '_ {
        self.each.iter().flat_map(|(trial, sections)| {
            sections.ranges().iter().map(move |range| (*trial, range.clone()))
        })
    }

    /// One value per block.
    pub(super) fn by_block(
        &self,
        scale: Scale,
        value: impl Fn(&Measured) -> Result<f64, String>,
    ) -> Figure {
        let values: Result<Vec<f64>, String> =
            self.each.iter().map(|(trial, _)| value(trial)).collect();
        match values {
            Ok(values) => Sample { values, platform: self.platform, notes: self.notes.clone() }
                .figure(scale, self.seed),
            Err(why) => Figure::null(why),
        }
    }

    /// One value per block, of two of its series cut into the sections. Blocks that have none are left out.
    pub(super) fn figure(
        &self,
        scale: Scale,
        series: impl Fn(&Measured) -> Result<Two, String>,
        value: impl Fn(&[Two]) -> Result<f64, String>,
    ) -> Figure {
        let (mut usable, mut whys) = (Vec::new(), BTreeSet::new());
        for (trial, sections) in &self.each {
            let found = series(trial).and_then(|two| {
                let bins: Vec<usize> = sections.ranges().iter().cloned().flatten().collect();
                let value = value(&two.cut(sections, &bins)?)?;
                Ok((two, sections, value))
            });
            match found {
                Ok(found) => usable.push(found),
                Err(why) => _ = whys.insert(why),
            }
        }
        let whys = whys.into_iter().collect::<Vec<_>>().join("; ");
        let (used, all) = (usable.len(), self.each.len());
        let mut notes = self.notes.clone();
        if used < all {
            notes.push(format!("{} of {all} blocks left out: {whys}", all - used));
        }
        match &usable[..] {
            [] => Figure::null(whys),
            [(two, sections, estimate)] => {
                let again = |bins: &[usize]| value(&two.cut(sections, bins).ok()?).ok();
                let resampled = || within_run(sections, again, &mut generator(self.seed));
                let long = sections.ranges().iter().all(|range| range.len() >= LEAST_BINS);
                let found = long.then(resampled).flatten();
                self.of_one_run(*estimate, found.map(|found| scale.bound(found)), notes)
            }
            several => {
                let values = several.iter().map(|(_, _, value)| *value).collect();
                Sample { values, platform: self.platform, notes }.figure(scale, self.seed)
            }
        }
    }

    fn of_one_run(&self, estimate: f64, found: Option<Interval>, mut notes: Vec<String>) -> Figure {
        notes.push(found.map_or("one trial: no interval", |_| WITHIN_RUN).into());
        Figure::Known(Estimate {
            estimate,
            lo: found.map(|found| found.lo),
            hi: found.map(|found| found.hi),
            n: 1,
            detectable: None,
            platform: self.platform,
            p: None,
            notes,
        })
    }
}

impl Two {
    /// Of two series that must be as long as each other.
    pub(super) fn new(a: Vec<f64>, b: Vec<f64>) -> Result<Self, String> {
        if a.len() == b.len() {
            return Ok(Self { a, b });
        }
        Err(format!("series of {} and {} bins", a.len(), b.len()))
    }

    /// The values at `bins`, which are as many as `sections` hold and stand in their order.
    fn cut(&self, sections: &Sections, bins: &[usize]) -> Result<Vec<Self>, String> {
        let pick = |values: &[f64], at: &[usize]| {
            at.iter().map(|&bin| values.get(bin).copied()).collect::<Option<Vec<f64>>>()
        };
        let mut rest = bins;
        let cut = sections.ranges().iter().map(|range| {
            let (at, behind) = rest.split_at(range.len());
            rest = behind;
            Some(Self { a: pick(&self.a, at)?, b: pick(&self.b, at)? })
        });
        cut.collect::<Option<_>>().ok_or_else(|| "the series ends before the section".into())
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
pub(super) fn ratio(parts: &[Two]) -> Result<f64, String> {
    let sum = |of: fn(&Two) -> &Vec<f64>| -> f64 { parts.iter().flat_map(of).sum() };
    let below = sum(|two| &two.b);
    if below > 0.0 { Ok(sum(|two| &two.a) / below) } else { Err("nothing to divide by".into()) }
}

/// Coefficient of variation of `a / b`, bin by bin: standard deviation over mean.
pub(super) fn variation(parts: &[Two]) -> Result<f64, String> {
    let each: Vec<f64> =
        parts.iter().flat_map(|two| two.a.iter().zip(&two.b)).map(|(a, b)| a / b).collect();
    let mean = mean(&each);
    if each.len() < 2 || mean <= 0.0 {
        return Err("fewer than two bins, or nothing in them".into());
    }
    let squares: f64 = each.iter().map(|value| (value - mean).powi(2)).sum();
    Ok((squares / (each.len() - 1) as f64).sqrt() / mean)
}

/// A coefficient of correlation over all of `parts`; bins in which one of the series is not known (NaN) are left out.
pub(super) fn correlation(
    r: Coefficient,
    (first, second): (&'static str, &'static str),
) -> impl Fn(&[Two]) -> Result<f64, String> {
    move |parts| {
        let bins = parts.iter().flat_map(|two| two.a.iter().zip(&two.b));
        let (a, b): (Vec<f64>, Vec<f64>) =
            bins.filter(|(a, b)| !a.is_nan() && !b.is_nan()).map(|(a, b)| (*a, *b)).unzip();
        r(&a, &b).map_err(|undefined| undefined.why(first, second))
    }
}

#[cfg(test)]
mod tests;
