//! A comparison that holds one of everything.

use super::{bmf, markdown, text};
use crate::{
    analysis::{
        compare::{Comparison, Gate, compare},
        fixture::campaign,
        summary::summarize,
    },
    model::{
        campaign::Campaign,
        trial::{Outcome, Pace, Part},
    },
};

/// The tracer costs 4 % more per call than it did, the counter is cheaper at fixed load, a profiler
/// has gone.
fn changed() -> Campaign {
    let mut campaign = campaign();
    for trial in &mut campaign.trials {
        let Outcome::Done(measured) = &mut trial.outcome else { continue };
        match (trial.method.0.as_str(), trial.part, trial.pace) {
            ("ftrace-function", Part::Overhead, Pace::ClosedLoop) => {
                measured.cpu.workers[0].0 += 24 * 10_000 + u64::from(trial.block) * 5000;
            }
            ("bpf-fentry-count", Part::Overhead, Pace::Paced) => {
                measured.cpu.workers[0].0 = measured.cpu.workers[0].0 / 103 * 102;
            }
            ("perf-sample-999-callchain", Part::Overhead, Pace::Saturated) => {
                trial.outcome = Outcome::Failed { why: "EINVAL".into() };
            }
            _ => {}
        }
    }
    campaign.summary = summarize(&campaign.design, &campaign.runs, &campaign.trials, 1);
    campaign
}

fn comparison() -> Comparison {
    let gates: Vec<Gate> = [
        "overhead.kernel_ns_per_event>3%+5",
        "ftrace-function:overhead.kernel_ns_per_event>1%",
        "overhead.worker_cpu_pct>0.5",
    ]
    .map(|gate| gate.parse().unwrap())
    .into();
    compare(&campaign(), &changed(), &gates).unwrap()
}

#[test]
fn the_comparison_as_text() {
    insta::assert_snapshot!(text(&comparison()));
}

#[test]
fn the_comparison_as_markdown() {
    insta::assert_snapshot!(markdown(&comparison()));
}

#[test]
fn every_line_fits_whatever_the_names() {
    let mut comparison = comparison();
    for change in &mut comparison.changes {
        change.method.0 = format!("external:{}", "name-".repeat(30));
        change.figure = format!("other_functions.{}.perturbation", "a_function_".repeat(4));
    }
    comparison.notes.push("so it is and not otherwise ".repeat(20));
    comparison.scenario = "long ".repeat(40);
    for line in text(&comparison).lines() {
        let columns = line.chars().count();
        assert!(columns <= crate::report::lines::WIDTH, "{columns} columns: {line}");
    }
}

#[test]
fn bencher_gets_values_between_their_bounds() {
    let comparison = comparison();
    let json = serde_json::to_value(bmf::metrics(&comparison)).unwrap();
    let metric = &json["ftrace-function"]["overhead.kernel_ns_per_event"];
    let number = |name: &str| metric[name].as_f64().unwrap_or_else(|| panic!("{metric}"));
    assert!(number("lower_value") < number("value") && number("value") < number("upper_value"));
    for (_, figures) in json.as_object().unwrap() {
        for (name, metric) in figures.as_object().unwrap() {
            // What bencher.dev takes for a measure's name.
            assert!(name.len() <= 64 && metric["value"].is_number(), "{name}: {metric}");
        }
    }
}

#[test]
fn programs_get_everything() {
    let json = serde_json::to_value(comparison()).unwrap();
    let change = &json["changes"][0];
    for key in ["method", "figure", "unit", "base", "new", "difference", "lo", "hi", "verdict"] {
        assert!(!change[key].is_null(), "{key}: {change}");
    }
    assert_eq!(json["gates"][0]["gate"], "overhead.kernel_ns_per_event>3%+5");
    assert_eq!(json["gates"][0]["methods"][1]["judgement"], "failed");
}
