//! The value of a figure in each block of a campaign.

use std::collections::BTreeMap;

use super::{
    estimate::Values,
    fidelity,
    figures::{self, Definition, Scope},
    item::Items,
    pairs::{Block, Trials},
    sizes,
};
use crate::model::{campaign::Design, method::MethodId, trial::Part};

/// A block's place in its campaign, which a replay of it has too: the seed of its run, and its
/// number among the blocks of that seed.
pub(super) type Place = (u64, usize);

/// A campaign's blocks.
pub(super) struct Blocks<'a> {
    design: &'a Design,
    trials: Trials<'a>,
    headline: &'a str,
    items: Items,
}

impl<'a> Blocks<'a> {
    /// Of these trials, with one baseline in each block; `headline` is the function that `fidelity`
    /// is about.
    pub(super) fn of(design: &'a Design, trials: Trials<'a>, headline: &'a str) -> Self {
        Self { design, trials, headline, items: Items::of(&design.target) }
    }

    /// A method's figure in each block that has one, on the clock of the figure itself.
    pub(super) fn values(&self, method: &MethodId, row: &Definition, scope: Scope<'_>) -> Values {
        let Self { trials, items, .. } = self;
        let Some(method) = self.design.methods.iter().find(|other| other.id == *method) else {
            return Values::new();
        };
        let found = match scope {
            Scope::Overhead => figures::of_overhead(row, trials, method, items.kicked().is_some()),
            Scope::Size(functions) => {
                let all = functions == items.functions().count();
                sizes::values(row, trials, method, (!all).then_some(functions))
            }
            Scope::Fidelity(function) => {
                let name = function.unwrap_or(self.headline);
                let function = items.functions().find(|function| function.name == name);
                let values = |function| fidelity::values(row, trials, method, function);
                return function.map(values).unwrap_or_default();
            }
        };
        found.map(|found| found.values).unwrap_or_default()
    }

    /// The place of each block.
    pub(super) fn places(&self) -> BTreeMap<Block, Place> {
        // Guests of both parts have the same seeds, each in its own run.
        let mut overhead: BTreeMap<Block, bool> = BTreeMap::new();
        for trial in self.trials.all {
            let found = overhead.entry((trial.run, trial.block)).or_default();
            *found |= trial.part == Part::Overhead;
        }
        let mut numbers: BTreeMap<(u64, bool), usize> = BTreeMap::new();
        let places = overhead.into_iter().filter_map(|(block, overhead)| {
            let seed = self.trials.runs.get(block.0)?.seed;
            let number = numbers.entry((seed, overhead)).or_default();
            *number = number.saturating_add(1);
            Some((block, (seed, *number)))
        });
        places.collect()
    }
}
