//! Whether the data of trials fits their design, and itself.

use crate::{
    error::{Error, Result},
    model::{
        campaign::{Design, Run},
        method::SeriesUnit,
        trial::{Measured, Outcome, ReferenceCounts, Trial},
    },
};

/// Makes trials whose data contradicts itself failed ones, so that whoever reads on may rely on
/// lengths.
///
/// # Errors
/// A trial is of a run that the campaign does not have, or it has none.
pub fn refute_all(design: &Design, runs: &[Run], trials: &mut [Trial]) -> Result<()> {
    if runs.is_empty() {
        return Err(Error::malformed("the campaign", "it has no run"));
    }
    for trial in trials {
        if trial.run >= runs.len() {
            let why = format!("of {} runs", runs.len());
            return Err(Error::malformed(format!("a trial of run {}", trial.run), why));
        }
        if let Err(why) = check(trial, design) {
            trial.outcome = Outcome::Failed { why: format!("its data contradicts itself: {why}") };
        }
    }
    Ok(())
}

/// Whether a trial fits the design and its series fit each other.
fn check(trial: &Trial, design: &Design) -> std::result::Result<(), String> {
    let Some(method) = design.methods.iter().find(|method| method.id == trial.method) else {
        return Err(format!("{} is not among the design's methods", trial.method));
    };
    let counter = match method.unit {
        SeriesUnit::Counter { of } => Some(of.name()),
        _ => None,
    };
    let Outcome::Done(measured) = &trial.outcome else { return Ok(()) };
    let Measured { edges, throughput, reference, observation, series, .. } = &**measured;
    let (bins, items) = (throughput.len(), design.target.item_count());
    let fits = |what: &str, found: usize, wanted: usize| {
        if found == wanted { Ok(()) } else { Err(format!("{found} {what} for {wanted}")) }
    };
    fits("bin edges", edges.len(), bins.saturating_add(1))?;
    if !edges.is_sorted() {
        return Err("bin edges go backwards".into());
    }
    fits("totals of items", observation.recorded.len(), items)?;
    if let Some(reference) = reference {
        fits(
            "reference counters of functions",
            reference.functions.len(),
            design.target.functions.len(),
        )?;
        for function in &reference.functions {
            if let ReferenceCounts::Calls(calls) = function {
                fits("bins of the reference counter", calls.len(), bins)?;
            }
        }
    }
    for one in series {
        fits("bins of the method's series", one.values.len(), bins)?;
        let is_item = design.target.items().any(|(_, name)| name == one.function);
        if !is_item && counter != Some(one.function.as_str()) {
            return Err(format!("a series of {}, which is not in the target", one.function));
        }
    }
    Ok(())
}
