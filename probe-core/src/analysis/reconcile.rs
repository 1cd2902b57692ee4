//! Whether what a method saw agrees with what happened.

use super::{known_total, total};
use crate::model::{
    campaign::Reconciliation,
    counter::Counted,
    loss::Loss,
    method::{Class, Descriptor, SeriesUnit},
    observation::{EstimatedCalls, Promise},
    reason::Reason,
};

/// Sums over the trials, for one item of the target.
#[derive(Debug)]
pub(super) struct ItemTotals {
    /// Hits that happened; none where nothing ties the item to the load.
    pub(super) truth: Option<u64>,
    pub(super) recorded: Option<u64>,
    /// For a method that counts every hit and records some.
    pub(super) counted: Option<u64>,
    pub(super) lost: Loss,
    pub(super) missed: Loss,
    /// Whether all known losses are known to be hits of the item.
    pub(super) placed: bool,
    /// A sampler's own estimate.
    pub(super) estimate: Option<EstimatedCalls>,
}

impl ItemTotals {
    /// `recorded + lost + missed`, where the losses are exact and hits of the item.
    pub(super) fn sum(&self) -> Option<u64> {
        let sum = known_total([self.recorded, self.lost.exact(), self.missed.exact()])?;
        self.placed.then_some(sum)
    }
}

/// Sets what `method` saw against what happened.
pub(super) fn reconcile(counts: &ItemTotals, method: &Descriptor) -> Reconciliation {
    let Some(truth) = counts.truth else {
        return not_applicable(Reason::NotTied);
    };
    match (method.class, method.unit) {
        (Class::Nothing, _) | (_, SeriesUnit::Nothing) => not_applicable(Reason::RecordsNothing),
        (_, SeriesUnit::CpuShare) => not_applicable(Reason::SharesDoNotCount),
        (_, SeriesUnit::Counter { of }) if of != Counted::Frames => {
            not_applicable(Reason::NotCalls { item: of.name().into() })
        }
        (Class::Sampled, SeriesUnit::Calls { .. }) => sampled(counts, truth),
        (_, SeriesUnit::Calls { .. } | SeriesUnit::Counter { .. }) => every_hit(counts, truth),
    }
}

/// A method that sees every hit.
fn every_hit(counts: &ItemTotals, truth: u64) -> Reconciliation {
    match counts.recorded {
        None => not_applicable(Reason::NoCount),
        Some(_) if !counts.placed => not_applicable(Reason::LossesNotPlaced),
        Some(recorded) => whole(total([recorded, counts.lost.known()]), counts, truth),
    }
}

/// Hits that were counted, beside those that were not seen and are known of.
fn whole(counted: u64, counts: &ItemTotals, truth: u64) -> Reconciliation {
    let found = total([counted, counts.missed.known()]);
    let open = counts.lost.exact().is_none() || counts.missed.exact().is_none();
    match found {
        found if found == truth => Reconciliation::Exact,
        found if found < truth && open => {
            Reconciliation::Unaccounted { n: truth.saturating_sub(found) }
        }
        found => differs(found, truth),
    }
}

fn sampled(counts: &ItemTotals, truth: u64) -> Reconciliation {
    // Where every call was counted as well, that count must be right, whatever the samples say.
    if let Some(counted) = counts.counted {
        let whole = whole(counted, &ItemTotals { lost: Loss::NONE, ..*counts }, truth);
        if whole != Reconciliation::Exact {
            return whole;
        }
    }
    match counts.estimate {
        // Missed calls could not be drawn.
        Some(estimate) => within(estimate, truth.saturating_sub(counts.missed.known())),
        None => not_applicable(Reason::NoEstimate),
    }
}

/// Compares a sampler's own interval with the truth.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds of counts, at least zero"
)]
fn within(estimate: EstimatedCalls, truth: u64) -> Reconciliation {
    let EstimatedCalls { calls, lo, hi, promise } = estimate;
    let inside = (lo..=hi).contains(&(truth as f64));
    match promise {
        Promise::Always if inside => {
            Reconciliation::WithinBound { bound: (hi - lo).round() as u64 }
        }
        Promise::Always => differs(calls.round() as u64, truth),
        Promise::Confidence95 if inside => Reconciliation::WithinInterval { lo, hi },
        Promise::Confidence95 => Reconciliation::OutsideInterval { lo, hi },
    }
}

fn differs(found: u64, truth: u64) -> Reconciliation {
    let away = i64::try_from(found.abs_diff(truth)).unwrap_or(i64::MAX);
    Reconciliation::Differs { by: if found < truth { away.saturating_neg() } else { away } }
}

fn not_applicable(why: Reason) -> Reconciliation {
    Reconciliation::NotApplicable { why }
}
