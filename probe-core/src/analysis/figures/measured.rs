//! Computes the rows of the overhead.

use super::{Definition, Value, table};
use crate::{
    analysis::{
        estimate::{BlockValues, figure},
        overhead::{by_block, why_no_cost_per_event, with_load_note},
        pairs::{Chosen, Pair, TrialFilter, Trials},
    },
    model::{figures::Figures, method::Descriptor, reason::Reason, trial::Pace},
};

/// The overhead of `method`; `kicked` says whether the target has the function that each kick calls
/// once.
pub(in crate::analysis) fn overhead(
    trials: &Trials<'_>,
    method: &Descriptor,
    kicked: bool,
    seed: u64,
) -> Figures {
    let row = |&row: &&'static Definition| {
        (row.name, figure(of(row, trials, method, kicked), row.scale, seed))
    };
    table::OVERHEAD.iter().map(row).collect()
}

/// One figure of the overhead, block by block.
pub(in crate::analysis) fn of(
    row: &Definition,
    trials: &Trials<'_>,
    method: &Descriptor,
    kicked: bool,
) -> Result<BlockValues, Reason> {
    let paired = |pace| trials.paired(TrialFilter::overhead(pace), &method.id);
    match row.value {
        Value::Level(_) if method.id.is_off() => Err(Reason::Baseline),
        Value::Level(value) | Value::LevelOfAll(value) => {
            let trials = trials.single(TrialFilter::overhead(Pace::Paced), &method.id);
            by_block(trials, |trial| value(trial))
        }
        Value::Change(..) | Value::PerCall(_) if method.id.is_off() => Err(Reason::Baseline),
        Value::Change(pace, _) => of_pairs(row, paired(pace)),
        Value::PerCall(_) => match why_no_cost_per_event(method, kicked) {
            Some(why) => Err(why),
            None => of_pairs(row, paired(Pace::ClosedLoop)),
        },
        Value::Bins(..) => Err(Reason::OtherTrials),
    }
}

/// The same for pairs other than a method's own.
pub(in crate::analysis) fn of_pairs(
    row: &Definition,
    pairs: Result<Chosen<Pair<'_>>, Reason>,
) -> Result<BlockValues, Reason> {
    match row.value {
        Value::Change(Pace::Paced, value) => by_block(pairs.map(with_load_note), value),
        Value::Change(_, value) | Value::PerCall(value) => by_block(pairs, value),
        Value::Level(_) | Value::LevelOfAll(_) | Value::Bins(..) => Err(Reason::OtherTrials),
    }
}

#[cfg(test)]
mod tests;
