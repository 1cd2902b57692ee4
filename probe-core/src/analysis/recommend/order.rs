//! Which method comes before which.

use std::cmp::Ordering;

use serde::Serialize;

use super::{Cost, Judged, foreign};
use crate::{
    analysis::{estimate::mean_interval, pairs::Block},
    model::figure::Estimate,
};

/// What methods are put in order by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RankedBy {
    /// CPU time, the least first.
    Cpu,
    /// What is left of the correlation, the most first; then what was lost, then how little may be
    /// left at worst. Costs are not looked at.
    Fidelity,
}

/// How a method stands to the first of the same standing, by the figure that the order is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// It is the first.
    First,
    /// Which of the two is better cannot be told: by the difference in each block, of CPU time; by
    /// whether their intervals meet, of the correlation.
    Alike,
    /// It is worse.
    Behind,
    /// The two have no blocks in common, not of the same thing, or ones that contradict the order.
    NotComparable,
}

/// An order, and whether costs that are not hardware's are in it.
#[derive(Clone, Copy)]
struct Order {
    by: RankedBy,
    accept_emulated: bool,
    seed: u64,
}

impl Order {
    /// The figure that decides, where it is known.
    fn figure(self, judged: &Judged) -> Option<&Estimate> {
        match self.by {
            RankedBy::Cpu => {
                let figure = &judged.cost.cpu_pct;
                figure.known().filter(|_| foreign(figure, self.accept_emulated).is_none())
            }
            RankedBy::Fidelity if judged.shows_instead.is_some() => None,
            RankedBy::Fidelity => judged.r_retained.known(),
        }
    }

    /// The less, the better. More than all of the correlation is all of it.
    fn key(self, judged: &Judged) -> f64 {
        let figure = self.figure(judged).map(|found| found.estimate);
        match self.by {
            RankedBy::Cpu => figure.unwrap_or(f64::INFINITY),
            RankedBy::Fidelity => figure.map_or(f64::INFINITY, |r| -r.min(1.0)),
        }
    }

    fn compare(self, a: &Judged, b: &Judged) -> Ordering {
        let by_key = self.key(a).total_cmp(&self.key(b));
        match self.by {
            RankedBy::Cpu => by_key,
            RankedBy::Fidelity => {
                let surer = || self.low(b).total_cmp(&self.low(a));
                by_key.then_with(|| by_losses(a, b)).then_with(surer)
            }
        }
    }

    /// How little it may be.
    fn low(self, judged: &Judged) -> f64 {
        self.figure(judged).and_then(|found| found.lo).unwrap_or(f64::NEG_INFINITY)
    }

    /// Whether `other` is worse; none where that cannot be asked.
    fn worse(self, first: &Judged, other: &Judged) -> Option<bool> {
        let [a, b] = [self.figure(first)?, self.figure(other)?];
        match self.by {
            RankedBy::Cpu => takes_more(&first.cost, &other.cost, self.seed),
            RankedBy::Fidelity => {
                let several = a.n > 1 && b.n > 1;
                Some(b.hi?.min(1.0) < a.lo?.min(1.0)).filter(|_| several)
            }
        }
    }

    /// How `other` stands to `first`. Calls are not compared with what is shown instead, nor one
    /// clock with another.
    fn beside(self, first: &Judged, other: &Judged) -> Beside {
        let clock = |judged| self.figure(judged).map(|found| found.platform);
        let same = first.shows_instead == other.shows_instead && clock(first) == clock(other);
        match self.worse(first, other).filter(|_| same) {
            Some(true) => Beside::Behind,
            Some(false) => Beside::Alike,
            None => Beside::NotComparable,
        }
    }
}

/// Whether `other` takes more CPU time, by the differences in the blocks that both have: what a
/// block does to both, such as a baseline that was slow, is not in them. None also where these say
/// that it takes less, against the order by all blocks.
fn takes_more(first: &Cost, other: &Cost, seed: u64) -> Option<bool> {
    let more = |(block, other): (&Block, &f64)| Some(other - first.by_block.get(block)?);
    let more: Vec<f64> = other.by_block.iter().filter_map(more).collect();
    let more = mean_interval(&more, seed)?;
    (more.hi >= 0.0).then_some(more.lo > 0.0)
}

/// The less is known to be lost, the better; of equals, the one of which all is known.
fn by_losses(a: &Judged, b: &Judged) -> Ordering {
    let known = |one: &Judged| one.losses.worst().and_then(|worst| worst.counts.known_pct);
    let [known_a, known_b] = [a, b].map(|one| known(one).unwrap_or(f64::INFINITY));
    known_a.total_cmp(&known_b).then(b.losses.all.exact.cmp(&a.losses.all.exact))
}

/// Puts methods of each standing in order, and says by what: by their costs, if any of these is
/// hardware's or accepted.
pub(super) fn arrange(methods: &mut [Judged], accept_emulated: bool, seed: u64) -> RankedBy {
    let by_cpu = Order { by: RankedBy::Cpu, accept_emulated, seed };
    let by_fidelity = Order { by: RankedBy::Fidelity, ..by_cpu };
    let any = methods.iter().any(|judged| by_cpu.figure(judged).is_some());
    let order = if any { by_cpu } else { by_fidelity };
    methods.sort_by(|a, b| a.standing.cmp(&b.standing).then_with(|| order.compare(a, b)));
    for judged in methods.iter_mut() {
        judged.ranked = order.figure(judged).is_some();
    }
    for group in methods.chunk_by_mut(|a, b| a.standing == b.standing) {
        let [first, others @ ..] = group else { continue };
        for other in others {
            other.beside_the_first = order.beside(first, other);
        }
    }
    order.by
}
