//! What must hold of a trial, or its numbers are wrong whatever they say.

use super::trial::Plan;
use crate::{
    error::{Error, Result},
    model::{
        loss::Loss,
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

/// The network carries nothing but the load: every frame of a whole load arrives at the sink or is refused there. (A
/// fidelity trial's window begins and ends with frames under way.)
fn frames(measured: &Measured, plan: Plan) -> Result<()> {
    let (sent, received, refused) =
        (measured.sent.frames, measured.received.frames, measured.refused);
    if plan.part == Part::Toll && received + refused != sent {
        return Err(Error::Untrue(format!(
            "{sent} frames sent, but {received} arrived at the sink and {refused} were refused there"
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
    let (kicks, lost, missed) = (measured.sent.kicks, observation.lost, observation.missed);
    if accounts_for(kicks, recorded, lost.and(missed)) {
        return Ok(());
    }
    Err(Error::Untrue(format!(
        "{kicks} calls of {CALLED_PER_KICK}, but {recorded} recorded, {lost:?} lost, {missed:?} missed"
    )))
}

/// Whether `recorded` events and what is known to be unseen can be the whole of `calls`. Losses are not told apart by
/// function, so they bound the count; a loss that the kernel does not tell excuses no gap in lockstep, where calls come
/// one at a time and nothing nests.
fn accounts_for(calls: u64, recorded: u64, unseen: Loss) -> bool {
    let unseen = match unseen {
        Loss::Exact(n) | Loss::AtLeast(n) => n,
        Loss::Unknown => 0,
    };
    recorded <= calls && recorded + unseen >= calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_must_be_known_to_be_one() {
        assert!(accounts_for(100, 100, Loss::NONE));
        assert!(accounts_for(100, 100, Loss::Unknown));
        assert!(accounts_for(100, 90, Loss::Exact(10)));
        assert!(!accounts_for(100, 99, Loss::NONE));
        assert!(!accounts_for(100, 99, Loss::Unknown));
        assert!(!accounts_for(100, 0, Loss::Unknown));
        assert!(!accounts_for(100, 101, Loss::NONE));
        assert!(!accounts_for(100, 80, Loss::AtLeast(10)));
    }
}
