//! Tests with known trends.

use rand::{RngExt as _, SeedableRng as _, seq::SliceRandom as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::{
    analysis::{
        fixture::{Lab, normal},
        interval::ALPHA,
    },
    model::{figure::Platform, trial::Part, units::Nanos},
};

const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);
const METHODS: [&str; 3] = ["off", "bpf-fentry-count", "ftrace-function"];

/// How a trial's value changes apart from chance: shares per block, per block under the tracer
/// only, and per place.
#[derive(Debug, Clone, Copy, Default)]
struct Effect {
    drift: f64,
    own_drift: f64,
    order: f64,
}

/// Blocks with methods in random order; values scatter by half a per cent, blocks by two.
fn lab(rng: &mut Xoshiro256PlusPlus, runs: usize, blocks: u32, effect: Effect) -> Lab {
    let mut lab = Lab::new();
    for _ in 0..runs {
        lab.run(Platform::Native);
        for block in 0..blocks {
            let of_block = normal(rng, 1, 0.0, 0.02)[0] * f64::from(u8::from(blocks > 1));
            let mut places = [0, 1, 2];
            places.shuffle(rng);
            for (method, position) in METHODS.into_iter().zip(places) {
                let own = if method == "ftrace-function" { effect.own_drift } else { 0.0 };
                let log = of_block
                    + (effect.drift + own) * f64::from(block)
                    + effect.order * f64::from(position)
                    + normal(rng, 1, 0.0, 0.005)[0];
                let trial = lab.done(block, CLOSED_LOOP, method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos((8e9 * log.exp()) as u64);
                });
                trial.position = position;
            }
        }
    }
    lab
}

fn found(lab: &Lab) -> Vec<Trend> {
    trends(&lab.trials(), &lab.design.methods)
}

fn fires(trends: &[Trend], along: Along, method: Option<&str>) -> bool {
    let ours = |t: &&Trend| t.along == along && t.method.as_ref().map(|m| m.0.as_str()) == method;
    trends.iter().find(ours).is_some_and(|trend| trend.p < ALPHA)
}

#[test]
fn each_trend_is_found_where_it_is_and_nowhere_else() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let what = |trends: &[Trend]| {
        [
            fires(trends, Along::Blocks, Some("off")),
            fires(trends, Along::Blocks, Some("ftrace-function")),
            fires(trends, Along::Places, None),
        ]
    };
    let mut of = |effect| what(&found(&lab(&mut rng, 1, 12, effect)));
    assert_eq!(of(Effect { drift: 0.02, ..Effect::default() }), [true, false, false]);
    assert_eq!(of(Effect { own_drift: 0.005, ..Effect::default() }), [false, true, false]);
    assert_eq!(of(Effect { order: 0.01, ..Effect::default() }), [false, false, true]);
    assert_eq!(of(Effect::default()), [false, false, false]);
}

#[test]
fn the_slope_is_that_of_the_values() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    // Exactly one per cent per block under both: no drift of the ratio.
    for block in 0..6 {
        for method in ["off", "bpf-fentry-count"] {
            lab.done(block, CLOSED_LOOP, method, |measured| {
                measured.sent.kicks = Some(1);
                measured.cpu.workers[0] = Nanos((8e15 * 1.01_f64.powf(f64::from(block))) as u64);
            });
        }
    }
    let trends = found(&lab);
    assert_eq!(trends.len(), 1, "{trends:?}");
    let Trend { along, quantity, method, pct_per_step, n, p } = &trends[0];
    assert_eq!((*along, *quantity, *n), (Along::Blocks, Quantity::WorkerNsPerKick, 6));
    assert_eq!(method.as_ref().map(|id| id.0.as_str()), Some("off"));
    assert!((pct_per_step - 1.0).abs() < 1e-6 && *p < 1e-6, "{trends:?}");
}

#[test]
fn without_any_trend_alarms_are_as_rare_as_stated() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    for (runs, blocks) in [(1, 10), (1, 5), (4, 3), (6, 1)] {
        let alarms = (0..500)
            .filter(|_| {
                let lab = lab(&mut rng, runs, blocks, Effect::default());
                found(&lab).iter().any(|trend| trend.p < ALPHA)
            })
            .count();
        println!("{runs} runs of {blocks} blocks, no trend: any alarm in {alarms} of 500");
        // At most 25 are expected; Holm is conservative if trends depend on each other.
        assert!(alarms <= 40, "{runs} runs of {blocks} blocks: {alarms}");
    }
}

#[test]
fn runs_that_differ_are_no_drift_and_single_blocks_have_none() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    // Each machine is slower than the one before.
    let mut several = lab(&mut rng, 3, 5, Effect::default());
    for trial in &mut several.trials {
        let run = trial.run as u64;
        if let Outcome::Done(measured) = &mut trial.outcome {
            measured.cpu.workers[0].0 *= 1 + run;
        }
    }
    assert!(found(&several).iter().all(|trend| trend.p >= ALPHA), "{:?}", found(&several));
    let single = found(&lab(&mut rng, 6, 1, Effect::default()));
    assert!(single.iter().all(|trend| trend.along == Along::Places), "{single:?}");
    assert!(found(&lab(&mut rng, 1, 2, Effect::default())).is_empty());
}

#[test]
fn failed_trials_leave_gaps_not_trends() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(6);
    let mut lab = lab(&mut rng, 1, 10, Effect::default());
    for trial in &mut lab.trials {
        if rng.random_bool(0.2) {
            trial.outcome = Outcome::Failed { why: "a reason".into() };
        }
    }
    assert!(found(&lab).iter().all(|trend| trend.p >= ALPHA), "{:?}", found(&lab));
}
