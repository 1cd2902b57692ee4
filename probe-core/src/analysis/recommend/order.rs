//! Which method comes before which.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::Serialize;

use super::{
    Judged,
    behind::{Comparison, Comparisons},
    foreign,
};
use crate::{
    analysis::{estimate::Values, fisher, interval::ALPHA},
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
    /// Which of the two is better cannot be told.
    Alike,
    /// It is worse, by the differences in the blocks that both have: more than by chance between
    /// any two of all methods.
    Behind,
    /// The two have fewer than four blocks in common, not of the same thing, or ones that
    /// contradict the order.
    NotComparable,
}

/// An order, and whether costs that are not hardware's are in it.
#[derive(Clone, Copy)]
struct Order {
    by: RankedBy,
    accept_emulated: bool,
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

    /// What methods are compared by, and in which direction that is worse.
    fn comparisons(self, methods: &[Judged]) -> (Comparisons, f64) {
        let ranked = |judged: &Judged| self.figure(judged).is_some();
        match self.by {
            RankedBy::Cpu => {
                let costs = |judged: &Judged| match ranked(judged) {
                    true => judged.cost.by_block.clone(),
                    false => BTreeMap::new(),
                };
                (Comparisons::of(&methods.iter().map(costs).collect::<Vec<_>>()), 1.0)
            }
            RankedBy::Fidelity => {
                let z = |judged: &Judged, which: usize| -> Values {
                    let of = judged.correlations.iter().filter(|_| ranked(judged));
                    let of = of.filter_map(|(&block, r)| Some((block, fisher::z(*r.get(which)?))));
                    of.collect()
                };
                let under = methods.iter().map(|judged| z(judged, 1));
                // All of the correlation is one more: what is not below that is not behind.
                let all = methods.iter().flat_map(|judged| z(judged, 0)).collect();
                (Comparisons::of(&under.chain([all]).collect::<Vec<_>>()), -1.0)
            }
        }
    }

    /// How `other` stands to `first`, with the p of that. Calls are not compared with what is shown
    /// instead, nor one clock with another.
    fn beside(self, first: &Judged, other: &Judged, found: &[Comparison]) -> (Beside, Option<f64>) {
        let clock = |judged| self.figure(judged).map(|found| found.platform);
        let same = first.shows_instead == other.shows_instead && clock(first) == clock(other);
        let Some(against_first) = found.first().filter(|_| same) else {
            return (Beside::NotComparable, None);
        };
        let p = found.iter().map(|one| one.p).fold(0.0, f64::max);
        let beside = match (against_first.p < ALPHA, against_first.more > 0.0) {
            (true, false) => Beside::NotComparable,
            (true, true) if p < ALPHA && found.iter().all(|one| one.more > 0.0) => Beside::Behind,
            _ => Beside::Alike,
        };
        (beside, Some(p))
    }
}

/// The less is known to be lost, the better; of equals, the one of which all is known.
fn by_losses(a: &Judged, b: &Judged) -> Ordering {
    let known = |one: &Judged| one.losses.worst().and_then(|worst| worst.counts.known_pct);
    let [known_a, known_b] = [a, b].map(|one| known(one).unwrap_or(f64::INFINITY));
    known_a.total_cmp(&known_b).then(b.losses.all.exact.cmp(&a.losses.all.exact))
}

/// Puts methods of each standing in order, and says by what: by their costs, if any of these is
/// hardware's or accepted.
pub(super) fn arrange(methods: &mut [Judged], accept_emulated: bool) -> RankedBy {
    let by_cpu = Order { by: RankedBy::Cpu, accept_emulated };
    let by_fidelity = Order { by: RankedBy::Fidelity, ..by_cpu };
    let any = methods.iter().any(|judged| by_cpu.figure(judged).is_some());
    let order = if any { by_cpu } else { by_fidelity };
    methods.sort_by(|a, b| a.standing.cmp(&b.standing).then_with(|| order.compare(a, b)));
    for judged in methods.iter_mut() {
        judged.ranked = order.figure(judged).is_some();
    }
    let (comparisons, worse) = order.comparisons(methods);
    let all = methods.len();
    let mut place = 0_usize;
    for group in methods.chunk_by_mut(|a, b| a.standing == b.standing) {
        let at = place;
        place = place.saturating_add(group.len());
        let [first, others @ ..] = group else { continue };
        for (other, judged) in (at.saturating_add(1)..).zip(others) {
            let against = [Some(at), (order.by == RankedBy::Fidelity).then_some(all)];
            let found = against.into_iter().flatten().map(|one| comparisons.between(one, other));
            let found =
                found.map(|one| one.map(|one| Comparison { more: worse * one.more, ..one }));
            let found: Vec<Comparison> = found.collect::<Option<_>>().unwrap_or_default();
            (judged.beside_the_first, judged.p_beside_the_first) =
                order.beside(first, judged, &found);
        }
    }
    order.by
}
