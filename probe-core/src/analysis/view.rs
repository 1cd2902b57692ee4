//! The series of one function in one trial, and what is computed from them.

mod read;

use std::{cell::OnceCell, num::NonZeroUsize, ops::Range};

pub use read::series;
use read::{agree, degraded, is_complete};
pub(super) use read::{numbers, reference};

use super::{
    binned::seconds,
    bootstrap::{Resamples, Sections},
    correlation::{Coefficient, moving_average},
    estimate::generator,
    gaps,
    item::Item,
    weighted::{Weighted, dot},
    within::Within,
};
use crate::model::{
    loss::Loss,
    method::SeriesUnit,
    reason::{Compared, Reason},
    trial::Measured,
};

/// The series of one function in one trial, bin by bin.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Calls by the reference counter, or why there are none.
    reference: Result<Vec<f64>, Reason>,
    /// Bytes at the sink; r does not depend on the factor 8 to bits.
    pub(super) throughput: Vec<f64>,
    /// The method's series, or why there is none.
    method: Result<Vec<f64>, Reason>,
    /// What the method's series counts, if it sees no functions.
    pub(super) stand_in: Option<String>,
    /// The schedule.
    pub(super) sections: Sections,
    /// Whether at least half of a bin was degraded on purpose.
    pub(super) degraded: Vec<bool>,
    /// Length of each bin.
    pub(super) seconds: Vec<f64>,
    /// Resamples of the bins, drawn when first used.
    resamples: OnceCell<Resamples>,
    replicates: Replicates,
    /// Whether the method's series has every call.
    pub(super) complete: bool,
    /// Whether the reference counter's series has every call.
    pub(super) reference_complete: bool,
}

/// Coefficients of the resamples, Pearson's and Spearman's, of each series with throughput.
#[derive(Debug, Clone, Default)]
struct Replicates {
    reference: [OnceCell<Result<Vec<f64>, Reason>>; 2],
    method: [OnceCell<Result<Vec<f64>, Reason>>; 2],
}

/// How two series are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rating {
    /// The coefficient.
    pub(super) r: Coefficient,
    /// Number of bins per moving average; 1 for raw bins.
    pub(super) window: usize,
}

/// A trial under the baseline and one under the method, from the same block.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockPair<'a> {
    pub(super) off: &'a View,
    pub(super) method: &'a View,
}

/// A quantity of the fidelity, in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinQuantity {
    R0,
    Rw,
    Rm,
    Perturbation,
    ObservationLoss,
    FidelityLoss,
    Retained,
    /// With the method's declared sampling factor; undefined if its series does not count calls.
    SeriesError,
    /// Of the bins within their sections.
    Within(Within),
    /// Seconds in which the method recorded none of the calls.
    LongestGap,
}

impl BinQuantity {
    /// Whether the method's own series is part of it.
    pub(super) fn uses_method(self) -> bool {
        match self {
            Self::R0 | Self::Rw | Self::Perturbation => false,
            Self::Within(within) => within.uses_method(),
            _ => true,
        }
    }

    /// Whether it depends on the reference counter.
    pub(super) fn uses_reference(self) -> bool {
        match self {
            Self::Rm => false,
            Self::Within(within) => within.uses_reference(),
            _ => true,
        }
    }

    /// Whether the baseline has it: what the reference counter alone tells of one trial.
    pub(super) fn is_of_control(self) -> bool {
        match self {
            Self::R0 => true,
            Self::Within(within) => !within.uses_method(),
            _ => false,
        }
    }
}

impl View {
    /// The series of `function` in `trial`, under a method whose series has this `unit`.
    pub(super) fn of(trial: &Measured, function: Item<'_>, unit: SeriesUnit) -> Self {
        let firsts: Vec<usize> = trial.sections.iter().map(|section| section.first_bin).collect();
        let reference = reference(trial, function);
        let seen = series(trial, function.name);
        let method = seen
            .map(|series| series.values.clone())
            .ok_or_else(|| Reason::NoSeries { function: function.name.into() });
        let stand_in = seen.filter(|series| series.function != function.name);
        Self {
            throughput: numbers(&trial.throughput),
            sections: Sections::new(trial.throughput.len(), &firsts),
            degraded: degraded(trial),
            seconds: seconds(trial),
            resamples: OnceCell::new(),
            replicates: Replicates::default(),
            complete: is_complete(&trial.observation, unit, || agree(&reference, &method, unit)),
            reference_complete: trial.reference.as_ref().is_some_and(|w| w.missed == Loss::NONE),
            reference,
            method,
            stand_in: stand_in.map(|series| series.function.clone()),
        }
    }

