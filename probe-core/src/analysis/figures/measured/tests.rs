//! Tests of the overhead, with results computed by hand.

use super::*;
use crate::analysis::figures::table::{
    AFTER_S_PER_S, KERNEL_NS_PER_EVENT, READER_CPU_PCT, SYSTEM_CPU_PCT, THROUGHPUT_PCT,
    WORKER_CPU_PCT,
};
use crate::{
    analysis::fixture::Lab,
    model::{
        figure::{Estimate, Figure, Platform},
        method::MethodId,
        note::Note,
        reason::TrialKind,
        trial::Part,
        units::Nanos,
    },
};

const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);
const PACED: (Part, Pace) = (Part::Overhead, Pace::Paced);
const SATURATED: (Part, Pace) = (Part::Overhead, Pace::Saturated);
const COUNT: &str = "bpf-fentry-count";

fn closed_loop(lab: &mut Lab, block: u32, method: &str, ns_per_kick: u64) {
    lab.done(block, CLOSED_LOOP, method, |measured| {
        measured.sent.kicks = Some(1000);
        // Two workers: their times are added.
        measured.cpu.workers = vec![Nanos(1000), Nanos(ns_per_kick * 1000 - 1000)];
    });
}

fn overhead(lab: &Lab, method: &str) -> Figures {
    super::overhead(&lab.trials(), lab.method(method), true, 1)
}

fn known(figure: &Figure) -> &Estimate {
    figure.known().unwrap_or_else(|| panic!("{figure:?}"))
}

fn why(figure: &Figure) -> &Reason {
    match figure {
        Figure::Null(absent) => &absent.why,
        Figure::Known(estimate) => panic!("{estimate:?}"),
    }
}

#[test]
fn kernel_ns_per_event_is_the_mean_of_paired_differences() {
    let mut lab = Lab::new();
    lab.run(Platform::Counted);
    // From block to block the base varies by far more than the method costs.
    for (block, (off, method)) in
        [(8000, 8490), (9000, 9500), (7000, 7510), (8500, 9000)].iter().enumerate()
    {
        let block = u32::try_from(block).unwrap();
        closed_loop(&mut lab, block, COUNT, *method);
        closed_loop(&mut lab, block, "off", *off);
    }
    let figures = overhead(&lab, COUNT);
    let found = known(figures.of(KERNEL_NS_PER_EVENT));
    // 490, 500, 510, 500: s = 8.16497, s/√4 = 4.08248, t[0.975, 3] = 3.18245, t[0.8, 3] = 0.97847.
    assert_eq!((found.estimate, found.n, found.platform), (500.0, 4, Platform::Counted));
    assert!((found.lo.unwrap() - (500.0 - 12.9923)).abs() < 1e-3, "{found:?}");
    assert!((found.hi.unwrap() - (500.0 + 12.9923)).abs() < 1e-3, "{found:?}");
    assert!((found.detectable.unwrap() - 16.9869).abs() < 1e-3, "{found:?}");
    assert!(found.p.unwrap() < 0.001 && found.notes.is_empty(), "{found:?}");
}

#[test]
fn one_pair_gives_a_number_without_interval() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    closed_loop(&mut lab, 0, "off", 8000);
    closed_loop(&mut lab, 0, COUNT, 8200);
    let found = overhead(&lab, COUNT).of(KERNEL_NS_PER_EVENT).clone();
    let found = known(&found);
    assert_eq!((found.estimate, found.lo, found.hi, found.n), (200.0, None, None, 1));
    assert_eq!((found.detectable, found.p), (None, None));
    assert_eq!(found.notes, [Note::OneTrial]);
}

#[test]
fn a_failed_partner_takes_its_pair_away_and_blocks_are_never_crossed() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for block in 0..3 {
        closed_loop(&mut lab, block, COUNT, 8000 + 100 * u64::from(block));
    }
    closed_loop(&mut lab, 1, "off", 8000);
    closed_loop(&mut lab, 2, "off", 8000);
    lab.failed(0, CLOSED_LOOP, "off", "no /dev/vhost-net");
    let figures = overhead(&lab, COUNT);
    let found = known(figures.of(KERNEL_NS_PER_EVENT));
    assert_eq!((found.estimate, found.n), (150.0, 2));
    assert_eq!(found.notes, [Note::BlocksMissing { missing: 1, blocks: 3 }]);
    // The same block number on another machine is another block.
    lab.run(Platform::Native);
    closed_loop(&mut lab, 0, "off", 1);
    let figures = overhead(&lab, COUNT);
    assert_eq!(known(figures.of(KERNEL_NS_PER_EVENT)).estimate, 150.0);
}

#[test]
fn without_any_pair_the_reason_is_the_first_failure() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    closed_loop(&mut lab, 0, "off", 8000);
    lab.failed(0, CLOSED_LOOP, COUNT, "EPERM");
    let figures = overhead(&lab, COUNT);
    let trials = |pace| TrialKind { part: Part::Overhead, pace: Some(pace) };
    let failed = Reason::AllFailed {
        trials: trials(Pace::ClosedLoop),
        method: MethodId(COUNT.into()),
        first: "EPERM".into(),
    };
    assert_eq!(*why(figures.of(KERNEL_NS_PER_EVENT)), failed);
    let none = Reason::NoTrial { trials: trials(Pace::Saturated), method: MethodId("off".into()) };
    assert_eq!(*why(figures.of(THROUGHPUT_PCT)), none);
}

