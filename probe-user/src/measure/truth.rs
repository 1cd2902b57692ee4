//! Checks that must hold for a trial; otherwise its numbers are wrong.

use probe_core::{
    analysis::item::{Item, Items},
    error::{Error, Result},
    model::{
        loss::Loss,
        method::{Class, Descriptor},
        observation::{EstimatedCalls, Observation, Promise},
        target::Target,
        trial::{Measured, Pace, Part},
    },
};

use super::plan::TrialPlan;
use crate::workload::HIT_PER_FRAME;

/// Checks a trial against what is known about its load.
///
/// # Errors
/// The check that failed, with both numbers.
pub(super) fn check(
    measured: &Measured,
    method: &Descriptor,
    target: &Target,
    plan: TrialPlan,
) -> Result<()> {
    frames(measured, plan)?;
    if plan.part == Part::Overhead && plan.pace == Pace::ClosedLoop {
        calls(measured, method, target)?;
    }
    Ok(())
}

/// The network carries nothing but the load: every frame of a whole load arrives at the sink or is
/// refused there. (A fidelity trial's window begins and ends with frames under way.)
fn frames(measured: &Measured, plan: TrialPlan) -> Result<()> {
    let (sent, received, refused) =
        (measured.sent.frames, measured.received.frames, measured.refused);
    if plan.part == Part::Overhead && received + refused != sent {
        return Err(Error::Inconsistent(format!(
            "{sent} frames sent, but {received} arrived at the sink and {refused} were refused \
             there"
        )));
    }
    if sent == 0 || received == 0 {
        return Err(Error::Inconsistent(format!(
            "no load: {sent} frames sent, {received} arrived at the sink"
        )));
    }
    Ok(())
}

/// In the closed loop every kick is one call and one frame.
fn calls(measured: &Measured, method: &Descriptor, target: &Target) -> Result<()> {
    let items = Items::of(target);
    let Some(item) = items.seen(method, measured) else { return Ok(()) };
    let Some(truth) = item.truth(&measured.sent) else { return Ok(()) };
    hits(&measured.observation, method, item, truth)
}

/// A method that sees every hit must account for each: recorded (or counted), lost or missed. For a
/// method that samples by counting, the truth must be within its bounds; a random sample may miss
/// its interval, which is not an error. A method that does not observe the item is not checked.
pub(super) fn hits(
    seen: &Observation,
    method: &Descriptor,
    item: Item<'_>,
    truth: u64,
) -> Result<()> {
    let (counts, lost) = match method.class {
        Class::Exact | Class::Recorded | Class::Inferred => (&seen.recorded, seen.lost),
        Class::Sampled => (&seen.counted, Loss::NONE),
        Class::Nothing => return Ok(()),
    };
    let all = counts.get(item.id).copied();
    if let Some(all) = all.filter(|&all| !accounts_for(truth, all, lost, seen.missed)) {
        return Err(Error::Inconsistent(format!(
            "{truth} hits of {}, but {all} seen, {lost:?} lost, {:?} missed{}",
            item.name,
            seen.missed,
            hint(item.name, all > truth)
        )));
    }
    match seen.estimates.get(item.id) {
        // Calls that were missed were never drawn from.
        Some(estimate) => bounds(*estimate, truth.saturating_sub(seen.missed.known()), item.name),
        None => Ok(()),
    }
}

/// What may have added hits that do not come from the load.
fn hint(item: &str, too_many: bool) -> &'static str {
    match item {
        HIT_PER_FRAME if too_many => {
            ". Other traffic of this host hits the same tracepoint: stop it, or measure in a VM"
        }
        _ => "",
    }
}

#[expect(clippy::cast_precision_loss, reason = "no trial makes 2^53 calls")]
fn bounds(estimate: EstimatedCalls, truth: u64, name: &str) -> Result<()> {
    let EstimatedCalls { calls, lo, hi, promise } = estimate;
    if promise == Promise::Always && !(lo..=hi).contains(&(truth as f64)) {
        return Err(Error::Inconsistent(format!(
            "{truth} hits of {name}, but the sampler's bounds are {lo} and {hi} around {calls}"
        )));
    }
    Ok(())
}

/// Whether `recorded` events and those not seen can be all of `calls`. Losses are not known per
/// function, so they bound the count. A partly known loss excuses any gap, and the summary calls
/// the rest unaccounted for. But if a kernel does not report what a probe missed, that excuses no
/// gap in the closed loop, where calls come one at a time and nothing nests.
fn accounts_for(calls: u64, recorded: u64, lost: Loss, missed: Loss) -> bool {
    let open = lost.exact().is_none() || matches!(missed, Loss::AtLeast(_));
    recorded <= calls && (open || recorded + lost.known() + missed.known() >= calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_are_promised_must_hold_the_truth() {
        let estimate = |promise| EstimatedCalls { calls: 100.0, lo: 100.0, hi: 199.0, promise };
        assert!(bounds(estimate(Promise::Always), 150, "f").is_ok());
        assert!(bounds(estimate(Promise::Always), 99, "f").is_err());
        assert!(bounds(estimate(Promise::Always), 200, "f").is_err());
        assert!(bounds(estimate(Promise::Confidence95), 200, "f").is_ok());
    }

    #[test]
    fn a_gap_must_be_known_to_be_one() {
        let none = Loss::NONE;
        assert!(accounts_for(100, 100, none, none));
        assert!(accounts_for(100, 100, none, Loss::Unknown));
        assert!(accounts_for(100, 90, Loss::Exact(4), Loss::Exact(6)));
        assert!(!accounts_for(100, 99, none, none));
        assert!(!accounts_for(100, 99, none, Loss::Unknown));
        assert!(!accounts_for(100, 0, none, Loss::Unknown));
        assert!(!accounts_for(100, 101, Loss::Unknown, none));
        assert!(!accounts_for(100, 80, Loss::Exact(10), Loss::Unknown));
        // If only a part of the loss is known, more may have been lost.
        assert!(accounts_for(100, 80, Loss::AtLeast(10), none));
        assert!(accounts_for(100, 80, Loss::Unknown, none));
        assert!(accounts_for(100, 80, none, Loss::AtLeast(1)));
    }
}
