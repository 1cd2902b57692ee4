//! What a method's series counts, and how figures of one run are marked.

use crate::{
    analysis::fidelity::series,
    model::{
        campaign::Campaign,
        figure::{Basis, Estimate},
        method::{Descriptor, MethodId, SeriesUnit},
        trial::{Measured, Outcome, Part},
    },
};

/// The meaning of [`star`].
pub(super) const STAR: &str =
    "*: the interval comes from one run's own bins; it does not include differences between runs";

/// The mark after an interval, or after the verdict that it led to.
pub(super) fn star(found: &Estimate) -> &'static str {
    if found.basis == Basis::WithinRun { "*" } else { "" }
}

/// The meaning of stars, below tables that have any.
pub(super) fn stars(tables: &str) -> Option<String> {
    tables.contains("]*").then(|| format!("{STAR}."))
}

/// The method with this id; results describe each method that they have figures of.
pub(super) fn described<'a>(campaign: &'a Campaign, id: &MethodId) -> Option<&'a Descriptor> {
    campaign.design.methods.iter().find(|method| method.id == *id)
}

/// A method's first successful fidelity trial, by run and block rather than by the order of the
/// file.
pub(super) fn first_trial<'a>(campaign: &'a Campaign, method: &Descriptor) -> Option<&'a Measured> {
    let fidelity = campaign.trials.iter().filter(|trial| {
        trial.part == Part::Fidelity && trial.with_reference && trial.method == method.id
    });
    let done = fidelity.filter_map(|trial| match &trial.outcome {
        Outcome::Done(measured) if !measured.throughput.is_empty() => {
            Some(((trial.run, trial.block), &**measured))
        }
        _ => None,
    });
    done.min_by_key(|(place, _)| *place).map(|(_, measured)| measured)
}

/// What the method's series counts, in a word or two; the item's name if that is not calls.
pub(super) fn what(campaign: &Campaign, method: &Descriptor) -> String {
    let function = campaign.summary.headline_function.as_str();
    let seen = first_trial(campaign, method).and_then(|trial| series(trial, function));
    let instead = seen.filter(|seen| seen.function != function);
    match (method.unit, instead) {
        (_, Some(seen)) => seen.function.clone(),
        (SeriesUnit::CpuShare, None) => "share of CPU".into(),
        (SeriesUnit::Counter { of }, None) => of.name().into(),
        (SeriesUnit::Calls { .. } | SeriesUnit::Nothing, None) => "calls".into(),
    }
}
