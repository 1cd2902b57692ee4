//! What a trial tells of one function, read for a view.

use super::Item;
use crate::model::{
    loss::Loss,
    method::SeriesUnit,
    observation::{Observation, Series},
    reason::Reason,
    subject::CALLED_PER_KICK,
    trial::{Degradation, Measured, ReferenceCounts},
};

/// Whether the series is known to have every call. If the kernel does not report what was missed,
/// `agrees` decides.
pub(super) fn is_complete(seen: &Observation, unit: SeriesUnit, agrees: impl Fn() -> bool) -> bool {
    let nothing_missed = match seen.missed {
        Loss::NONE => true,
        // A profiler samples moments, not calls: it cannot miss any.
        Loss::Unknown => unit == SeriesUnit::CpuShare || agrees(),
        Loss::Exact(_) | Loss::AtLeast(_) => false,
    };
    seen.lost == Loss::NONE && nothing_missed
}

/// Whether a series of all calls has as many as the reference counter.
pub(super) fn agree(
    reference: &Result<Vec<f64>, Reason>,
    method: &Result<Vec<f64>, Reason>,
    unit: SeriesUnit,
) -> bool {
    let sum = |series: &Result<Vec<f64>, Reason>| Some(series.as_ref().ok()?.iter().sum::<f64>());
    unit == (SeriesUnit::Calls { factor: 1.0 })
        && sum(reference).is_some()
        && sum(reference) == sum(method)
}

/// The method's series of `function`. A method that sees no functions may show something else of
/// the same traffic, which stands in only for what each kick causes.
pub fn series<'a>(trial: &'a Measured, function: &str) -> Option<&'a Series> {
    let own = trial.series.iter().find(|series| series.function == function);
    let functions = trial.reference.as_ref().map_or(0, |reference| reference.functions.len());
    let sees_none = trial.observation.recorded.iter().take(functions).all(Option::is_none);
    let stands = function == CALLED_PER_KICK && sees_none;
    own.or_else(|| trial.series.first().filter(|_| stands))
}

/// The bins of which at least half lies within a degradation.
pub(super) fn degraded(trial: &Measured) -> Vec<bool> {
    let first = trial.edges.first().copied().unwrap_or_default();
    let within = |[from, to]: [f64; 2]| {
        let shared = |degradation: &Degradation| {
            (to.min(degradation.to_s) - from.max(degradation.from_s)).max(0.0)
        };
        2.0 * trial.degradations.iter().map(shared).sum::<f64>() >= to - from
    };
    trial
        .edges
        .array_windows()
        .map(|edges| within(edges.map(|at| at.since(first).as_secs())))
        .collect()
}

/// Calls per bin by the reference counter, or why there are none.
pub(in crate::analysis) fn reference(
    trial: &Measured,
    function: Item<'_>,
) -> Result<Vec<f64>, Reason> {
    let reference = trial.reference.as_ref().ok_or(Reason::NoReference)?;
    match reference.functions.get(function.id.0) {
        Some(ReferenceCounts::Calls(calls)) => Ok(numbers(calls)),
        Some(ReferenceCounts::None { why }) => {
            Err(Reason::ReferenceUnavailable { why: why.clone() })
        }
        None => Err(Reason::ReferenceLacksFunction),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no bin holds 2^53 calls or bytes")]
pub(in crate::analysis) fn numbers(values: &[u64]) -> Vec<f64> {
    values.iter().map(|&value| value as f64).collect()
}
