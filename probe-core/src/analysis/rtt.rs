//! Whether the time between calls reflects the round-trip time, as section 3.2 of the paper
//! expects.

use super::{
    binned::{Own, between_calls_and_rtt, calls},
    correlation::Coefficient::{self, Pearson, Spearman},
    estimate::{Bounds, Scale},
    item::Item,
    pairs::{TrialFilter, Trials},
    stretch::{Binned, Stretches},
};
use crate::model::{
    figure::Figure,
    method::{Descriptor, SeriesUnit},
    reason::{Compared, Reason},
    sections::RttFigures,
    trial::Measured,
};

/// For one method and function, over the whole schedule; `None` if no guest of the campaign reports
/// a round-trip time.
pub fn figures(
    trials: &Trials<'_>,
    method: &Descriptor,
    function: Item<'_>,
    seed: u64,
) -> Option<RttFigures> {
    let chosen = trials.single(TrialFilter::FIDELITY, &method.id).ok()?;
    let tells = |trial: &Measured| {
        trial.guests.iter().any(|guest| guest.rtt_us.iter().any(Option::is_some))
    };
    let schedule = chosen.items.iter().find(|trial| tells(trial))?;
    let all: Vec<usize> = (0..schedule.sections.len()).collect();
    let stretches = Stretches::of(trials, &method.id, &all, seed);
    let figure = |r: Coefficient, calls: &dyn Fn(&Measured) -> Result<Binned, Reason>| {
        let both = |trial: &Measured| between_calls_and_rtt(trial, calls(trial)?);
        match &stretches {
            Ok(found) => found.correlation(
                Scale::Level(Bounds::Correlation),
                both,
                r,
                [Compared::TimeBetweenCalls, Compared::RoundTripTime],
            ),
            Err(why) => Figure::null(why.clone()),
        }
    };
    let by_reference = |r| figure(r, &|trial| calls(trial, function));
    let own = Own { function, unit: method.unit };
    let by_method = |r| match method.unit {
        SeriesUnit::Nothing | SeriesUnit::Counter { .. } => None,
        SeriesUnit::CpuShare => Some(Figure::null(Reason::SharesNotTimes)),
        SeriesUnit::Calls { .. } => Some(figure(r, &|trial| own.calls(trial))),
    };
    Some(RttFigures {
        function: function.name.to_owned(),
        r_w: by_reference(Pearson),
        spearman_w: by_reference(Spearman),
        r_m: by_method(Pearson),
        spearman_m: by_method(Spearman),
    })
}
