use super::*;
use crate::{
    analysis::{
        fixture::{
            Lab,
            steps::{Step, climb, counts, profiles},
        },
        summary::summarize,
    },
    model::{
        campaign::Summary,
        figure::Platform,
        loss::Loss,
        note::Note,
        observation::Series,
        trial::{Pace, Part},
    },
};

const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Saturated);
const TRACER: &str = "ftrace-function";
const PROFILER: &str = "perf-sample-999-callchain";

/// Two guests under the baseline and under a tracer, whose trial is `change`d.
fn lab(steps: &[Step], change: impl FnOnce(&mut Measured)) -> Lab {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    lab.done(0, FIDELITY, "off", |measured| climb(measured, steps, 2));
    lab.done(0, FIDELITY, TRACER, |measured| {
        climb(measured, steps, 2);
        counts(measured, steps);
        change(measured);
    });
    lab
}

fn summary() -> Summary {
    let steps = [
        Step { shares: [40.0, 10.0, 0.0, 0.0], ..Step::of(2, 0, 1e6, 1000.0) },
        Step { shares: [20.0, 10.0, 0.0, 0.0], ..Step::of(2, 1, 5e5, 800.0) },
    ];
    let mut lab = lab(&steps, |_| ());
    lab.done(0, FIDELITY, PROFILER, |measured| {
        climb(measured, &steps, 2);
        profiles(measured, &steps, &["handle_tx", "handle_rx"]);
    });
    summarize(&lab.design, &lab.runs, &lab.trials, 1)
}

fn estimate(figure: &Figure) -> f64 {
    figure.known().unwrap_or_else(|| panic!("{figure:?}")).estimate
}

#[test]
fn each_section_has_each_method_that_ran() {
    let sections = summary().sections;
    let labels: Vec<&str> = sections.iter().map(|section| section.label.as_str()).collect();
    assert_eq!(labels, ["2 send, 0 hogs", "2 send, 1 hog"]);
    for section in &sections {
        let ids: Vec<&str> = section.methods.iter().map(|method| method.id.0.as_str()).collect();
        assert_eq!(ids, ["off", TRACER, PROFILER]);
    }
    // The schedule's bins are 250 ms.
    assert_eq!((sections[1].from_s, sections[1].to_s), (8.0, 16.0));
}

#[test]
fn a_sections_figures_by_hand() {
    let section = &summary().sections[1];
    let off = &section.methods[0];
    assert!((estimate(&off.throughput_bps) - 4e6).abs() < 1e-3);
    assert!((estimate(&off.guests_bps["vm2"]) - 2e6).abs() < 1e-3);
    // Half of 32 bins 10 % above, half 10 % below: √(32 · 0.01 / 31).
    assert!((estimate(&off.throughput_cv) - (0.32_f64 / 31.0).sqrt()).abs() < 1e-9);
    let bins = off.bins_bps.unwrap();
    assert_eq!((bins.p0, bins.p25, bins.p50, bins.p100), (3.6e6, 3.6e6, 4e6, 4.4e6));
    assert!((estimate(&off.frames_per_call) - 3.0).abs() < 1e-12);
    assert!((estimate(&off.sink_run_delay_pct) - 10.0).abs() < 1e-9);
    let called = &off.functions["handle_tx"];
    assert!((estimate(&called.calls_per_s_w) - 800.0).abs() < 1e-9);
    // Calls and throughput rise and fall together.
    assert!((estimate(&called.r_w) - 1.0).abs() < 1e-9);
    assert!(called.calls_per_s_m.is_none() && called.share_pct.is_none() && called.r_m.is_none());
}

#[test]
fn a_method_tells_its_own_side() {
    let section = &summary().sections[0];
    let traced = &section.methods[1].functions["handle_tx"];
    assert!((estimate(traced.calls_per_s_m.as_ref().unwrap()) - 1000.0).abs() < 1e-9);
    assert!((estimate(traced.r_m.as_ref().unwrap()) - 1.0).abs() < 1e-9);
    let unseen = &section.methods[1].functions["handle_rx"];
    assert!(unseen.calls_per_s_m.as_ref().unwrap().known().is_none());
    let profiled = &section.methods[2].functions["handle_tx"];
    assert!((estimate(profiled.share_pct.as_ref().unwrap()) - 40.0).abs() < 1e-9);
    assert!((estimate(profiled.self_share_pct.as_ref().unwrap()) - 20.0).abs() < 1e-9);
    assert!(profiled.calls_per_s_m.is_none());
    let constant = Reason::Constant { series: Compared::Method };
    assert_eq!(profiled.r_m, Some(Figure::null(constant)));
}

