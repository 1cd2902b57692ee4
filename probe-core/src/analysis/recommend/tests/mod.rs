//! Campaigns whose answer is known by hand.

mod cost;
mod losses;
mod order;
mod rates;
mod standing;

use super::*;
use crate::{
    analysis::{
        doubt::Doubt,
        fixture::{Lab, exchanged, shows},
    },
    model::{
        loss::Loss,
        note::Note,
        reason::{Reason, TrialKind},
        trial::{Measured, Outcome, Pace, Part},
        units::Nanos,
    },
};

const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);
const PACED: (Part, Pace) = (Part::Overhead, Pace::Paced);
const SATURATED: (Part, Pace) = (Part::Overhead, Pace::Saturated);
const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Saturated);

const COUNT: &str = "bpf-fentry-count";
const TRACER: &str = "ftrace-function";
const PROFILER: &str = "perf-sample-999-callchain";

/// Costs of a method: ns per kick in each block, and ns of its reader in each trial.
type Costs<'a> = (&'a str, &'a [u64], u64);

/// Closed-loop trials of 1000 kicks in 2 s each, under the baseline at 8000 ns per kick; and paced
/// ones of which only the reader takes time.
fn lab(platform: Platform, all: &[Costs<'_>]) -> Lab {
    let mut lab = Lab::new();
    lab.run(platform);
    for &(method, costs, reader) in all {
        for (block, cost) in (0..).zip(costs) {
            lab.done(block, CLOSED_LOOP, method, |measured| {
                measured.sent.kicks = Some(1000);
                measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
                measured.cpu.reader = Nanos(reader);
                measured.observation.recorded[0] = (method != "off").then_some(1000);
            });
            lab.done(block, PACED, method, |measured| {
                measured.sent.frames = 1000;
                measured.cpu.workers[0] = Nanos(8_000_000);
                measured.cpu.reader = Nanos(reader);
                measured.observation.recorded[0] = (method != "off").then_some(1000);
            });
        }
    }
    lab
}

fn off(blocks: usize) -> Costs<'static> {
    ("off", &[0; 16][..blocks], 0)
}

fn at(rate: &str) -> Wanted {
    Wanted { calls_per_s: Some(rate.parse().unwrap()), ..Wanted::default() }
}

/// Only the methods that ran.
fn campaign(mut lab: Lab) -> Campaign {
    let ran = |id: &MethodId| lab.trials.iter().any(|trial| trial.method == *id);
    lab.design.methods.retain(|method| ran(&method.id));
    lab.campaign()
}

fn ids(found: &Recommendation) -> Vec<&str> {
    found.methods.iter().map(|one| one.method.0.as_str()).collect()
}

fn of<'a>(found: &'a Recommendation, id: &str) -> &'a Judged {
    found.methods.iter().find(|one| one.method.0 == id).unwrap()
}

fn verdict<'a>(found: &'a Recommendation, id: &str, criterion: Criterion) -> &'a Verdict {
    &of(found, id).checks.iter().find(|check| check.of == criterion).unwrap().verdict
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * (1.0 + b.abs())
}

/// Changes what was measured in each trial of `method`, whose block is given.
fn edit(lab: &mut Lab, method: &str, change: impl Fn(u32, &mut Measured)) {
    for trial in lab.trials.iter_mut().filter(|trial| trial.method.0 == method) {
        if let Outcome::Done(measured) = &mut trial.outcome {
            change(trial.block, measured);
        }
    }
}

/// Four blocks of fidelity on `platform`: the tracer shows more than the counter, which is
/// cheaper.
fn ordered(platform: Platform) -> Lab {
    let mut lab = lab(
        platform,
        &[off(4), (COUNT, &[400, 401, 402, 401], 0), (TRACER, &[600, 601, 602, 601], 0)],
    );
    for block in 0..4_u32 {
        for (method, exchanges) in [("off", 1), (COUNT, 4), (TRACER, 1)] {
            let shown = exchanged(exchanges + usize::from(block == 2 && method == COUNT));
            lab.done(block, FIDELITY, method, |measured| {
                shows(measured, &exchanged(1), (method != "off").then_some((&shown, 1.0)));
            });
        }
    }
    lab
}
