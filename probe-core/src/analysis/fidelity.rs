//! What a method still shows: how much of the correlation between calls and throughput remains.

mod lag;
mod width;

use std::collections::BTreeMap;

pub use super::view::series;
use super::{
    bootstrap::bca,
    correlation::mean,
    estimate::{
        BOOTSTRAP_FROM, BlockValues, Scale, Values, generator, mean_interval, of_one_run, usable,
    },
    figures::{Definition, Value, table},
    gaps::{self, Gaps},
    interval::{self, ALPHA, Interval},
    item::Item,
    pairs::{Block, Chosen, Pair, TrialFilter, Trials},
    stretch::LEAST_BINS,
    view::{BinQuantity, BlockPair, Rating, View},
};
use crate::model::{
    figure::{Basis, Estimate, Figure, Platform},
    figures::{FidelityFigures, Figures},
    method::{Descriptor, MethodId, SeriesUnit},
    note::Note,
    reason::Reason,
    trial::Measured,
    units::Nanos,
};

/// If `|r_0|` is below this, it is too small to be the divisor of a share.
pub const LEAST_R_0: f64 = 0.2;

/// Length of the moving averages: the paper's 10 s.
const MOVING_AVERAGE: Nanos = Nanos(10_000_000_000);

/// Number of bins in a moving average; more than any series has if bins have no width.
pub fn moving_average_window(bin: Nanos) -> usize {
    let window = MOVING_AVERAGE.0.checked_div(bin.0);
    window.and_then(|bins| usize::try_from(bins).ok()).unwrap_or(usize::MAX)
}

/// The fidelity of `method` for one function of the target; `bin` is the width of the series' bins.
pub fn figures(
    trials: &Trials<'_>,
    method: &Descriptor,
    function: Item<'_>,
    bin: Nanos,
    seed: u64,
) -> FidelityFigures {
    let fidelity = Fidelity::of(trials, method, function, seed);
    let window = moving_average_window(bin).max(2);
    let rows = |rows: &[&Definition]| -> Figures {
        let figure = |row: &Definition| match &fidelity {
            Ok(fidelity) => fidelity.row(row, &method.id, window),
            Err(why) if row.is_of_control() || !method.id.is_off() => Figure::null(why.clone()),
            Err(_) => Figure::null(Reason::Baseline),
        };
        rows.iter().map(|&row| (row.name, figure(row))).collect()
    };
    FidelityFigures {
        figures: rows(table::FIDELITY),
        beside: rows(table::BESIDE),
        lag: fidelity.as_ref().ok().map(|found| lag::figures(found, &method.id, bin)),
        by_width: fidelity.as_ref().ok().map(|found| width::figures(found, &method.id, bin)),
    }
}

/// The series of one method and function: under the baseline and under the method, block by block.
struct Fidelity {
    views: BTreeMap<Block, (View, View)>,
    platform: Platform,
    notes: Vec<Note>,
    /// The method's declared sampling factor.
    factor: Option<f64>,
    seed: u64,
}

/// The blocks in which a quantity exists, each with its value.
struct Usable<'a> {
    found: Vec<(Block, BlockPair<'a>, f64)>,
    notes: Vec<Note>,
}

impl<'a> Usable<'a> {
    fn values(&self) -> Values {
        self.found.iter().map(|(number, _, value)| (*number, *value)).collect()
    }

    /// `r_m` and `r_0`.
    fn correlations(&self, rating: Rating) -> [Vec<f64>; 2] {
        [BinQuantity::Rm, BinQuantity::R0].map(|quantity| {
            let value = |block: &BlockPair<'_>| block.value(quantity, rating, None).ok();
            self.found.iter().filter_map(|(_, block, _)| value(block)).collect()
        })
    }
}

