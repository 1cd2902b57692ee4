//! Whether the time between calls tells of the round-trip time, as section 3.2 of the paper expects.

use super::{
    binned::{between_calls_and_rtt, calls, own_calls},
    correlation::{Coefficient, pearson, spearman},
    estimate::{Bounds, Scale},
    item::Item,
    pairs::{Kind, Trials},
    stretch::{Stretches, Two, correlation},
};
use crate::model::{
    figure::Figure,
    method::{Descriptor, SeriesUnit},
    sections::RttFigures,
    trial::Measured,
};

/// For one method and function, over the whole schedule; none where no guest of the campaign tells a round-trip time.
pub fn figures(
    trials: &Trials<'_>,
    method: &Descriptor,
    function: Item<'_>,
    seed: u64,
) -> Option<RttFigures> {
    let chosen = trials.single(Kind::FIDELITY, &method.id).ok()?;
    let tells = |trial: &Measured| {
        trial.guests.iter().any(|guest| guest.rtt_us.iter().any(Option::is_some))
    };
    let schedule = chosen.items.iter().find(|trial| tells(trial))?;
    let all: Vec<usize> = (0..schedule.sections.len()).collect();
    let stretches = Stretches::of(trials, &method.id, &all, seed);
    let figure = |r: Coefficient, series: &dyn Fn(&Measured) -> Result<Two, String>| {
        let both = |trial: &Measured| between_calls_and_rtt(trial, &series(trial)?);
        match &stretches {
            Ok(found) => found.figure(
                Scale::Level(Bounds::Correlation),
                both,
                correlation(r, ("time between calls", "round-trip time")),
            ),
            Err(why) => Figure::null(why.as_str()),
        }
    };
    let by_witness = |r| figure(r, &|trial| calls(trial, function));
    let by_method = |r| match method.unit {
        SeriesUnit::Nothing => None,
        SeriesUnit::CpuShare => {
            Some(Figure::null("shares of CPU time do not tell the time between calls"))
        }
        SeriesUnit::Calls { factor } => {
            Some(figure(r, &|trial| own_calls(trial, function, factor)))
        }
    };
    Some(RttFigures {
        function: function.name.to_owned(),
        r_w: by_witness(pearson),
        spearman_w: by_witness(spearman),
        r_m: by_method(pearson),
        spearman_m: by_method(spearman),
    })
}