    /// The same in bins that each combine `by` neighbours within one section; bins left over at a
    /// section's end are dropped.
    pub(super) fn widened(&self, by: usize) -> Self {
        let by = NonZeroUsize::new(by).unwrap_or(NonZeroUsize::MIN);
        let whole = self.sections.ranges().iter().map(|range| {
            let left_over = range.len() % by;
            range.start..range.end.saturating_sub(left_over)
        });
        let whole: Vec<Range<usize>> = whole.filter(|range| !range.is_empty()).collect();
        let sum = |values: &[f64]| -> Vec<f64> {
            let bins = whole.iter().filter_map(|range| values.get(range.clone()));
            bins.flat_map(|bins| bins.chunks(by.get())).map(|bins| bins.iter().sum()).collect()
        };
        let each =
            |series: &Result<Vec<f64>, Reason>| series.as_deref().map(sum).map_err(Clone::clone);
        let throughput = sum(&self.throughput);
        let is_degraded = |bins: &[bool]| {
            let degraded = bins.iter().filter(|degraded| **degraded).count();
            degraded.saturating_mul(2) >= bins.len()
        };
        let degraded = whole.iter().filter_map(|range| self.degraded.get(range.clone()));
        let firsts = whole.iter().scan(0_usize, |first, range| {
            Some(std::mem::replace(first, first.saturating_add(range.len() / by)))
        });
        Self {
            reference: each(&self.reference),
            method: each(&self.method),
            stand_in: self.stand_in.clone(),
            sections: Sections::new(throughput.len(), &firsts.collect::<Vec<_>>()),
            degraded: degraded.flat_map(|bins| bins.chunks(by.get())).map(is_degraded).collect(),
            seconds: sum(&self.seconds),
            resamples: OnceCell::new(),
            replicates: Replicates::default(),
            complete: self.complete,
            reference_complete: self.reference_complete,
            throughput,
        }
    }

    /// The method's series, if it counts calls.
    ///
    /// # Errors
    /// There is none, or it counts something else.
    pub(super) fn calls(&self) -> Result<&[f64], Reason> {
        match &self.stand_in {
            Some(item) => Err(Reason::NotCalls { item: item.clone() }),
            None => self.series(),
        }
    }

    /// For each bin, the difference in calls between the method's series and the reference
    /// counter's, and the calls by the reference counter.
    fn away(&self, factor: Option<f64>) -> Result<[Vec<f64>; 2], Reason> {
        let (method, reference) = (self.calls()?, self.reference()?);
        let factor = factor.ok_or(Reason::SharesNotCalls)?;
        if method.len() != reference.len() {
            return Err(Reason::Lengths { bins: [method.len(), reference.len()] });
        }
        if reference.iter().sum::<f64>() == 0.0 {
            return Err(Reason::NoCallByReference);
        }
        let away = |(m, w): (&f64, &f64)| (factor * m - w).abs();
        Ok([method.iter().zip(reference).map(away).collect(), reference.to_vec()])
    }

    pub(super) fn reference(&self) -> Result<&[f64], Reason> {
        self.reference.as_deref().map_err(Clone::clone)
    }

    /// The method's series, or what stands in for it.
    pub(super) fn series(&self) -> Result<&[f64], Reason> {
        self.method.as_deref().map_err(Clone::clone)
    }

    /// A series of this trial, with its name.
    pub(super) fn named(&self, side: Side) -> Result<(Compared, &[f64]), Reason> {
        Ok(match side {
            Side::Off | Side::ReferenceCounter => (Compared::ReferenceCounter, self.reference()?),
            Side::Method => (Compared::Method, self.series()?),
        })
    }
}