impl Fidelity {
    fn of(
        trials: &Trials<'_>,
        method: &Descriptor,
        function: Item<'_>,
        seed: u64,
    ) -> Result<Self, Reason> {
        let off = |trial: &Measured| View::of(trial, function, SeriesUnit::Nothing);
        let (views, platform, notes) = if method.id.is_off() {
            let Chosen { blocks, items, platform, notes } =
                trials.single(TrialFilter::FIDELITY, &method.id)?;
            let views = items.into_iter().map(|trial| (off(trial), off(trial)));
            (blocks.into_iter().zip(views).collect(), platform, notes)
        } else {
            let Chosen { blocks, items, platform, notes } =
                trials.paired(TrialFilter::FIDELITY, &method.id)?;
            let both =
                |pair: &Pair<'_>| (off(pair.off), View::of(pair.method, function, method.unit));
            (blocks.into_iter().zip(items.iter().map(both)).collect(), platform, notes)
        };
        let factor = match method.unit {
            SeriesUnit::Calls { factor } => Some(factor),
            SeriesUnit::CpuShare | SeriesUnit::Counter { .. } | SeriesUnit::Nothing => None,
        };
        Ok(Self { views, platform, notes, factor, seed })
    }

    /// The same in bins that are `by` times as wide.
    fn widened(&self, by: usize) -> Self {
        let widened = |(off, method): &(View, View)| (off.widened(by), method.widened(by));
        let views = self.views.iter().map(|(block, views)| (*block, widened(views)));
        Self {
            views: views.collect(),
            platform: self.platform,
            notes: self.notes.clone(),
            factor: self.factor,
            seed: self.seed,
        }
    }

    /// The figure of a row of the table; averages cover `window` bins.
    fn row(&self, row: &Definition, method: &MethodId, window: usize) -> Figure {
        let Value::Bins(quantity, rating) = row.value else {
            return Figure::null(Reason::OtherTrials);
        };
        if method.is_off() && !quantity.is_of_control() {
            return Figure::null(Reason::Baseline);
        }
        let rating = Rating { window: rating.window.min(window), ..rating };
        let usable = match self.usable(quantity, rating) {
            Ok(usable) => usable,
            Err(why) => return Figure::null(why),
        };
        if rating.window > 1 {
            return self.without_interval(usable);
        }
        match (quantity, &usable.found[..]) {
            (_, &[(_, block, value)]) => {
                self.of_one_run((quantity, row.scale), rating, (block, value), usable)
            }
            (BinQuantity::Retained, _) => self.ratio(rating, usable),
            _ => BlockValues {
                values: usable.values(),
                platform: self.platform,
                notes: usable.notes,
            }
            .figure(row.scale, self.seed),
        }
    }

