//! What a method costs by the number of functions that it traces at the same time.

use std::collections::BTreeSet;

use super::{
    estimate::{BlockValues, figure},
    figures::{self, Definition, table},
    known_total,
    pairs::{TrialFilter, Trials},
    total,
};
use crate::model::{
    figures::SizeFigures,
    method::{Descriptor, MethodId},
    reason::Reason,
    trial::{Measured, Pace},
};

/// One entry per number of functions, fewest first, the whole target (`all`) last; empty if only
/// that was measured.
pub fn figures(
    trials: &Trials<'_>,
    method: &Descriptor,
    all: usize,
    seed: u64,
) -> Vec<SizeFigures> {
    let ours = trials.all.iter().filter(|trial| trial.method == method.id);
    let some: BTreeSet<usize> = ours.filter_map(|trial| trial.functions).collect();
    if some.is_empty() {
        return Vec::new();
    }
    let figure = |(functions, of): (usize, Option<usize>)| {
        let row = |&row: &&'static Definition| {
            (row.name, figure(values(row, trials, method, of), row.scale, seed))
        };
        let chosen = trials.single(kind(of), &method.id).ok();
        SizeFigures {
            functions,
            figures: table::SIZE.iter().map(row).collect(),
            events_per_kick: chosen.and_then(|chosen| per_kick(&chosen.items)),
        }
    };
    some.into_iter().map(|n| (n, Some(n))).chain([(all, None)]).map(figure).collect()
}

/// A figure of the method on this number of functions, block by block; `None` is the whole target.
pub(super) fn values(
    row: &Definition,
    trials: &Trials<'_>,
    method: &Descriptor,
    functions: Option<usize>,
) -> Result<BlockValues, Reason> {
    let off = MethodId(MethodId::OFF.into());
    figures::of_pairs(row, trials.between(kind(None), &off, kind(functions), &method.id))
}

fn kind(functions: Option<usize>) -> TrialFilter {
    TrialFilter { functions, ..TrialFilter::overhead(Pace::ClosedLoop) }
}

/// Hits of all functions per kick, over all trials, including those that buffers are known to have
/// lost.
#[expect(clippy::cast_precision_loss, reason = "no campaign holds 2^53 calls")]
fn per_kick(trials: &[&Measured]) -> Option<f64> {
    let hits = |trial: &&Measured| {
        let seen = &trial.observation;
        let sum =
            |items: &[Option<u64>]| items.iter().flatten().copied().reduce(u64::saturating_add);
        // A sampler's records are not its hits, but it may have counted the hits.
        sum(&seen.counted).or_else(|| Some(total([sum(&seen.recorded)?, seen.lost.known()])))
    };
    let hits = known_total(trials.iter().map(hits));
    let kicks = total(trials.iter().filter_map(|trial| trial.sent.kicks));
    (kicks > 0).then_some(hits? as f64 / kicks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::{figure::Platform, trial::Part, units::Nanos},
    };

    const COUNT: &str = "bpf-fentry-count";

    #[test]
    fn each_number_of_functions_is_set_against_the_same_control() {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for block in 0..3 {
            for (method, functions, ns, hits) in
                [("off", None, 8000, 0), (COUNT, None, 8900, 9), (COUNT, Some(1), 8100, 1)]
            {
                let trial =
                    lab.done(block, (Part::Overhead, Pace::ClosedLoop), method, |measured| {
                        measured.sent.kicks = Some(1000);
                        measured.cpu.workers[0] = Nanos(ns * 1000);
                        measured.observation.recorded[0] = Some(hits * 1000);
                    });
                trial.functions = functions;
            }
        }
        let found = figures(&lab.trials(), lab.method(COUNT), 402, 1);
        let told: Vec<_> = found
            .iter()
            .map(|size| {
                let cost = size.figures.of(table::KERNEL_NS_PER_KICK).known().unwrap().estimate;
                (size.functions, cost, size.events_per_kick)
            })
            .collect();
        assert_eq!(told, [(1, 100.0, Some(1.0)), (402, 900.0, Some(9.0))]);
        assert!(figures(&lab.trials(), lab.method("off"), 402, 1).is_empty());
    }
}
