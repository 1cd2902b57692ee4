//! The value of a figure in each block of a campaign.

use std::collections::BTreeMap;

use super::{
    correlation::{Coefficient, mean},
    figures::{Source, Unit},
    item::{Item, Items},
    pairs::{Kind, Trials},
    sizes, toll,
    view::{Block as Pair, Quantity, Rating, View},
};
use crate::model::{
    campaign::{Design, Run},
    figure::Platform,
    method::{Descriptor, MethodId, SeriesUnit},
    trial::{Part, Trial},
};

/// A block's place in its campaign, which a replay of it has too: the seed of its run, and its number among the blocks of
/// that seed.
pub(super) type Place = (u64, usize);

/// One value per block, on the scale of its figure.
pub(super) type Values = BTreeMap<Place, f64>;

/// A campaign taken apart into its blocks, each a small campaign of its own.
pub(super) struct Blocks<'a> {
    design: &'a Design,
    runs: &'a [Run],
    headline: &'a str,
    items: Items,
    blocks: Vec<Block>,
}

struct Block {
    place: Place,
    /// Its number in the campaign.
    number: u32,
    platform: Platform,
    trials: Vec<Trial>,
}

impl<'a> Blocks<'a> {
    /// Of these trials; `headline` is the function that `fidelity` speaks of.
    pub(super) fn of(
        design: &'a Design,
        runs: &'a [Run],
        trials: &[Trial],
        headline: &'a str,
    ) -> Self {
        let mut together: BTreeMap<(usize, u32), Vec<Trial>> = BTreeMap::new();
        for trial in trials {
            together.entry((trial.run, trial.block)).or_default().push(trial.clone());
        }
        let mut numbers: BTreeMap<(u64, bool), usize> = BTreeMap::new();
        let blocks = together.into_iter().filter_map(|((run, number), trials)| {
            let run = runs.get(run)?;
            // Guests of both parts have the same seeds, each in a run of its own.
            let toll = trials.iter().any(|trial| trial.part == Part::Toll);
            let of_seed = numbers.entry((run.seed, toll)).or_default();
            *of_seed += 1;
            Some(Block { place: (run.seed, *of_seed), number, platform: run.platform, trials })
        });
        let blocks = blocks.collect();
        Self { design, runs, headline, items: Items::of(&design.target), blocks }
    }

    /// The figure's value in each block of this clock that has one.
    pub(super) fn values(
        &self,
        method: &MethodId,
        source: Source<'_>,
        unit: Unit,
        platform: Platform,
    ) -> Values {
        let Some(method) = self.design.methods.iter().find(|other| other.id == *method) else {
            return Values::new();
        };
        let by_block = |value: &dyn Fn(&Trials<'_>) -> Option<f64>| -> Values {
            let blocks = self.blocks.iter().filter(|block| block.platform == platform);
            let found = blocks.filter_map(|block| {
                let trials = Trials { runs: self.runs, all: &block.trials };
                Some((block.place, value(&trials)?))
            });
            found.collect()
        };
        match source {
            Source::Toll(pick) => by_block(&|trials| {
                let figures = toll::figures(trials, method, self.items.kicked().is_some(), 0);
                Some(unit.scaled(pick(&figures).known()?.estimate))
            }),
            Source::Size(functions) => by_block(&|trials| {
                let all = self.items.functions().count();
                let figures = sizes::figures(trials, method, all, 0);
                let size = figures.into_iter().find(|size| size.functions == functions)?;
                Some(unit.scaled(size.kernel_ns_per_kick.known()?.estimate))
            }),
            Source::Fidelity(function, Quantity::Retained) => {
                let function = self.function(function);
                let each =
                    |quantity| by_block(&|trials| fidelity(trials, method, function?, quantity));
                retained(&each(Quantity::Rm), &each(Quantity::R0))
            }
            Source::Fidelity(function, quantity) => {
                let function = self.function(function);
                by_block(&|trials| fidelity(trials, method, function?, quantity))
            }
        }
    }

    /// The campaign's number of the block at this place that holds trials of `part`.
    pub(super) fn number(&self, place: Place, part: Part) -> Option<u32> {
        let of_part = |block: &&Block| block.trials.iter().any(|trial| trial.part == part);
        self.blocks.iter().filter(of_part).find(|block| block.place == place).map(|b| b.number)
    }

    fn function(&self, name: Option<&str>) -> Option<Item<'_>> {
        let name = name.unwrap_or(self.headline);
        self.items.functions().find(|function| function.name == name)
    }
}

/// One block's quantity of raw bins.
fn fidelity(
    trials: &Trials<'_>,
    method: &Descriptor,
    function: Item<'_>,
    quantity: Quantity,
) -> Option<f64> {
    let view = |trial, unit| View::of(trial, function, unit);
    let (off, under) = if method.id.is_off() {
        let trial = *trials.single(Kind::FIDELITY, &method.id).ok()?.items.first()?;
        (view(trial, SeriesUnit::Nothing), view(trial, SeriesUnit::Nothing))
    } else {
        let pair = *trials.paired(Kind::FIDELITY, &method.id).ok()?.items.first()?;
        (view(pair.off, SeriesUnit::Nothing), view(pair.method, method.unit))
    };
    let factor = match method.unit {
        SeriesUnit::Calls { factor } => Some(factor),
        SeriesUnit::CpuShare | SeriesUnit::Nothing => None,
    };
    let rating = Rating { r: Coefficient::Pearson, window: 1 };
    Pair { off: &off, method: &under }.value(quantity, rating, factor).ok()
}

/// `r_retained` is a ratio of means, so that a block's part in it is told to first order: `R + (r_m - R r_0) / mean(r_0)`,
/// whose mean is `R`.
fn retained(r_m: &Values, r_0: &Values) -> Values {
    let both: Vec<(Place, f64, f64)> =
        r_m.iter().filter_map(|(place, m)| Some((*place, *m, *r_0.get(place)?))).collect();
    let means =
        |pick: fn(&(Place, f64, f64)) -> f64| mean(&both.iter().map(pick).collect::<Vec<_>>());
    let (mean_m, mean_0) = (means(|block| block.1), means(|block| block.2));
    let ratio = mean_m / mean_0;
    both.into_iter().map(|(place, m, o)| (place, ratio + (m - ratio * o) / mean_0)).collect()
}