#[test]
fn clocks_are_never_mixed_and_counted_goes_before_emulated() {
    let mut lab = Lab::new();
    for (platform, cost) in [(Platform::Emulated, 5000), (Platform::Counted, 200)] {
        lab.run(platform);
        closed_loop(&mut lab, 0, "off", 8000);
        closed_loop(&mut lab, 0, COUNT, 8000 + cost);
    }
    let figures = overhead(&lab, COUNT);
    let found = known(figures.of(KERNEL_NS_PER_EVENT));
    assert_eq!((found.estimate, found.platform, found.n), (200.0, Platform::Counted, 1));
    assert!(found.notes.contains(&Note::OtherClocks), "{found:?}");
}

#[test]
fn fixed_load_figures_by_hand() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for block in 0..2 {
        let base = 100 + u64::from(block);
        for (method, worker, reader, system) in
            [("off", base, 0, 1000), (COUNT, base * 11 / 10, 20, 1100)]
        {
            lab.done(block, PACED, method, |measured| {
                measured.sent.frames = 10_000;
                measured.cpu.workers = vec![Nanos(worker * 1_000_000)];
                measured.cpu.reader = Nanos(reader * 1_000_000);
                measured.cpu.after = Nanos(reader * 3_000_000);
                measured.cpu.system = Nanos(system * 1_000_000);
            });
        }
    }
    let figures = overhead(&lab, COUNT);
    // 110/100 and 111/101: the geometric mean of the ratios.
    let worker = 100.0 * ((1.1_f64 * 111.0 / 101.0).sqrt() - 1.0);
    assert!((known(figures.of(WORKER_CPU_PCT)).estimate - worker).abs() < 1e-9);
    // 60 ms afterwards, of 2 s.
    assert!((known(figures.of(AFTER_S_PER_S)).estimate - 0.03).abs() < 1e-9, "{figures:?}");
    // 20 ms of 2 s in each trial: no scatter.
    let reader = known(figures.of(READER_CPU_PCT));
    assert_eq!((reader.estimate, reader.lo, reader.hi), (1.0, Some(1.0), Some(1.0)));
    assert_eq!(reader.p, None);
    // 1.1 s against 1.0 s of 2 CPUs times 2 s.
    let system = known(figures.of(SYSTEM_CPU_PCT));
    assert!((system.estimate - 2.5).abs() < 1e-9 && system.notes.is_empty(), "{system:?}");
}

#[test]
fn a_load_that_was_not_held_is_told() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for (method, frames) in [("off", 10_000), (COUNT, 9_800)] {
        lab.done(0, PACED, method, |measured| {
            measured.sent.frames = frames;
            measured.cpu.workers = vec![Nanos(frames * 1000)];
        });
    }
    let found = overhead(&lab, COUNT).of(WORKER_CPU_PCT).clone();
    let told = Note::LoadDiffered { beyond_pct: 1.0, pairs: 1, of: 1 };
    assert!(known(&found).notes.contains(&told), "{found:?}");
    assert!(known(&found).estimate.abs() < 1e-9);
}

#[test]
fn throughput_is_a_ratio_of_what_arrived_per_second_in_whole_bins() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for block in 0..3 {
        // 10 bytes per ns against 9, plus what was left in the rings.
        for (method, bytes, width, left) in [("off", 1000, 100, 7), (COUNT, 1350, 150, 999)] {
            lab.done(block, SATURATED, method, |measured| {
                measured.throughput = vec![bytes, bytes, left];
                measured.edges = [0, width, 2 * width, 2 * width + 3].map(Nanos).to_vec();
            });
        }
    }
    let found = overhead(&lab, COUNT).of(THROUGHPUT_PCT).clone();
    assert!((known(&found).estimate + 10.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn nothing_counted_is_no_zero() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for method in ["off", COUNT] {
        lab.done(0, CLOSED_LOOP, method, |_| {});
    }
    let found = overhead(&lab, COUNT).of(KERNEL_NS_PER_EVENT).clone();
    assert_eq!(*why(&found), Reason::NothingCounted);
}

#[test]
fn the_control_and_profilers_have_no_cost_per_event() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for method in ["off", "perf-sample-999-callchain"] {
        closed_loop(&mut lab, 0, method, 8000);
    }
    assert_eq!(*why(overhead(&lab, "off").of(KERNEL_NS_PER_EVENT)), Reason::Baseline);
    let profiler = overhead(&lab, "perf-sample-999-callchain").of(KERNEL_NS_PER_EVENT).clone();
    assert_eq!(*why(&profiler), Reason::NoCostPerCall);
    closed_loop(&mut lab, 0, COUNT, 8100);
    let elsewhere = super::overhead(&lab.trials(), lab.method(COUNT), false, 1);
    let elsewhere = elsewhere.of(KERNEL_NS_PER_EVENT);
    assert_eq!(*why(elsewhere), Reason::NotInTarget { function: "handle_tx".into() });
}