#[test]
fn time_between_calls_goes_with_round_trip_time() {
    let methods = summary().methods;
    let off = methods[0].rtt.as_ref().unwrap();
    assert!((estimate(&off.r_w) - 1.0).abs() < 1e-9 && off.r_m.is_none());
    assert!((estimate(&off.spearman_w) - 1.0).abs() < 1e-9);
    let traced = methods.iter().find(|method| method.id.0 == TRACER).unwrap();
    assert!((estimate(traced.rtt.as_ref().unwrap().r_m.as_ref().unwrap()) - 1.0).abs() < 1e-9);
    let profiled = methods.iter().find(|method| method.id.0 == PROFILER).unwrap();
    assert!(profiled.rtt.as_ref().unwrap().r_m.as_ref().unwrap().known().is_none());
}

#[test]
fn guests_without_tcp_have_no_round_trip_time() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    let steps = [Step::of(1, 0, 1e6, 1000.0)];
    lab.done(0, FIDELITY, "off", |measured| {
        climb(measured, &steps, 2);
        measured.guests.clear();
    });
    let summary = summarize(&lab.design, &lab.runs, &lab.trials, 1);
    assert!(summary.methods[0].rtt.is_none());
    assert!(summary.sections[0].methods[0].guests_bps.is_empty());
}

/// A tracer's figures of handle_tx in the second section, after `change` of its trial.
fn traced(change: impl FnOnce(&mut Measured)) -> (MethodInSection, Summary) {
    let steps = [Step::of(1, 0, 1e6, 1000.0), Step::of(1, 1, 5e5, 800.0)];
    let lab = lab(&steps, change);
    let summary = summarize(&lab.design, &lab.runs, &lab.trials, 1);
    (summary.sections[1].methods[1].clone(), summary)
}

fn notes(figure: &Figure) -> &[Note] {
    &figure.known().unwrap_or_else(|| panic!("{figure:?}")).notes
}

#[test]
fn figures_of_a_series_that_is_not_exact_say_so() {
    let inexact = &Note::SeriesNotExact { trials: 1, of: 1 };
    let (section, summary) = traced(|measured| measured.observation.lost = Loss::Exact(3));
    let function = &section.functions["handle_tx"];
    for figure in [&function.calls_per_s_m, &function.r_m] {
        assert!(notes(figure.as_ref().unwrap()).contains(inexact), "{figure:?}");
    }
    for figure in [&section.throughput_bps, &function.r_w, &section.frames_per_call] {
        assert_eq!(notes(figure), []);
    }
    let rtt = summary.methods.iter().find(|method| method.id.0 == TRACER).unwrap().rtt.as_ref();
    assert!(notes(rtt.unwrap().r_m.as_ref().unwrap()).contains(inexact));
    assert_eq!(notes(&rtt.unwrap().r_w), []);
    let (section, _) = traced(|measured| {
        measured.reference.as_mut().unwrap().missed = Loss::Unknown;
    });
    let function = &section.functions["handle_tx"];
    for figure in [&function.r_w, &function.calls_per_s_w, &section.frames_per_call] {
        assert_eq!(notes(figure), [Note::ReferenceNotExact { blocks: 1, of: 1 }]);
    }
    assert_eq!(notes(function.r_m.as_ref().unwrap()), []);
}

#[test]
fn what_stands_in_for_calls_is_correlated_and_never_counted_as_calls() {
    let (section, summary) = traced(|measured| {
        let values = measured.frames.iter().map(|&frames| frames as f64).collect();
        measured.series = vec![Series { function: "frames".into(), values, self_share: None }];
    });
    let seen = &section.functions["handle_tx"];
    assert!((estimate(seen.r_m.as_ref().unwrap()) - 1.0).abs() < 1e-9);
    let frames = || "frames".to_owned();
    assert!(notes(seen.r_m.as_ref().unwrap()).contains(&Note::StandsIn { item: frames() }));
    let none = Figure::null(Reason::NotCalls { item: frames() });
    assert_eq!(seen.calls_per_s_m, Some(none));
    // Nothing stands in for what kicks do not cause.
    assert!(section.functions["handle_rx"].r_m.as_ref().unwrap().known().is_none());
    let tracer = summary.methods.iter().find(|method| method.id.0 == TRACER).unwrap();
    assert!(tracer.rtt.as_ref().unwrap().r_m.as_ref().unwrap().known().is_none());
}
