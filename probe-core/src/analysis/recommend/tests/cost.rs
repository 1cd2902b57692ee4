//! CPU time.

use super::*;

#[test]
fn the_cost_at_a_rate_by_hand() {
    let lab = lab(
        Platform::Native,
        &[off(4), (COUNT, &[400; 4], 4_000_000), (TRACER, &[600; 4], 500_000)],
    );
    let found = recommend(&campaign(lab), &at("300k/s"));
    // 400 ns, 300000 times a second: 12 % of a CPU; 4 ms of reading in 2 s, whatever the calls: 0.2
    // %.
    let count = &of(&found, COUNT).cost;
    assert!(close(count.parts["kernel"], 12.0) && close(count.parts["reader"], 0.2), "{count:?}");
    let all = count.cpu_pct.known().unwrap();
    assert!(close(all.estimate, 12.2) && all.n == 4, "{all:?}");
    assert!(close(all.lo.unwrap(), 12.2) && close(all.hi.unwrap(), 12.2), "{all:?}");
    // 600 ns: 18 %; 500 ns of reading per call, which go with the calls: 15 %.
    let tracer = &of(&found, TRACER).cost;
    assert!(
        close(tracer.parts["kernel"], 18.0) && close(tracer.parts["reader"], 15.0),
        "{tracer:?}"
    );
    assert!(close(tracer.cpu_pct.known().unwrap().estimate, 33.0), "{tracer:?}");
    // 1000 kicks in 2 s.
    assert_eq!(tracer.measured_per_s, Some(500.0));
    let scaled = Way::Scaled { calls_per_s: 300_000.0, reader_per_call: true };
    assert_eq!(tracer.way, scaled);
    assert_eq!((found.best.as_ref().unwrap().0.as_str(), found.ranked_by), (COUNT, RankedBy::Cpu));
    assert_eq!(of(&found, TRACER).beside_the_first, Beside::Behind);
}

#[test]
fn the_cost_at_the_paced_load_by_hand() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for (method, ns, reader, system) in
        [("off", 10_000, 0, 100), (COUNT, 10_500, 2, 112), (PROFILER, 10_100, 6, 130)]
    {
        for block in 0..2 {
            lab.done(block, PACED, method, |measured| {
                measured.sent.frames = 10_000;
                measured.cpu.workers[0] = Nanos(ns * 10_000);
                measured.cpu.reader = Nanos(reader * 1_000_000);
                measured.cpu.after = Nanos(if reader > 0 { 10_000_000 } else { 0 });
                measured.cpu.system = Nanos(system * 1_000_000);
            });
        }
    }
    let campaign = campaign(lab);
    // 500 ns for 5000 frames a second, 2 ms and 10 ms of 2 s: 0.25 + 0.1 + 0.5.
    let found = recommend(&campaign, &Wanted::default());
    let count = &of(&found, COUNT).cost;
    assert!(close(count.cpu_pct.known().unwrap().estimate, 0.85), "{count:?}");
    // 30 ms of 2 s on any CPU, its reader among them, and 10 ms afterwards: 1.5 + 0.5, at any rate.
    for wanted in [Wanted::default(), at("300k/s")] {
        let found = recommend(&campaign, &wanted);
        let profiler = &of(&found, PROFILER).cost;
        assert!(close(profiler.cpu_pct.known().unwrap().estimate, 2.0), "{profiler:?}");
        assert_eq!(profiler.way, Way::Profiler);
    }
    // A rate needs closed-loop trials, of which there are none.
    let found = recommend(&campaign, &Wanted { max_cpu_pct: Some(1.0), ..at("300k/s") });
    let Verdict::CannotTell { why, .. } = verdict(&found, COUNT, Criterion::Cpu) else { panic!() };
    let Doubt::Absent(Reason::NoTrial { trials, .. }) = why else { panic!("{why:?}") };
    assert_eq!(trials.pace, Some(Pace::ClosedLoop));
}

#[test]
fn one_worker_has_no_more_than_one_cpu() {
    let lab = lab(Platform::Native, &[off(4), (TRACER, &[600; 4], 0)]);
    let campaign = campaign(lab);
    let judged = |rate| {
        let wanted = Wanted { max_cpu_pct: Some(200.0), ..at(rate) };
        verdict(&recommend(&campaign, &wanted), TRACER, Criterion::Cpu).clone()
    };
    // 60 % and 120 %.
    assert_eq!(judged("1M/s"), Verdict::Met);
    let Verdict::CannotTell { why: Doubt::Text(why), .. } = judged("2M/s") else { panic!() };
    assert!(why.contains("cannot be had from one worker"), "{why}");
}

#[test]
fn what_closed_loop_and_paced_trials_of_a_block_say_is_added_up_within_it() {
    let mut lab = lab(Platform::Native, &[off(3), (COUNT, &[90, 95, 100], 0)]);
    // Of 2 s: 1, 1.5 and 2 %.
    edit(&mut lab, COUNT, |block, measured| {
        measured.cpu.reader = Nanos((20 + 10 * u64::from(block)) * 1_000_000);
    });
    let found = recommend(&campaign(lab), &at("1M/s"));
    let cpu = of(&found, COUNT).cost.cpu_pct.known().unwrap().clone();
    // 10, 11 and 12: s = 1, t[0.975, 2] = 4.30265, over √3.
    assert!(close(cpu.estimate, 11.0) && cpu.n == 3, "{cpu:?}");
    assert!((cpu.lo.unwrap() - (11.0 - 2.48414)).abs() < 1e-4, "{cpu:?}");
    assert!((cpu.hi.unwrap() - (11.0 + 2.48414)).abs() < 1e-4, "{cpu:?}");
}

#[test]
fn a_block_without_one_of_its_parts_is_left_out_and_that_is_said() {
    let mut lab = lab(Platform::Native, &[off(3), (COUNT, &[90, 95, 100], 0)]);
    lab.trials.retain(|trial| {
        (trial.method.0.as_str(), trial.block, trial.pace) != (COUNT, 1, Pace::Paced)
    });
    let campaign = campaign(lab);
    let cpu = of(&recommend(&campaign, &at("1M/s")), COUNT).cost.cpu_pct.known().unwrap().clone();
    assert!(close(cpu.estimate, 9.5) && cpu.n == 2, "{cpu:?}");
    assert!(cpu.notes.contains(&Note::BlocksMissing { missing: 1, blocks: 3 }), "{cpu:?}");
}
