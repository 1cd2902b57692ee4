//! How long frames take under a method, and how much longer than without.

use hdrhistogram::Histogram;

use super::{
    correlation::mean,
    estimate::{Bounds, Sample, Scale},
    pairs::{Chosen, Kind, Pair, Trials},
    toll::{log_ratio, with_load_note},
};
use crate::model::{
    figure::Figure,
    figures::Percentiles,
    method::MethodId,
    trial::{Measured, Pace},
};

/// At each share of the frames, the µs that this share took at most, under `method` at fixed load:
/// the mean over blocks. None where a block has too few frames to tell.
pub fn curve_us(trials: &Trials<'_>, method: &MethodId, shares: &[f64]) -> Vec<Option<f64>> {
    let chosen = trials.single(Kind::toll(Pace::Paced), method);
    let items = chosen.map_or_else(|_| Vec::new(), |chosen| chosen.items);
    let read: Vec<Histogram<u64>> = items.iter().filter_map(|trial| times(trial)).collect();
    let level = |&share: &f64| {
        let all: Option<Vec<f64>> = read.iter().map(|times| quantile(times, share)).collect();
        all.filter(|all| !all.is_empty()).map(|all| mean(&all) / 1000.0)
    };
    shares.iter().map(level).collect()
}

/// Share of the frames that are below; 1 for the largest.
const P50: f64 = 0.5;
const P90: f64 = 0.9;
const P99: f64 = 0.99;
const P99_9: f64 = 0.999;
const MAX: f64 = 1.0;

/// All percentiles, each the same.
pub(super) fn all(figure: impl Fn() -> Figure) -> Percentiles {
    Percentiles { p50: figure(), p90: figure(), p99: figure(), p99_9: figure(), max: figure() }
}

/// In µs.
pub(super) fn levels(trials: Result<Chosen<&Measured>, String>, seed: u64) -> Percentiles {
    let read = |trial: &&Measured| times(trial);
    of(trials, read, Scale::Level(Bounds::Positive), seed, |times, share| {
        Some(quantile(times, share)? / 1000.0)
    })
}

/// Change in per cent of the time under the pair's first trial.
pub(super) fn changes(pairs: Result<Chosen<Pair<'_>>, String>, seed: u64) -> Percentiles {
    let read = |pair: &Pair<'_>| Some((times(pair.method)?, times(pair.off)?));
    let pairs = pairs.map(with_load_note);
    of(pairs, read, Scale::PerCentOfControl, seed, |(method, off), share| {
        log_ratio(quantile(method, share)?, quantile(off, share)?)
    })
}

fn of<T, H>(
    chosen: Result<Chosen<T>, String>,
    read: impl Fn(&T) -> Option<H>,
    scale: Scale,
    seed: u64,
    value: impl Fn(&H, f64) -> Option<f64>,
) -> Percentiles {
    let Chosen { items, platform, notes } = match chosen {
        Ok(chosen) => chosen,
        Err(why) => return all(|| Figure::null(why.clone())),
    };
    let read: Vec<H> = items.iter().filter_map(read).collect();
    let figure = |share| {
        let values: Vec<f64> = read.iter().filter_map(|times| value(times, share)).collect();
        if read.is_empty() {
            return Figure::null("frames were not timed: only VM-less guests stamp them");
        }
        if values.is_empty() {
            return Figure::null("fewer frames than lie beyond it one by one");
        }
        let mut notes = notes.clone();
        if values.len() < items.len() {
            let (left, all) = (items.len().saturating_sub(values.len()), items.len());
            notes.push(format!("{left} of {all} blocks left out: too few frames"));
        }
        Sample { values, platform, notes }.figure(scale, seed)
    };
    Percentiles {
        p50: figure(P50),
        p90: figure(P90),
        p99: figure(P99),
        p99_9: figure(P99_9),
        max: figure(MAX),
    }
}

/// None where frames were not stamped, or what was kept of them is damaged.
fn times(trial: &Measured) -> Option<Histogram<u64>> {
    trial.latency.as_ref()?.times().ok()
}

/// In ns. None where not one frame is expected beyond it.
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
        analysis::{fixture::Lab, toll},
        model::{figure::Platform, figures::TollFigures, latency::Latency, trial::Part},
    };

    const COUNT: &str = "bpf-fentry-count";

    /// Each frame takes a µs longer than the one before it, times `factor`.
    fn latency(frames: u64, factor: u64) -> Latency {
        let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (1..=frames).for_each(|n| times.record(n * factor * 1000).unwrap());
        Latency::new(&times, 0).unwrap()
    }

    fn figures(method: &str, latencies: [Option<Latency>; 2]) -> TollFigures {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        let [off, method_s] = latencies;
        for (id, latency) in [("off", off), (COUNT, method_s)] {
            lab.done(0, (Part::Toll, Pace::Paced), id, |measured| {
                measured.sent.frames = 2000;
                measured.latency = latency;
            });
        }
        toll::figures(&lab.trials(), lab.method(method), true, 1)
    }

    fn close(figure: &Figure, expected: f64) {
        let found = figure.known().unwrap_or_else(|| panic!("{figure:?}")).estimate;
        // Three digits are kept of each time, and a difference of ratios has twice the error of
        // one.
        assert!((found - expected).abs() <= 2e-3 * expected.abs() + 0.2, "{found} for {expected}");
    }

    #[test]
    fn percentiles_and_their_changes_by_hand() {
        let latencies = || [Some(latency(2000, 1)), Some(latency(2000, 3))];
        let off = figures("off", latencies());
        close(&off.latency_us.p50, 1000.0);
        close(&off.latency_us.p99_9, 1998.0);
        close(&off.latency_us.max, 2000.0);
        assert!(off.latency_pct.p50.known().is_none());
        let method = figures(COUNT, latencies());
        close(&method.latency_us.p90, 5400.0);
        let Percentiles { p50, p90, p99, p99_9, max } = &method.latency_pct;
        [p50, p90, p99, p99_9, max].into_iter().for_each(|figure| close(figure, 200.0));
    }

    #[test]
    fn a_curve_is_the_mean_of_the_blocks_where_each_has_frames_enough() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for (block, frames) in [(0, 2000), (1, 500)] {
            lab.done(block, (Part::Toll, Pace::Paced), "off", |measured| {
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
        close(&method.latency_us.p99, 495.0);
        close(&method.latency_us.max, 500.0);
        let Figure::Null(why) = &method.latency_us.p99_9 else { panic!("of 500 frames") };
        assert!(why.why.contains("fewer frames"), "{why:?}");
        let without = figures(COUNT, [Some(latency(500, 1)), None]);
        let Figure::Null(why) = &without.latency_pct.p50 else { panic!("of nothing") };
        assert!(why.why.contains("not timed"), "{why:?}");
    }
}
