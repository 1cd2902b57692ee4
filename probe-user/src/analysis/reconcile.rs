//! Whether what a method saw agrees with what happened.

use crate::model::{
    campaign::Reconciliation,
    loss::Loss,
    method::{Class, Descriptor, SeriesUnit},
    observation::{Estimate, Promise},
};

/// Sums over the trials, of one item of the target.
#[derive(Debug)]
pub(super) struct Counts {
    /// Hits that happened; none where nothing ties the item to the load.
    pub(super) truth: Option<u64>,
    pub(super) recorded: Option<u64>,
    /// Of a method that counts every hit and records some.
    pub(super) counted: Option<u64>,
    pub(super) lost: Loss,
    pub(super) missed: Loss,
    /// Whether all losses that are known of are known to be hits of the item.
    pub(super) placed: bool,
    /// Trials times CPUs: the places in which a sampler's counter may hold back calls at the end.
    pub(super) counters: u64,
    /// A sampler's own estimate.
    pub(super) estimate: Option<Estimate>,
}

impl Counts {
    /// `recorded + lost + missed`, where the losses are exact and hits of the item.
    pub(super) fn sum(&self) -> Option<u64> {
        let sum = self.recorded? + self.lost.exact()? + self.missed.exact()?;
        self.placed.then_some(sum)
    }
}

/// Sets what `method` saw against what happened.
pub(super) fn reconcile(counts: &Counts, method: &Descriptor) -> Reconciliation {
    let Some(truth) = counts.truth else {
        return not_applicable("nothing ties what it counts to the load");
    };
    match (method.class, method.unit) {
        (Class::Nothing, _) | (_, SeriesUnit::Nothing) => not_applicable("it records nothing"),
        (_, SeriesUnit::CpuShare) => not_applicable("shares of CPU time do not count calls"),
        (Class::Sampled, SeriesUnit::Calls { factor }) => sampled(counts, truth, factor),
        (_, SeriesUnit::Calls { .. }) => every_hit(counts, truth),
    }
}

/// A method that sees every hit.
fn every_hit(counts: &Counts, truth: u64) -> Reconciliation {
    match counts.recorded {
        None => not_applicable("a trial has no count of it"),
        Some(_) if !counts.placed => misplaced(),
        Some(recorded) => whole(recorded + known(counts.lost), counts, truth),
    }
}

/// Hits that were counted, beside those that were not seen and are known of.
fn whole(counted: u64, counts: &Counts, truth: u64) -> Reconciliation {
    let found = counted + known(counts.missed);
    let open = counts.lost.exact().is_none() || counts.missed.exact().is_none();
    match found {
        found if found == truth => Reconciliation::Exact,
        found if found < truth && open => Reconciliation::Unaccounted { n: truth - found },
        found => differs(found, truth),
    }
}

fn sampled(counts: &Counts, truth: u64, factor: f64) -> Reconciliation {
    // Where every call was counted as well, that count must be right, whatever the samples say.
    if let Some(counted) = counts.counted {
        let whole = whole(counted, &Counts { lost: Loss::NONE, ..*counts }, truth);
        if whole != Reconciliation::Exact {
            return whole;
        }
    }
    match counts.estimate {
        Some(estimate) => within(estimate, truth),
        None => one_in_n(counts, truth, factor),
    }
}

/// Compares a sampler's own interval with the truth.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds of counts, at least zero"
)]
fn within(estimate: Estimate, truth: u64) -> Reconciliation {
    let Estimate { calls, lo, hi, promise } = estimate;
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

/// One in N, taken by counting: it may be away by less than N for each counter.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts far below 2^53; a sampling factor is at least 1"
)]
fn one_in_n(counts: &Counts, truth: u64, factor: f64) -> Reconciliation {
    let Some(recorded) = counts.recorded else {
        return not_applicable("a trial has no count of it");
    };
    if !counts.placed {
        return misplaced();
    }
    // A missed call was never drawn: it stands for itself.
    let drawn = recorded + known(counts.lost);
    let estimate = (drawn as f64 * factor).round() as u64 + known(counts.missed);
    let bound = (factor as u64).saturating_mul(counts.counters);
    if estimate.abs_diff(truth) <= bound {
        return Reconciliation::WithinBound { bound };
    }
    whole(estimate - known(counts.missed), counts, truth)
}

fn differs(found: u64, truth: u64) -> Reconciliation {
    let away = i64::try_from(found.abs_diff(truth)).unwrap_or(i64::MAX);
    Reconciliation::Differs { by: if found < truth { -away } else { away } }
}

fn misplaced() -> Reconciliation {
    not_applicable("its losses may be another function's, or lie outside the window")
}

fn not_applicable(why: &str) -> Reconciliation {
    Reconciliation::NotApplicable { why: why.into() }
}

/// As many as are known of.
pub(super) fn known(loss: Loss) -> u64 {
    match loss {
        Loss::Exact(n) | Loss::AtLeast(n) => n,
        Loss::Unknown => 0,
    }
}
