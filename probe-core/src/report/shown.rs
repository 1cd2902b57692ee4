//! What a method's series is of, and how figures of one run are marked.

use crate::{
    analysis::fidelity::series,
    model::{
        campaign::Campaign,
        figure::{Basis, Estimate},
        method::{Descriptor, MethodId, SeriesUnit},
        trial::{Measured, Outcome, Part},
    },
};

/// What [`star`] means.
pub(super) const STAR: &str =
    "*: the interval is of one run's own bins; how runs differ is not in it";

/// Behind an interval, or the verdict that it led to.
pub(super) fn star(found: &Estimate) -> &'static str {
    if found.basis == Basis::WithinRun { "*" } else { "" }
}

/// What stars mean, below tables that hold any.
pub(super) fn stars(tables: &str) -> Option<String> {
    tables.contains("]*").then(|| format!("{STAR}."))
}

/// The method by its id; results hold each method that they have figures of.
pub(super) fn described<'a>(campaign: &'a Campaign, id: &MethodId) -> Option<&'a Descriptor> {
    campaign.design.methods.iter().find(|method| method.id == *id)
}

/// A method's first fidelity trial that ended well: run and block come before the order of the
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

/// What the method's series is of, in a word or two; what it saw instead of calls by its name.
pub(super) fn what(campaign: &Campaign, method: &Descriptor) -> String {
    let function = campaign.summary.headline_function.as_str();
    let seen = first_trial(campaign, method).and_then(|trial| series(trial, function));
    let instead = seen.filter(|seen| seen.function != function);
    match (method.unit, instead) {
        (_, Some(seen)) => seen.function.clone(),
        (SeriesUnit::CpuShare, None) => "share of CPU".into(),
        (SeriesUnit::Calls { .. } | SeriesUnit::Nothing, None) => "calls".into(),
    }
}