    fn usable(&self, quantity: BinQuantity, rating: Rating) -> Result<Usable<'_>, Reason> {
        let (found, left_out) = usable(self.views.iter().map(|(number, (off, method))| {
            let block = BlockPair { off, method };
            Ok((*number, block, block.value(quantity, rating, self.factor)?))
        }))?;
        let gaps: Vec<Gaps> = found.iter().map(|(_, block, _)| gaps(quantity, block)).collect();
        let notes = self.notes.iter().cloned().chain(left_out).chain(gaps::notes(&gaps));
        Ok(Usable { notes: notes.collect(), found })
    }

    fn without_interval(&self, usable: Usable<'_>) -> Figure {
        let values: Vec<f64> = usable.values().into_values().collect();
        self.estimate(mean(&values), None, None, usable)
    }

    fn estimate(
        &self,
        estimate: f64,
        interval: Option<Interval>,
        detectable: Option<f64>,
        usable: Usable<'_>,
    ) -> Figure {
        Figure::Known(Estimate {
            estimate,
            lo: interval.map(|found| found.lo),
            hi: interval.map(|found| found.hi),
            n: usable.found.len(),
            detectable,
            platform: self.platform,
            basis: Basis::Blocks,
            p: None,
            notes: usable.notes,
        })
    }

    /// A single run gives an interval from the scatter of its own bins; both trials of the block
    /// are taken at the same resampled bins.
    fn of_one_run(
        &self,
        (quantity, scale): (BinQuantity, Scale),
        rating: Rating,
        (block, value): (BlockPair<'_>, f64),
        usable: Usable<'_>,
    ) -> Figure {
        if quantity == BinQuantity::Retained {
            let r_0 = self.interval_in_run(&block, BinQuantity::R0, rating);
            if let Some(why) = too_small(r_0) {
                return Figure::null(why);
            }
        }
        let found = self.interval_in_run(&block, quantity, rating);
        let found = found.map(|found| scale.bound(found));
        of_one_run(value, found, self.platform, usable.notes)
    }

    fn interval_in_run(
        &self,
        block: &BlockPair<'_>,
        quantity: BinQuantity,
        rating: Rating,
    ) -> Option<Interval> {
        // A short section has hardly another resample than itself, and an interval no width.
        let sections = block.off.sections.ranges();
        if sections.iter().any(|section| section.len() < LEAST_BINS) {
            return None;
        }
        let resamples = block.resamples(self.seed)?;
        let value = block.value(quantity, rating, self.factor).ok()?;
        let replicates = block.replicates(quantity, rating.r, self.factor, resamples).ok()?;
        resamples.interval(value, ALPHA, replicates)
    }

    /// `r_retained` over several blocks: the ratio of the means.
    fn ratio(&self, rating: Rating, usable: Usable<'_>) -> Figure {
        let [r_m, r_0] = usable.correlations(rating);
        if let Some(why) = too_small(mean_interval(&r_0, self.seed)) {
            return Figure::null(why);
        }
        let ratio = |pairs: &[(f64, f64)]| {
            let add = |(m, o), &(r_m, r_0): &(f64, f64)| (m + r_m, o + r_0);
            let (sum_m, sum_0) = pairs.iter().fold((0.0, 0.0), add);
            sum_m / sum_0
        };
        let pairs: Vec<(f64, f64)> = r_m.iter().copied().zip(r_0.iter().copied()).collect();
        let estimate = ratio(&pairs);
        let found = if pairs.len() < BOOTSTRAP_FROM {
            interval::ratio(&r_m, &r_0)
        } else {
            bca(&pairs, ALPHA, ratio, &mut generator(self.seed))
        };
        self.estimate(estimate, found, interval::detectable(&parts(&r_m, &r_0)), usable)
    }

    /// The figure of a row in each block.
    fn values(&self, row: &Definition) -> Values {
        let Value::Bins(quantity, rating) = row.value else { return Values::new() };
        let Ok(usable) = self.usable(quantity, rating) else { return Values::new() };
        if quantity != BinQuantity::Retained {
            return usable.values();
        }
        let [r_m, r_0] = usable.correlations(rating);
        usable.values().into_keys().zip(parts(&r_m, &r_0)).collect()
    }
}

/// The figure of a row for one function, block by block; none where a block does not have it.
pub(super) fn values(
    row: &Definition,
    trials: &Trials<'_>,
    method: &Descriptor,
    function: Item<'_>,
) -> Values {
    let found = Fidelity::of(trials, method, function, 0);
    found.map(|found| found.values(row)).unwrap_or_default()
}

/// The parts of the blocks in `R = mean r_m / mean r_0`, to first order: `R + (r_m - R r_0) / mean
/// r_0`, whose mean is `R`.
fn parts(r_m: &[f64], r_0: &[f64]) -> Vec<f64> {
    let without = mean(r_0);
    let ratio = mean(r_m) / without;
    r_m.iter().zip(r_0).map(|(m, o)| ratio + (m - ratio * o) / without).collect()
}

/// Why a share of `r_0` is undefined, if its interval is too close to zero.
fn too_small(r_0: Option<Interval>) -> Option<Reason> {
    let Some(Interval { lo, hi }) = r_0 else {
        return Some(Reason::UnsureR0);
    };
    let nearest = if lo > 0.0 { lo } else { (-hi).max(0.0) };
    (nearest <= LEAST_R_0).then_some(Reason::WeakR0 { lo, hi, least: LEAST_R_0 })
}

/// What is missing in the series that `quantity` is made from.
fn gaps(quantity: BinQuantity, block: &BlockPair<'_>) -> Gaps {
    let BlockPair { off, method } = block;
    let own = quantity.uses_method();
    Gaps {
        method: own && !method.complete,
        reference: quantity.uses_reference()
            && !(off.reference_complete && method.reference_complete),
        stand_in: method.stand_in.clone().filter(|_| own),
    }
}

#[cfg(test)]
mod tests;
