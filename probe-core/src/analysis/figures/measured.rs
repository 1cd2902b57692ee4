//! Computes the rows of the overhead.

use super::{Definition, Value, table};
use crate::{
    analysis::{
        overhead::{by_block, why_no_cost_per_event, with_load_note},
        pairs::{Chosen, Pair, TrialFilter, Trials},
    },
    model::{figure::Figure, figures::Figures, method::Descriptor, reason::Reason, trial::Pace},
};

/// The overhead of `method`; `kicked` says whether the target has the function that each kick calls
/// once.
pub(in crate::analysis) fn overhead(
    trials: &Trials<'_>,
    method: &Descriptor,
    kicked: bool,
    seed: u64,
) -> Figures {
    let row = |&row: &&'static Definition| (row.name, of(row, trials, method, kicked, seed));
    table::OVERHEAD.iter().map(row).collect()
}

/// One figure of the overhead.
pub(in crate::analysis) fn of(
    row: &Definition,
    trials: &Trials<'_>,
    method: &Descriptor,
    kicked: bool,
    seed: u64,
) -> Figure {
    let paired = |pace| trials.paired(TrialFilter::overhead(pace), &method.id);
    match row.value {
        Value::Level(_) if method.id.is_off() => Figure::null(Reason::Baseline),
        Value::Level(value) | Value::LevelOfAll(value) => {
            let trials = trials.single(TrialFilter::overhead(Pace::Paced), &method.id);
            by_block(trials, row.scale, |trial| value(trial), seed)
        }
        Value::Change(..) | Value::PerCall(_) if method.id.is_off() => {
            Figure::null(Reason::Baseline)
        }
        Value::Change(pace, _) => of_pairs(row, paired(pace), seed),
        Value::PerCall(_) => match why_no_cost_per_event(method, kicked) {
            Some(why) => Figure::null(why),
            None => of_pairs(row, paired(Pace::ClosedLoop), seed),
        },
        Value::Bins(..) => Figure::null(Reason::OtherTrials),
    }
}

/// The figure for pairs other than a method's own: uses the row's value and scale.
pub(in crate::analysis) fn of_pairs(
    row: &Definition,
    pairs: Result<Chosen<Pair<'_>>, Reason>,
    seed: u64,
) -> Figure {
    match row.value {
        Value::Change(Pace::Paced, value) => {
            by_block(pairs.map(with_load_note), row.scale, value, seed)
        }
        Value::Change(_, value) | Value::PerCall(value) => by_block(pairs, row.scale, value, seed),
        Value::Level(_) | Value::LevelOfAll(_) | Value::Bins(..) => {
            Figure::null(Reason::OtherTrials)
        }
    }
}

#[cfg(test)]
mod tests;
