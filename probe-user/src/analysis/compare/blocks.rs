//! The value of a figure in each block of a campaign.

use std::collections::BTreeMap;

use super::figures::{Source, Unit};
use crate::{
    analysis::{
        correlation::{Coefficient, mean},
        item::{Item, Items},
        pairs::{Kind, Trials},
        sizes, toll,
        view::{Block as Pair, Quantity, Rating, View},
    },
    model::{
        campaign::Campaign,
        figure::Platform,
        method::{Descriptor, MethodId, SeriesUnit},
        trial::Trial,
    },
};

/// A block's place in its campaign, which a replay of it has too: the seed of its run, and its number among the blocks of
/// that seed.
pub(super) type Place = (u64, usize);

/// One value per block, on the scale of its figure.
pub(super) type Values = BTreeMap<Place, f64>;

/// A campaign taken apart into its blocks, each a small campaign of its own.
pub(super) struct Blocks<'a> {
    campaign: &'a Campaign,
    items: Items,
    blocks: Vec<(Place, Platform, Vec<Trial>)>,
}

impl<'a> Blocks<'a> {
    pub(super) fn of(campaign: &'a Campaign) -> Self {
        let mut trials: BTreeMap<(usize, u32), Vec<Trial>> = BTreeMap::new();
        for trial in &campaign.trials {
            trials.entry((trial.run, trial.block)).or_default().push(trial.clone());
        }
        let mut numbers: BTreeMap<(u64, bool), usize> = BTreeMap::new();
        let blocks = trials.into_iter().filter_map(|((run, _), trials)| {
            let run = campaign.runs.get(run)?;
            // Guests of both parts have the same seeds, each in a run of its own.
            let toll = trials.iter().any(|trial| trial.part == crate::model::trial::Part::Toll);
            let number = numbers.entry((run.seed, toll)).or_default();
            *number += 1;
            Some(((run.seed, *number), run.platform, trials))
        });
        let blocks = blocks.collect();
        Self { campaign, items: Items::of(&campaign.design.target), blocks }
    }

    /// The figure's value in each block of this clock that has one.
    pub(super) fn values(
        &self,
        method: &MethodId,
        source: Source<'_>,
        unit: Unit,
        platform: Platform,
    ) -> Values {
        let design = &self.campaign.design;
        let Some(method) = design.methods.iter().find(|other| other.id == *method) else {
            return Values::new();
        };
        let by_block = |value: &dyn Fn(&Trials<'_>) -> Option<f64>| -> Values {
            let blocks = self.blocks.iter().filter(|(_, clock, _)| *clock == platform);
            let trials = |trials| Trials { runs: &self.campaign.runs, all: trials };
            blocks.filter_map(|(place, _, of)| Some((*place, value(&trials(of))?))).collect()
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

    fn function(&self, name: Option<&str>) -> Option<Item<'_>> {
        let name = name.unwrap_or(&self.campaign.summary.headline_function);
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