impl BlockPair<'_> {
    /// The quantity over all bins; `factor` is the method's declared one.
    ///
    /// # Errors
    /// Why it does not exist.
    pub(super) fn value(
        &self,
        quantity: BinQuantity,
        rating: Rating,
        factor: Option<f64>,
    ) -> Result<f64, Reason> {
        let r = |side| self.side(side).and_then(|(name, a, b)| rating.compare(name, a, b));
        match quantity {
            BinQuantity::R0 => r(Side::Off),
            BinQuantity::Rw => r(Side::ReferenceCounter),
            BinQuantity::Rm => r(Side::Method),
            BinQuantity::Perturbation => Ok(r(Side::Off)? - r(Side::ReferenceCounter)?),
            BinQuantity::ObservationLoss => Ok(r(Side::ReferenceCounter)? - r(Side::Method)?),
            BinQuantity::FidelityLoss => Ok(r(Side::Off)? - r(Side::Method)?),
            BinQuantity::Retained => Ok(r(Side::Method)? / r(Side::Off)?),
            BinQuantity::SeriesError => {
                let [away, calls] = self.method.away(factor)?.map(|each| each.iter().sum::<f64>());
                Ok(away / calls)
            }
            BinQuantity::Within(within) => within.value(self.method),
            BinQuantity::LongestGap => gaps::longest(self.method),
        }
    }

    /// The same for raw bins in each of these resamples, with both trials of the block at the same
    /// bins; NaN if undefined.
    ///
    /// # Errors
    /// Why it does not exist.
    pub(super) fn replicates(
        &self,
        quantity: BinQuantity,
        coefficient: Coefficient,
        factor: Option<f64>,
        resamples: &Resamples,
    ) -> Result<Vec<f64>, Reason> {
        let r = |side| self.r_replicates(side, coefficient, resamples);
        let both = |a: &[f64], b: &[f64], of: fn(f64, f64) -> f64| -> Vec<f64> {
            a.iter().zip(b).map(|(&a, &b)| of(a, b)).collect()
        };
        let less = |a, b| both(a, b, |a, b| a - b);
        Ok(match quantity {
            BinQuantity::R0 => r(Side::Off)?.to_vec(),
            BinQuantity::Rw => r(Side::ReferenceCounter)?.to_vec(),
            BinQuantity::Rm => r(Side::Method)?.to_vec(),
            BinQuantity::Perturbation => less(r(Side::Off)?, r(Side::ReferenceCounter)?),
            BinQuantity::ObservationLoss => less(r(Side::ReferenceCounter)?, r(Side::Method)?),
            BinQuantity::FidelityLoss => less(r(Side::Off)?, r(Side::Method)?),
            BinQuantity::Retained => both(r(Side::Method)?, r(Side::Off)?, |m, o| m / o),
            BinQuantity::SeriesError => {
                let [away, calls] = self.method.away(factor)?;
                resamples.replicates(|at| Some(dot(at, &away) / dot(at, &calls)))
            }
            BinQuantity::Within(within) => resamples.replicates(within.statistic(self.method)?),
            // A resample has no order of bins.
            BinQuantity::LongestGap => resamples.replicates(|_| None),
        })
    }

    /// For a coefficient; cached, since several quantities depend on it.
    fn r_replicates(
        &self,
        side: Side,
        coefficient: Coefficient,
        resamples: &Resamples,
    ) -> Result<&[f64], Reason> {
        let (name, series, throughput) = self.side(side)?;
        let Self { off, method } = self;
        let kept = match side {
            Side::Off => &off.replicates.reference,
            Side::ReferenceCounter => &method.replicates.reference,
            Side::Method => &method.replicates.method,
        };
        let kept = match coefficient {
            Coefficient::Pearson => &kept[0],
            Coefficient::Spearman => &kept[1],
        };
        let found = kept.get_or_init(|| {
            let weighted = Weighted::new(coefficient, series, throughput)
                .map_err(|undefined| undefined.of([name, Compared::Throughput]))?;
            Ok(resamples.replicates(|at| weighted.at(at)))
        });
        found.as_deref().map_err(Clone::clone)
    }

    /// Resamples of the bins, the same for both trials; `None` if their schedules differ.
    pub(super) fn resamples(&self, seed: u64) -> Option<&Resamples> {
        let Self { off, method } = self;
        let draw = || Resamples::draw(&off.sections, &mut generator(seed));
        (off.sections == method.sections).then(|| off.resamples.get_or_init(draw))
    }

    /// A series with its name, and the throughput of its trial.
    fn side(&self, side: Side) -> Result<(Compared, &[f64], &[f64]), Reason> {
        let view = if side == Side::Off { self.off } else { self.method };
        let (name, series) = view.named(side)?;
        Ok((name, series, &view.throughput))
    }
}

/// A series of a block that is correlated with the throughput of its trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The reference counter's series under the baseline.
    Off,
    /// The reference counter's series under the method.
    ReferenceCounter,
    /// The method's own series.
    Method,
}

impl Rating {
    fn compare(self, name: Compared, series: &[f64], throughput: &[f64]) -> Result<f64, Reason> {
        let found = if self.window > 1 {
            let smooth = |values| moving_average(values, self.window);
            self.r.of(&smooth(series), &smooth(throughput))
        } else {
            self.r.of(series, throughput)
        };
        found.map_err(|undefined| undefined.of([name, Compared::Throughput]))
    }
}
