//! How long frames take under a method, and how much longer than without it.

use hdrhistogram::Histogram;

use super::{
    correlation::mean,
    pairs::{Pair, TrialFilter, Trials},
};
use crate::model::{
    method::MethodId,
    reason::Reason,
    trial::{Measured, Pace},
};

/// For each share of the frames, the µs that this share took at most, under `method` at fixed load,
/// averaged over blocks. `None` if a block has too few frames.
pub fn curve_us(trials: &Trials<'_>, method: &MethodId, shares: &[f64]) -> Vec<Option<f64>> {
    let chosen = trials.single(TrialFilter::overhead(Pace::Paced), method);
    let items = chosen.map_or_else(|_| Vec::new(), |chosen| chosen.items);
    let read: Vec<Histogram<u64>> = items.iter().filter_map(|trial| times(trial)).collect();
    let level = |&share: &f64| {
        let all: Option<Vec<f64>> = read.iter().map(|times| quantile(times, share)).collect();
        all.filter(|all| !all.is_empty()).map(|all| mean(&all) / 1000.0)
    };
    shares.iter().map(level).collect()
}

/// Share of the frames below the percentile; 1 for the maximum.
pub(super) const P50: f64 = 0.5;
pub(super) const P90: f64 = 0.9;
pub(super) const P99: f64 = 0.99;
pub(super) const P99_9: f64 = 0.999;
pub(super) const MAX: f64 = 1.0;

/// The µs that this share of a trial's frames took at most.
pub(super) fn micros(trial: &Measured, share: f64) -> Result<f64, Reason> {
    Ok(nanos(trial, share)? / 1000.0)
}

/// Logarithm of the ratio of these times.
pub(super) fn ratio(pair: &Pair<'_>, share: f64) -> Result<f64, Reason> {
    let ratio = nanos(pair.method, share)? / nanos(pair.off, share)?;
    match ratio > 0.0 && ratio.is_finite() {
        true => Ok(ratio.ln()),
        false => Err(Reason::NoTime),
    }
}

fn nanos(trial: &Measured, share: f64) -> Result<f64, Reason> {
    let times = times(trial).ok_or(Reason::NotTimed)?;
    quantile(&times, share).ok_or(Reason::TooFewFrames)
}

/// `None` if frames were not stamped, or their histogram is damaged.
fn times(trial: &Measured) -> Option<Histogram<u64>> {
    trial.latency.as_ref()?.times().ok()
}

/// In ns. `None` if less than one frame is expected beyond it.
fn quantile(times: &Histogram<u64>, share: f64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "no run sends 2^53 frames, none takes 104 days")]
    let [frames, found] = [times.len(), times.value_at_quantile(share)].map(|n| n as f64);
    let enough = share == MAX && frames > 0.0 || frames * (1.0 - share) >= 1.0;
    enough.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{
            figures::{
                self,
                table::{
                    LATENCY_MAX_PCT, LATENCY_MAX_US, LATENCY_P50_PCT, LATENCY_P50_US,
                    LATENCY_P90_PCT, LATENCY_P90_US, LATENCY_P99_9_PCT, LATENCY_P99_9_US,
                    LATENCY_P99_PCT, LATENCY_P99_US,
                },
            },
            fixture::Lab,
        },
        model::{
            figure::{Figure, Platform},
            figures::Figures,
            latency::Latency,
            trial::Part,
        },
    };

    const COUNT: &str = "bpf-fentry-count";

    /// Each frame takes a µs longer than the one before it, multiplied by `factor`.
    fn latency(frames: u64, factor: u64) -> Latency {
        let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (1..=frames).for_each(|n| times.record(n * factor * 1000).unwrap());
        Latency::new(&times, 0).unwrap()
    }

    fn figures(method: &str, latencies: [Option<Latency>; 2]) -> Figures {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        let [off, method_s] = latencies;
        for (id, latency) in [("off", off), (COUNT, method_s)] {
            lab.done(0, (Part::Overhead, Pace::Paced), id, |measured| {
                measured.sent.frames = 2000;
                measured.latency = latency;
            });
        }
        figures::overhead(&lab.trials(), lab.method(method), true, 1)
    }

    fn close(figure: &Figure, expected: f64) {
        let found = figure.known().unwrap_or_else(|| panic!("{figure:?}")).estimate;
        // Each time keeps three digits, and a difference of ratios has twice the error of one.
        assert!((found - expected).abs() <= 2e-3 * expected.abs() + 0.2, "{found} for {expected}");
    }

    #[test]
    fn percentiles_and_their_changes_by_hand() {
        let latencies = || [Some(latency(2000, 1)), Some(latency(2000, 3))];
        let off = figures("off", latencies());
        close(off.of(LATENCY_P50_US), 1000.0);
        close(off.of(LATENCY_P99_9_US), 1998.0);
        close(off.of(LATENCY_MAX_US), 2000.0);
        assert!(off.of(LATENCY_P50_PCT).known().is_none());
        let method = figures(COUNT, latencies());
        close(method.of(LATENCY_P90_US), 5400.0);
        for row in
            [LATENCY_P50_PCT, LATENCY_P90_PCT, LATENCY_P99_PCT, LATENCY_P99_9_PCT, LATENCY_MAX_PCT]
        {
            close(method.of(row), 200.0);
        }
    }

    #[test]
    fn a_curve_is_the_mean_of_the_blocks_where_each_has_frames_enough() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for (block, frames) in [(0, 2000), (1, 500)] {
            lab.done(block, (Part::Overhead, Pace::Paced), "off", |measured| {
                measured.latency = Some(latency(frames, 1));
            });
        }
        let curve = |id: &str| curve_us(&lab.trials(), &MethodId(id.into()), &[0.5, 0.999]);
        let [Some(median), None] = curve("off")[..] else { panic!("{:?}", curve("off")) };
        assert!((median - 625.0).abs() < 2.0, "{median}");
        assert_eq!(curve(COUNT), [None, None]);
    }

    #[test]
    fn a_percentile_needs_a_frame_beyond_it() {
        let method = figures(COUNT, [Some(latency(500, 1)), Some(latency(500, 1))]);
        close(method.of(LATENCY_P99_US), 495.0);
        close(method.of(LATENCY_MAX_US), 500.0);
        let Figure::Null(why) = method.of(LATENCY_P99_9_US) else { panic!("of 500 frames") };
        assert_eq!(why.why, Reason::TooFewFrames);
        let without = figures(COUNT, [Some(latency(500, 1)), None]);
        let Figure::Null(why) = without.of(LATENCY_P50_PCT) else { panic!("of nothing") };
        assert_eq!(why.why, Reason::NotTimed);
    }
}
