//! How long calls took, according to the methods that measure it.

use super::{
    item::Items,
    pairs::{TrialFilter, Trials},
    total,
};
use crate::model::{
    figures::DurationFigures,
    method::Descriptor,
    trial::{Outcome, Pace},
};

/// Durations of the function that each kick calls, over all closed-loop trials of `method`; `None`
/// if it measured none.
pub fn figures(trials: &Trials<'_>, method: &Descriptor, items: &Items) -> Option<DurationFigures> {
    let kicked = items.kicked()?.id;
    let kind = TrialFilter::overhead(Pace::ClosedLoop);
    let ours = trials.all.iter().filter(|trial| trial.method == method.id && kind.holds(trial));
    let all = ours.filter_map(|trial| match &trial.outcome {
        Outcome::Done(measured) => measured.observation.durations.get(kicked),
        Outcome::Failed { .. } => None,
    });
    let log2_ns = all.fold(Vec::new(), |sum, one| added(sum, &one.log2_ns));
    let calls = total(log2_ns.iter().copied());
    let bucket = |share: f64| quantile(&log2_ns, share).map(bounds);
    let (p50_ns, p99_ns, longest_ns) = (bucket(0.5)?, bucket(0.99)?, bucket(1.0)?);
    Some(DurationFigures { calls, p50_ns, p99_ns, longest_ns, log2_ns })
}

fn added(mut sum: Vec<u64>, more: &[u64]) -> Vec<u64> {
    sum.resize(sum.len().max(more.len()), 0);
    for (all, one) in sum.iter_mut().zip(more) {
        *all = all.saturating_add(*one);
    }
    sum
}

/// The bucket that contains the `share` quantile; `None` without calls.
#[expect(clippy::cast_precision_loss, reason = "no campaign holds 2^53 calls")]
fn quantile(buckets: &[u64], share: f64) -> Option<usize> {
    let wanted = share * total(buckets.iter().copied()) as f64;
    let mut below = 0_u64;
    buckets.iter().position(|&calls| {
        below = below.saturating_add(calls);
        calls > 0 && below as f64 >= wanted
    })
}

/// The durations in bucket `i`: `[2^i, 2^(i+1))` ns; the first starts at 0.
fn bounds(bucket: usize) -> [u64; 2] {
    let power = |exponent: usize| u32::try_from(exponent).ok().and_then(|e| 1_u64.checked_shl(e));
    let from = if bucket == 0 { 0 } else { power(bucket).unwrap_or(u64::MAX) };
    [from, power(bucket.saturating_add(1)).unwrap_or(u64::MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::{figure::Platform, observation::Durations, trial::Part},
    };

    const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);

    #[test]
    fn trials_add_up_and_quantiles_are_buckets() {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for (block, log2_ns) in [(0, vec![0, 0, 98]), (1, vec![0, 0, 0, 101, 1])] {
            lab.done(block, CLOSED_LOOP, "ftrace-function", |measured| {
                measured.observation.durations = vec![Some(Durations { log2_ns }), None].into();
            });
        }
        let items = Items::of(&lab.design.target);
        let found = figures(&lab.trials(), lab.method("ftrace-function"), &items).unwrap();
        assert_eq!((found.calls, found.log2_ns.as_slice()), (200, &[0, 0, 98, 101, 1][..]));
        assert_eq!((found.p50_ns, found.p99_ns), ([8, 16], [8, 16]));
        assert_eq!(found.longest_ns, [16, 32]);
        assert_eq!(figures(&lab.trials(), lab.method("off"), &items), None);
    }

    #[test]
    fn buckets_reach_from_nothing_to_the_longest() {
        assert_eq!(bounds(0), [0, 2]);
        assert_eq!(bounds(10), [1024, 2048]);
        assert_eq!(bounds(63), [1 << 63, u64::MAX]);
        assert_eq!(bounds(64), [u64::MAX, u64::MAX]);
    }

    #[test]
    fn counts_beyond_64_bits_do_not_wrap_around() {
        let sum = added(vec![u64::MAX, 1], &[1, 2, 3]);
        assert_eq!(sum, [u64::MAX, 3, 3]);
        assert_eq!(quantile(&sum, 1.0), Some(0));
    }
}
