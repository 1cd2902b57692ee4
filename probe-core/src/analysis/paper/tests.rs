use super::*;
use crate::model::figure::Basis;
use crate::{
    analysis::{
        fixture::{
            Lab,
            steps::{Step, climb, counts, profiles},
        },
        summary::summarize,
    },
    model::{
        figure::Platform,
        note::Note,
        paper::Agreement,
        scenario::GuestKind,
        target::{Function, Range},
        trial::{Pace, Part},
    },
};

const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Saturated);
const FUNCTIONS: [&str; 4] = ["handle_tx", "handle_rx", "svm_vcpu_run", "kvm_vcpu_halt"];

/// One block of the baseline, the tracer and the profiler over these sections.
fn lab(kind: GuestKind, steps: &[Step]) -> Lab {
    let mut lab = Lab::new();
    lab.design.scenario.guests.kind = kind;
    for name in &FUNCTIONS[2..] {
        let function = Function { name: (*name).into(), module: None, addresses: Range::default() };
        lab.design.target.functions.push(function);
    }
    lab.run(Platform::Emulated);
    for method in ["off", "ftrace-function", "perf-sample-999-callchain"] {
        lab.done(0, FIDELITY, method, |measured| {
            climb(measured, steps, 4);
            match method {
                "off" => {}
                "ftrace-function" => counts(measured, steps),
                _ => profiles(measured, steps, &FUNCTIONS),
            }
        });
    }
    lab
}

fn judged(lab: &Lab) -> Vec<Statement> {
    summarize(&lab.design, &lab.runs, &lab.trials, 1).paper
}

fn find<'a>(all: &'a [Statement], id: &str) -> &'a Statement {
    all.iter().find(|statement| statement.id == id).unwrap()
}

fn estimate(statement: &Statement, index: usize) -> f64 {
    statement.measured[index].figure.known().unwrap().estimate
}

/// One guest sends, and hogs are added: throughput falls; calls fall too, but rise once.
fn hogs() -> [Step; 4] {
    let step = |hogs: usize, bytes, calls, halt| Step {
        swing: 0.05 * (hogs + 1) as f64,
        shares: [15.0, 5.0, 70.0 - halt, halt],
        ..Step::of(1, hogs, bytes, calls)
    };
    [
        step(0, 100_000.0, 10_000.0, 40.0),
        step(1, 80_000.0, 8_000.0, 30.0),
        step(2, 60_000.0, 12_000.0, 20.0),
        step(3, 40_000.0, 4_000.0, 10.0),
    ]
}

#[test]
fn statements_about_hogs_by_hand() {
    let all = judged(&lab(GuestKind::Kvm, &hogs()));
    let yes = |id: &str, value: f64| {
        let statement = find(&all, id);
        assert_eq!(statement.agrees, Agreement::Yes, "{statement:?}");
        assert!((estimate(statement, 0) - value).abs() < 1e-6, "{statement:?}");
    };
    // 100, 80, 60, 40: -20 of 100 per hog.
    yes("throughput_falls_with_hogs", -20.0);
    // Swings of 5, 8, 9, 8 kB: (-1.5·5 - 0.5·8 + 0.5·9 + 1.5·8) / 5 = 1, of 5.
    yes("spread_grows_with_hogs", 20.0);
    // In per cent of the mean, 5, 10, 15, 20: each hog adds as much as there was without hogs.
    assert!((estimate(find(&all, "spread_grows_with_hogs"), 1) - 100.0).abs() < 1e-6);
    // 10, 8, 12, 4 over 0..3: (-1.5·10 - 0.5·8 + 0.5·12 + 1.5·4) / 5 = -1.4, of 10.
    yes("calls_fall_with_hogs", -14.0);
    yes("polling_falls_with_load", -10.0);
    // From 8 to 12 while throughput goes from 80 to 60; three steps share the 5 %.
    yes("odd_rise", 50.0);
    let rise = find(&all, "odd_rise");
    assert!((estimate(rise, 1) + 25.0).abs() < 1e-6);
    let notes = &rise.measured[0].figure.known().unwrap().notes;
    let [Note::Confidence { per_cent }] = notes[..] else { panic!("{notes:?}") };
    assert!((per_cent - (100.0 - 5.0 / 3.0)).abs() < 1e-9, "{per_cent}");
    yes("timestamps_tell_rtt", 1.0);
}

#[test]
fn swings_that_grow_only_against_a_falling_mean_are_no_growth() {
    let mut steps = hogs();
    steps.iter_mut().zip([0.1, 0.11, 0.12, 0.13]).for_each(|(step, swing)| step.swing = swing);
    let all = judged(&lab(GuestKind::Kvm, &steps));
    let spread = find(&all, "spread_grows_with_hogs");
    assert!(estimate(spread, 0) < 0.0 && estimate(spread, 1) > 0.0, "{spread:?}");
    assert_eq!(spread.agrees, Agreement::No);
}

