//! The kernel's run times of a method's BPF programs, if it was asked to time them.

use super::{
    estimate::{Bounds, Scale},
    overhead::{of_trials, per, why_no_cost_per_event},
    pairs::{TrialFilter, Trials},
    total,
};
use crate::model::{
    figure::Figure,
    figures::RunFigures,
    method::Descriptor,
    observation::ProgramRuns,
    trial::{Measured, Pace},
};

/// Figures of the closed-loop trials; `kicked` says whether the target has the function that each
/// kick calls once. `None` if no program was timed.
pub fn figures(
    trials: &Trials<'_>,
    method: &Descriptor,
    kicked: bool,
    seed: u64,
) -> Option<RunFigures> {
    let closed_loop = || trials.single(TrialFilter::overhead(Pace::ClosedLoop), &method.id);
    let runs = total(closed_loop().ok()?.items.into_iter().map(runs));
    let of_each = |value: fn(&&Measured) -> Option<f64>| {
        of_trials(closed_loop(), Scale::Level(Bounds::Positive), value, seed)
    };
    (runs > 0).then(|| RunFigures {
        runs,
        ns_per_run: of_each(|trial| per(time(trial), self::runs(trial))),
        ns_per_event: match why_no_cost_per_event(method, kicked) {
            Some(why) => Figure::null(why),
            None => of_each(|trial| per(time(trial), trial.sent.kicks?)),
        },
    })
}

fn runs(trial: &Measured) -> u64 {
    total(trial.observation.program_runs.iter().map(|program| program.runs))
}

fn time(trial: &Measured) -> u64 {
    total(trial.observation.program_runs.iter().map(|ProgramRuns { time, .. }| time.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::{figure::Platform, trial::Part, units::Nanos},
    };

    const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);

    fn of(lab: &Lab, method: &str) -> Option<RunFigures> {
        figures(&lab.trials(), lab.method(method), true, 1)
    }

    #[test]
    fn programs_add_up_and_blocks_are_the_sample() {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for block in 0..3 {
            for method in ["bpf-fentry-count", "perf-sample-999-callchain"] {
                lab.done(block, CLOSED_LOOP, method, |measured| {
                    measured.sent.kicks = Some(1000);
                    let timed = |program: &str, ns| ProgramRuns {
                        program: program.into(),
                        runs: 1000,
                        time: Nanos(ns),
                    };
                    let ns = 20_000 + 1000 * u64::from(block);
                    measured.observation.program_runs = vec![timed("a", ns), timed("b", 40_000)];
                });
            }
            lab.done(block, CLOSED_LOOP, "off", |measured| measured.sent.kicks = Some(1000));
        }
        let found = of(&lab, "bpf-fentry-count").unwrap();
        assert_eq!(found.runs, 6000);
        // 60, 61 and 62 µs for 1000 kicks and 2000 runs.
        let [run, event] = [&found.ns_per_run, &found.ns_per_event].map(|f| f.known().unwrap());
        assert!((run.estimate - 30.5).abs() < 1e-9 && (event.estimate - 61.0).abs() < 1e-9);
        assert!(event.n == 3 && event.lo.unwrap() < 61.0, "{event:?}");
        let profiler = of(&lab, "perf-sample-999-callchain").unwrap();
        assert!(profiler.ns_per_run.known().is_some() && profiler.ns_per_event.known().is_none());
        assert_eq!(of(&lab, "off"), None);
    }
}
