//! What must hold of a trial, or its numbers are wrong whatever they say.

use super::trial::Plan;
use crate::{
    error::{Error, Result},
    model::{
        method::{Class, Descriptor},
        target::Target,
        trial::{Measured, Pace, Part},
    },
    workload::CALLED_PER_KICK,
};

/// Checks a trial against what is known of its load.
///
/// # Errors
/// What does not hold, with both numbers.
pub(super) fn check(
    measured: &Measured,
    method: &Descriptor,
    target: &Target,
    plan: Plan,
) -> Result<()> {
    frames(measured, plan)?;
    if plan.part == Part::Toll && plan.pace == Pace::Lockstep {
        calls(measured, method, target)?;
    }
    Ok(())
}

/// The sink's network carries nothing but the load: it cannot receive what was not sent, and in lockstep, with one
/// frame in flight, nothing may be dropped on the way.
fn frames(measured: &Measured, plan: Plan) -> Result<()> {
    let (sent, received) = (measured.sent.frames, measured.received.frames);
    let whole_load = plan.part == Part::Toll;
    if whole_load && (received > sent || (plan.pace == Pace::Lockstep && received < sent)) {
        return Err(Error::Untrue(format!(
            "{sent} frames sent, but {received} arrived at the sink"
        )));
    }
    if sent == 0 || received == 0 {
        return Err(Error::Untrue(format!(
            "no load: {sent} frames sent, {received} arrived at the sink"
        )));
    }
    Ok(())
}

/// In lockstep every kick is one call. A method that sees every call must account for each: recorded, lost or missed.
fn calls(measured: &Measured, method: &Descriptor, target: &Target) -> Result<()> {
    if !matches!(method.class, Class::Exact | Class::Recorded) {
        return Ok(());
    }
    let observation = &measured.observation;
    let Some(index) = target.functions.iter().position(|f| f.name == CALLED_PER_KICK) else {
        return Ok(());
    };
    let Some(recorded) = observation.recorded.get(index).copied().flatten() else { return Ok(()) };
    let kicks = measured.sent.kicks;
    // Losses are not told apart by function: they bound the count, and where there are none it is exact.
    let unseen = observation.lost.and(observation.missed).exact();
    let accounted = recorded <= kicks && unseen.is_none_or(|unseen| recorded + unseen >= kicks);
    if accounted {
        return Ok(());
    }
    let (lost, missed) = (observation.lost, observation.missed);
    Err(Error::Untrue(format!(
        "{kicks} calls of {CALLED_PER_KICK}, but {recorded} recorded, {lost:?} lost, {missed:?} missed"
    )))
}
