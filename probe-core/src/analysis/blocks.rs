//! The value of a figure in each block of a campaign.

use std::collections::BTreeMap;

use super::{
    baseline,
    correlation::{Coefficient, mean},
    figures::{self, Definition, Scope, Value},
    item::{Item, Items},
    pairs::{TrialFilter, Trials},
    sizes,
    view::{BinQuantity, BlockPair, Rating, View},
};
use crate::model::{
    campaign::{Design, Run},
    figure::{Figure, Platform},
    method::{Descriptor, MethodId, SeriesUnit},
    trial::{Part, Trial},
};

/// A block's place in its campaign, which a replay of it has too: the seed of its run, and its
/// number among the blocks of that seed.
pub(super) type BlockKey = (u64, usize);

/// One value per block, on the scale of its figure.
pub(super) type Values = BTreeMap<BlockKey, f64>;

/// A campaign split into its blocks, each a small campaign of its own.
pub(super) struct Blocks<'a> {
    design: &'a Design,
    runs: &'a [Run],
    headline: &'a str,
    items: Items,
    blocks: Vec<Block>,
}

struct Block {
    place: BlockKey,
    /// Its number in the campaign.
    number: u32,
    platform: Platform,
    trials: Vec<Trial>,
}

impl<'a> Blocks<'a> {
    /// Splits these trials; `headline` is the function that `fidelity` is about.
    pub(super) fn of(
        design: &'a Design,
        runs: &'a [Run],
        trials: &[Trial],
        headline: &'a str,
    ) -> Self {
        let mut together: BTreeMap<(usize, u32), Vec<Trial>> = BTreeMap::new();
        for trial in baseline::pooled(trials).iter() {
            together.entry((trial.run, trial.block)).or_default().push(trial.clone());
        }
        let mut numbers: BTreeMap<(u64, bool), usize> = BTreeMap::new();
        let blocks = together.into_iter().filter_map(|((run, number), trials)| {
            let run = runs.get(run)?;
            // Guests of both parts have the same seeds, each in its own run.
            let overhead = trials.iter().any(|trial| trial.part == Part::Overhead);
            let of_seed = numbers.entry((run.seed, overhead)).or_default();
            *of_seed = of_seed.saturating_add(1);
            Some(Block { place: (run.seed, *of_seed), number, platform: run.platform, trials })
        });
        let blocks = blocks.collect();
        Self { design, runs, headline, items: Items::of(&design.target), blocks }
    }

    /// The blocks under a method; `None` if the design does not have it.
    pub(super) fn under(&self, method: &MethodId) -> Option<Under<'_>> {
        let method = self.design.methods.iter().find(|other| other.id == *method)?;
        Some(Under { blocks: self, method })
    }

    fn trials<'b>(&'b self, block: &'b Block) -> Trials<'b> {
        Trials { runs: self.runs, all: &block.trials }
    }

    /// The campaign's number of the block at this place that holds trials of `part`.
    pub(super) fn number(&self, place: BlockKey, part: Part) -> Option<u32> {
        let of_part = |block: &&Block| block.trials.iter().any(|trial| trial.part == part);
        self.blocks.iter().filter(of_part).find(|block| block.place == place).map(|b| b.number)
    }

    fn function(&self, name: Option<&str>) -> Option<Item<'_>> {
        let name = name.unwrap_or(self.headline);
        self.items.functions().find(|function| function.name == name)
    }
}

/// A campaign's blocks under one method.
pub(super) struct Under<'a> {
    blocks: &'a Blocks<'a>,
    method: &'a Descriptor,
}

impl Under<'_> {
    /// The figure's value in each block of this clock that has one.
    pub(super) fn values(&self, row: &Definition, place: Scope<'_>, platform: Platform) -> Values {
        let scaled = |figure: &Figure| Some(row.scale.scaled(figure.known()?.estimate));
        match (place, row.value) {
            // The overhead computed from that block alone.
            (Scope::Overhead, _) => self.by_block(platform, |trials| {
                let kicked = self.blocks.items.kicked().is_some();
                scaled(&figures::of_overhead(row, trials, self.method, kicked, 0))
            }),
            (Scope::Size(functions), _) => self.by_block(platform, |trials| {
                let all = self.blocks.items.functions().count();
                let figures = sizes::figures(trials, self.method, all, 0);
                let size = figures.into_iter().find(|size| size.functions == functions)?;
                scaled(size.figures.of(row))
            }),
            (Scope::Fidelity(function), Value::Bins(BinQuantity::Retained, _)) => {
                let each = |quantity| self.fidelity(function, quantity, platform);
                retained(&each(BinQuantity::Rm), &each(BinQuantity::R0))
            }
            (Scope::Fidelity(function), Value::Bins(quantity, _)) => {
                self.fidelity(function, quantity, platform)
            }
            (Scope::Fidelity(_), _) => Values::new(),
        }
    }

    fn fidelity(
        &self,
        function: Option<&str>,
        quantity: BinQuantity,
        platform: Platform,
    ) -> Values {
        let function = self.blocks.function(function);
        self.by_block(platform, |trials| fidelity(trials, self.method, function?, quantity))
    }

    fn by_block(&self, platform: Platform, value: impl Fn(&Trials<'_>) -> Option<f64>) -> Values {
        let blocks = self.blocks.blocks.iter().filter(|block| block.platform == platform);
        blocks.filter_map(|block| Some((block.place, value(&self.blocks.trials(block))?))).collect()
    }
}

/// One block's quantity, from raw bins.
fn fidelity(
    trials: &Trials<'_>,
    method: &Descriptor,
    function: Item<'_>,
    quantity: BinQuantity,
) -> Option<f64> {
    let view = |trial, unit| View::of(trial, function, unit);
    let (off, under) = if method.id.is_off() {
        let trial = *trials.single(TrialFilter::FIDELITY, &method.id).ok()?.items.first()?;
        (view(trial, SeriesUnit::Nothing), view(trial, SeriesUnit::Nothing))
    } else {
        let pair = *trials.paired(TrialFilter::FIDELITY, &method.id).ok()?.items.first()?;
        (view(pair.off, SeriesUnit::Nothing), view(pair.method, method.unit))
    };
    let factor = match method.unit {
        SeriesUnit::Calls { factor } => Some(factor),
        SeriesUnit::CpuShare | SeriesUnit::Nothing => None,
    };
    let rating = Rating { r: Coefficient::Pearson, window: 1 };
    BlockPair { off: &off, method: &under }.value(quantity, rating, factor).ok()
}

/// `r_retained` is a ratio of means, so a block's contribution is a first-order approximation: `R +
/// (r_m - R r_0) / mean(r_0)`, whose mean is `R`.
fn retained(r_m: &Values, r_0: &Values) -> Values {
    let both: Vec<(BlockKey, f64, f64)> =
        r_m.iter().filter_map(|(place, m)| Some((*place, *m, *r_0.get(place)?))).collect();
    let means =
        |pick: fn(&(BlockKey, f64, f64)) -> f64| mean(&both.iter().map(pick).collect::<Vec<_>>());
    let (mean_m, mean_0) = (means(|block| block.1), means(|block| block.2));
    let ratio = mean_m / mean_0;
    both.into_iter().map(|(place, m, o)| (place, ratio + (m - ratio * o) / mean_0)).collect()
}
