//! Decides when a campaign has measured enough: only from the width of its intervals, never from
//! their position.
//!
//! Stopping as soon as a difference is "significant" finds one sooner or later even if there is
//! none. The width says nothing about the difference, so an interval at the stop contains the truth
//! almost as often as one from a fixed number of blocks (docs/src/explanation/statistics.md).

use super::{
    correlation::mean,
    estimate::mean_interval,
    item::Items,
    overhead,
    pairs::{Pair, TrialFilter, Trials},
};
use crate::model::{
    campaign::Design,
    method::{Descriptor, MethodId, SeriesUnit},
    trial::Pace,
};

/// Least number of blocks before the first check: with fewer, the width itself is too uncertain.
pub const LEAST_BLOCKS: usize = 10;

/// How precisely each method's cost is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Half the width of its interval as a share of the baseline's CPU time; `None` before
    /// [`LEAST_BLOCKS`].
    pub half_width: Option<f64>,
    /// The method.
    pub method: MethodId,
}

/// How precisely the cost of each method with any value is known: CPU time of the worker per kick,
/// for profilers per frame.
pub fn progress(trials: &Trials<'_>, design: &Design, seed: u64) -> Vec<Progress> {
    let kicked = Items::of(&design.target).kicked().is_some();
    let judged = |method: &&Descriptor| !method.id.is_off() && !method.id.is_off_again();
    let methods = design.methods.iter().filter(judged);
    let told = methods.filter_map(|method| {
        let (values, level) = cost(trials, method, kicked)?;
        Some(Progress { half_width: half_width(&values, level, seed), method: method.id.clone() })
    });
    told.collect()
}

/// Whether each cost is known within `width`. A campaign without any value is never enough.
pub fn is_enough(progress: &[Progress], width: f64) -> bool {
    let known = |one: &Progress| one.half_width.is_some_and(|half| half <= width);
    !progress.is_empty() && progress.iter().all(known)
}

/// Half the width of the interval of the values' mean, relative to `level`; `None` for fewer than
/// [`LEAST_BLOCKS`].
pub fn half_width(values: &[f64], level: f64, seed: u64) -> Option<f64> {
    if values.len() < LEAST_BLOCKS {
        return None;
    }
    let found = mean_interval(values, seed)?;
    Some((found.hi - found.lo) / 2.0 / level)
}

/// The cost in each block, and the level that it is compared with: for calls, ns and the baseline's
/// ns; for profilers, the logarithm of a ratio and 1. `None` if no block has a value.
fn cost(trials: &Trials<'_>, method: &Descriptor, kicked: bool) -> Option<(Vec<f64>, f64)> {
    let per_kick = kicked && method.unit != SeriesUnit::CpuShare;
    let pace = if per_kick { Pace::ClosedLoop } else { Pace::Paced };
    let pairs = trials.paired(TrialFilter::overhead(pace), &method.id).ok()?.items;
    let of = if per_kick { overhead::worker_ns_per_kick } else { overhead::worker_ns_per_frame };
    let both = |pair: &Pair<'_>| {
        let (off, method) = (of(pair.off)?, of(pair.method)?);
        (off > 0.0 && method > 0.0).then_some((off, method))
    };
    let both: Vec<(f64, f64)> = pairs.iter().filter_map(both).collect();
    if both.is_empty() {
        return None;
    }
    if !per_kick {
        return Some((both.iter().map(|(off, method)| (method / off).ln()).collect(), 1.0));
    }
    let baselines: Vec<f64> = both.iter().map(|(off, _)| *off).collect();
    Some((both.iter().map(|(off, method)| method - off).collect(), mean(&baselines)))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::{
        analysis::fixture::{Lab, coverage, normal},
        model::{figure::Platform, trial::Part, units::Nanos},
    };

    const COUNT: &str = "bpf-fentry-count";
    const PROFILER: &str = "perf-sample-999-callchain";

    /// Blocks in which the counter costs 200 ± `spread` ns, and the profiler 1 % of 10 µs per
    /// frame.
    fn lab(blocks: u32, spread: u64) -> Lab {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for block in 0..blocks {
            let wobble = spread * u64::from(block % 2) * 2;
            for (method, cost) in [("off", 0), (COUNT, 200 - spread + wobble), (PROFILER, 50)] {
                lab.done(block, (Part::Overhead, Pace::ClosedLoop), method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
                });
                lab.done(block, (Part::Overhead, Pace::Paced), method, |measured| {
                    measured.sent.frames = 1000;
                    measured.cpu.workers[0] =
                        Nanos((10_000 + 2 * cost + u64::from(block % 3)) * 1000);
                });
            }
        }
        lab
    }

    fn found(lab: &Lab) -> Vec<Progress> {
        progress(&lab.trials(), &lab.design, 1)
    }

    #[test]
    fn each_methods_width_is_told_as_a_share_of_the_baselines_time() {
        let found = found(&lab(10, 80));
        let ids: Vec<&str> = found.iter().map(|one| one.method.0.as_str()).collect();
        assert_eq!(ids, [COUNT, PROFILER]);
        // 120 and 280 in turn: s = 80 √(10/9), times t[0.975, 9]/√10 = 0.71536, of 8000.
        let half = found[0].half_width.unwrap();
        assert!(
            (half - 80.0 * (10.0_f64 / 9.0).sqrt() * 0.715_357 / 8000.0).abs() < 1e-7,
            "{half}"
        );
        assert!(found[1].half_width.unwrap() < 1e-4, "{found:?}");
        assert!(is_enough(&found, 0.0076) && !is_enough(&found, 0.0075));
    }

    #[test]
    fn nothing_is_enough_before_ten_blocks_or_without_any_value() {
        assert!(!is_enough(&found(&lab(9, 0)), 0.5));
        assert!(is_enough(&found(&lab(10, 0)), 0.5));
        let mut empty = Lab::new();
        empty.run(Platform::Native);
        assert!(!is_enough(&found(&empty), 0.5));
    }

    #[test]
    fn a_method_that_always_fails_is_not_waited_for_and_one_that_failed_once_is() {
        let broken = |blocks: std::ops::Range<u32>| {
            let mut lab = lab(10, 0);
            for trial in &mut lab.trials {
                if trial.method.0 == COUNT && blocks.contains(&trial.block) {
                    trial.outcome = crate::model::trial::Outcome::Failed { why: "EPERM".into() };
                }
            }
            is_enough(&found(&lab), 0.5)
        };
        assert!(broken(0..10) && !broken(0..1));
    }

    #[test]
    fn an_interval_at_the_stop_holds_the_truth_nearly_as_often_as_it_says() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
        // The wider one with Student's t, for most repetitions; the narrower one with resampling,
        // which is slow.
        for (width, times, least, around) in [(0.7, 2000, 0.93, 11.0), (0.5, 300, 0.90, 17.0)] {
            let mut blocks = 0;
            let covered = coverage(times, 5.0, || {
                let mut values = normal(&mut rng, LEAST_BLOCKS, 5.0, 1.0);
                while half_width(&values, 1.0, 1)? > width {
                    values.extend(normal(&mut rng, 1, 5.0, 1.0));
                }
                blocks += values.len();
                mean_interval(&values, 1)
            });
            let blocks = blocks as f64 / f64::from(times);
            println!("half a width of {width}: after {blocks:.1} blocks, {covered:.3}");
            assert!(covered > least && covered < 0.98, "{width}: {covered}");
            assert!((blocks - around).abs() < 2.5, "{width}: {blocks}");
        }
    }
}
