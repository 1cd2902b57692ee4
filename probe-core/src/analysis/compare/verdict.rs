//! What is worse, better or the same.

use serde::Serialize;

use super::{Change, Worse};
use crate::analysis::interval::{ALPHA, holm};

/// What a difference comes to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Verdict {
    /// It is worse, beyond chance.
    Worse,
    /// It is better, beyond chance.
    Better,
    /// Whatever difference there is, is at most this, in the figure's unit.
    Same {
        /// The end of the interval that is further from zero.
        within: f64,
    },
    /// A difference that matters may be there or not.
    CannotTell,
}

/// Adjusts the p-values over all methods and figures, because any of them that is worse makes the
/// comparison fail, and decides.
pub(super) fn decide(changes: &mut [Change]) {
    let family = || changes.iter().filter_map(|change| change.difference.p);
    let adjusted = holm(&family().collect::<Vec<_>>());
    let family = changes.iter_mut().filter_map(|change| change.difference.p.as_mut());
    for (p, adjusted) in family.zip(adjusted) {
        *p = adjusted;
    }
    for change in changes {
        change.verdict = of(change);
    }
}

fn of(change: &Change) -> Verdict {
    let difference = &change.difference;
    // One block on the counted clock has no p: there the interval is a bound, not a chance.
    if difference.excludes_zero() && difference.p.is_none_or(|p| p < ALPHA) {
        let up = difference.difference > 0.0;
        return if up == (change.worse == Worse::Up) { Verdict::Worse } else { Verdict::Better };
    }
    match difference.reach() {
        Some(within) if within <= change.unit.margin(change.base.estimate) => {
            Verdict::Same { within }
        }
        _ => Verdict::CannotTell,
    }
}