#[test]
fn each_pattern_must_bear_out_the_share_of_the_four_functions() {
    let pattern = |senders, hogs, share| Step {
        shares: [share, 5.0, 40.0, 30.0],
        ..Step::of(senders, hogs, 100_000.0, 1000.0)
    };
    // Two patterns of the paper, and a section that is not one.
    let steps = [pattern(2, 0, 15.0), pattern(2, 4, 14.0), pattern(1, 4, 0.0)];
    let all = judged(&lab(GuestKind::Kvm, &steps));
    let found = find(&all, "four_functions_share");
    assert_eq!((found.measured.len(), found.agrees), (2, Agreement::Yes), "{found:?}");
    assert!((estimate(found, 1) - 89.0).abs() < 1e-9);
    // 95 and 80 are 87.5 on average.
    let steps = [pattern(2, 0, 19.0), pattern(2, 4, 5.0)];
    let all = judged(&lab(GuestKind::Kvm, &steps));
    assert_eq!(find(&all, "four_functions_share").agrees, Agreement::No);
    let all = judged(&lab(GuestKind::Kvm, &hogs()));
    let none = find(&all, "four_functions_share");
    assert_eq!(none.agrees, Agreement::NotInThisScenario);
    assert!(none.remarks[0].contains("paper-patterns"), "{none:?}");
}

#[test]
fn a_verdict_says_whether_blocks_or_one_run_decide() {
    let mut lab = lab(GuestKind::Kvm, &hogs());
    let of = |lab: &Lab, id: &str| find(&judged(lab), id).basis;
    assert_eq!(of(&lab, "throughput_falls_with_hogs"), Some(Basis::WithinRun));
    assert_eq!(of(&lab, "odd_rise"), Some(Basis::WithinRun));
    assert_eq!(of(&lab, "throughput_steady_over_senders"), None);
    lab.done(1, FIDELITY, "off", |measured| climb(measured, &hogs(), 4));
    assert_eq!(of(&lab, "throughput_falls_with_hogs"), Some(Basis::Blocks));
    // The profiler still has one block.
    assert_eq!(of(&lab, "polling_falls_with_load"), Some(Basis::WithinRun));
}

#[test]
fn the_papers_r_is_set_beside_its_own_tracers() {
    let mut steps = hogs();
    steps.iter_mut().for_each(|step| step.calls = step.bytes);
    let all = judged(&lab(GuestKind::Kvm, &steps));
    let found = find(&all, "r_calls_throughput");
    let ids: Vec<&str> = found.measured.iter().map(|beside| beside.method.0.as_str()).collect();
    assert_eq!(ids[..2], ["ftrace-function", "off"]);
    assert!((estimate(found, 0) - 1.0).abs() < 1e-9);
    assert_eq!(found.agrees, Agreement::No);
    assert_eq!(found.remarks[0], "off by +0.395");
    assert!(found.remarks[1].contains("3.0 in `1 sends, 3 hogs`"), "{found:?}");
    // Calls fall with throughput, step by step: no odd rise.
    assert_eq!(find(&all, "odd_rise").agrees, Agreement::No);
}

#[test]
fn statements_about_senders_by_hand() {
    let step = |senders, calls, share| Step {
        shares: [share, 5.0, 40.0, 30.0],
        ..Step::of(senders, 0, 100_000.0, calls)
    };
    let steps = [step(2, 1000.0, 20.0), step(4, 1100.0, 30.0), step(8, 1400.0, 50.0)];
    let all = judged(&lab(GuestKind::Kvm, &steps));
    let throughput = find(&all, "throughput_steady_over_senders");
    assert_eq!((throughput.agrees, estimate(throughput, 0)), (Agreement::Yes, 0.0));
    let calls = find(&all, "calls_steady_over_senders");
    assert_eq!(calls.agrees, Agreement::No);
    assert!((estimate(calls, 1) - 40.0).abs() < 1e-9, "{calls:?}");
    let alone = find(&all, "share_varies_alone");
    assert_eq!(alone.agrees, Agreement::Yes);
    assert!((estimate(alone, 0) - 150.0).abs() < 1e-9, "{alone:?}");
    let hogs = find(&all, "throughput_falls_with_hogs");
    assert_eq!(hogs.agrees, Agreement::NotInThisScenario);
    assert!(hogs.measured.is_empty());
}

#[test]
fn two_blocks_that_differ_much_leave_it_open() {
    let mut lab = lab(GuestKind::Bridge, &hogs());
    let mut other = hogs();
    other.iter_mut().for_each(|step| step.bytes = 50_000.0 + 1000.0 * step.hogs as f64);
    lab.done(1, FIDELITY, "off", |measured| climb(measured, &other, 4));
    let all = judged(&lab);
    let found = find(&all, "throughput_falls_with_hogs");
    // -20 and +2: two values so far apart do not show a sign.
    assert!((estimate(found, 0) + 9.0).abs() < 1e-6, "{found:?}");
    assert_eq!(found.agrees, Agreement::CannotTell);
}

#[test]
fn guests_without_tcp_have_no_statements() {
    assert!(judged(&lab(GuestKind::Blast, &hogs())).is_empty());
    let mut without = lab(GuestKind::Kvm, &hogs());
    without.trials.clear();
    assert!(judged(&without).is_empty());
}
