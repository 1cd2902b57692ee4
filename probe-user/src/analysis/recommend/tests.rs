//! Campaigns whose answer is known by hand.

use super::*;
use crate::{
    analysis::fixture::{Lab, exchanged, shows},
    model::{
        loss::Loss,
        trial::{Pace, Part},
        units::Nanos,
    },
};

const LOCKSTEP: (Part, Pace) = (Part::Toll, Pace::Lockstep);
const PACED: (Part, Pace) = (Part::Toll, Pace::Paced);
const FLAT: (Part, Pace) = (Part::Toll, Pace::Flat);
const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Flat);

const COUNT: &str = "bpf-fentry-count";
const TRACER: &str = "ftrace-function";
const PROFILER: &str = "perf-sample-999-callchain";

/// Costs of a method: ns per kick in each block, and ns of its reader in each trial.
type Costs<'a> = (&'a str, &'a [u64], u64);

/// Lockstep trials of 1000 kicks in 2 s each, under the control at 8000 ns per kick; and paced ones of which only the
/// reader takes time.
fn lab(platform: Platform, all: &[Costs<'_>]) -> Lab {
    let mut lab = Lab::new();
    lab.run(platform);
    for &(method, costs, reader) in all {
        for (block, cost) in (0..).zip(costs) {
            lab.done(block, LOCKSTEP, method, |measured| {
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

#[test]
fn the_cost_at_a_rate_by_hand() {
    let lab = lab(
        Platform::Native,
        &[off(2), (COUNT, &[400, 400], 4_000_000), (TRACER, &[600, 600], 500_000)],
    );
    let found = recommend(&campaign(lab), &at("300k/s"));
    // 400 ns, 300000 times a second: 12 % of a CPU; 4 ms of reading in 2 s, whatever the calls: 0.2 %.
    let count = &of(&found, COUNT).cost;
    assert!(close(count.parts["kernel"], 12.0) && close(count.parts["reader"], 0.2), "{count:?}");
    let all = count.cpu_pct.known().unwrap();
    assert!(close(all.estimate, 12.2) && all.n == 2, "{all:?}");
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
    // A rate needs lockstep trials, of which there are none.
    let found = recommend(&campaign, &Wanted { max_cpu_pct: Some(1.0), ..at("300k/s") });
    let Verdict::CannotTell { why, .. } = verdict(&found, COUNT, Criterion::Cpu) else { panic!() };
    assert!(why.contains("no lockstep toll trial"), "{why}");
}

#[test]
fn a_straddling_interval_says_how_many_blocks_are_missing() {
    // 100 and 300 in turn: mean 200, s = 115.4701, four blocks: half a width of 3.182446 · 115.4701/2 = 183.7386.
    let lab = lab(Platform::Native, &[off(4), (COUNT, &[100, 300, 100, 300], 0)]);
    let campaign = campaign(lab);
    let judged = |max| {
        let wanted = Wanted { max_cpu_pct: Some(max), ..at("100k/s") };
        recommend(&campaign, &wanted)
    };
    // 2 % ± 1.837 of a CPU, s = 1.1547. To end at 3: 2.4469 s/2.6458 = 1.068 of 7 blocks, 2.3646 s/2.8284 = 0.965 of 8: 4 more.
    let found = judged(3.0);
    assert_eq!(found.outcome, Standing::CannotTell);
    let Verdict::CannotTell { more_blocks, why } = verdict(&found, COUNT, Criterion::Cpu) else {
        panic!("{found:?}")
    };
    assert_eq!(*more_blocks, Some(4), "{why}");
    assert_eq!(judged(3.84).outcome, Standing::Qualifies);
    assert_eq!(judged(0.16).outcome, Standing::Disqualified);
    assert_eq!(judged(0.17).outcome, Standing::CannotTell);
}

#[test]
fn one_block_tells_nothing_of_a_limit() {
    let lab = lab(Platform::Native, &[off(1), (COUNT, &[400], 0), (TRACER, &[600], 0)]);
    let campaign = campaign(lab);
    let found = recommend(&campaign, &Wanted { max_cpu_pct: Some(90.0), ..at("100k/s") });
    assert_eq!((found.outcome, &found.best), (Standing::CannotTell, &None));
    let blocks =
        Verdict::CannotTell { why: "one block has no interval".into(), more_blocks: Some(9) };
    assert_eq!(*verdict(&found, COUNT, Criterion::Cpu), blocks);
    // Without a limit there is an order, which may be chance.
    let found = recommend(&campaign, &at("100k/s"));
    assert_eq!(ids(&found), [COUNT, TRACER]);
    assert_eq!(of(&found, TRACER).beside_the_first, Beside::NotComparable);
}

#[test]
fn nothing_qualifies_where_every_limit_is_broken() {
    let lab = lab(Platform::Native, &[off(2), (COUNT, &[400, 400], 0), (TRACER, &[600, 600], 0)]);
    let found = recommend(&campaign(lab), &Wanted { max_cpu_pct: Some(3.0), ..at("100k/s") });
    assert_eq!((found.outcome, &found.best), (Standing::Disqualified, &None));
    assert_eq!(ids(&found), [COUNT, TRACER]);
}

#[test]
fn the_control_and_what_observes_nothing_are_never_recommended() {
    let mut lab = lab(Platform::Native, &[off(2), (COUNT, &[0, 0], 0)]);
    lab.design.methods[1].class = Class::Nothing;
    let found = recommend(&campaign(lab), &Wanted::default());
    assert!(found.methods.is_empty() && found.best.is_none());
    assert_eq!(found.outcome, Standing::CannotTell);
}

#[test]
fn what_is_unknown_was_not_zero() {
    let judged = |lost: Loss, missed: Loss, max: f64| {
        let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
        lab.done(0, FLAT, TRACER, |measured| {
            measured.observation.recorded[0] = Some(9_950);
            measured.observation.lost = lost;
            measured.observation.missed = missed;
        });
        let wanted = Wanted { max_loss_pct: Some(max), ..Wanted::default() };
        let found = recommend(&campaign(lab), &wanted);
        (verdict(&found, TRACER, Criterion::Loss).clone(), of(&found, TRACER).losses.clone())
    };
    let (verdict, losses) = judged(Loss::NONE, Loss::NONE, 0.0);
    assert_eq!((verdict, losses.all.seen, losses.all.exact), (Verdict::Met, 11_950, true));
    let (verdict, losses) = judged(Loss::NONE, Loss::Unknown, 0.0);
    assert!(matches!(verdict, Verdict::CannotTell { more_blocks: None, .. }), "{verdict:?}");
    assert!(!losses.all.exact && losses.all.missed == Loss::Unknown);
    // 50 of 10000 are 0.5 %: beyond 0.4 whatever else was missed, and within 0.6 only if that is known.
    let (verdict, losses) = judged(Loss::Exact(50), Loss::Unknown, 0.4);
    assert!(matches!(verdict, Verdict::Broken { .. }), "{verdict:?}");
    let worst = losses.worst().unwrap();
    assert_eq!(worst.load, Load::Flat);
    assert!(close(worst.counts.known_pct.unwrap(), 0.5), "{losses:?}");
    assert!(matches!(judged(Loss::Exact(50), Loss::Unknown, 0.6).0, Verdict::CannotTell { .. }));
    assert!(matches!(judged(Loss::AtLeast(50), Loss::NONE, 0.6).0, Verdict::CannotTell { .. }));
    assert_eq!(judged(Loss::Exact(50), Loss::NONE, 0.5).0, Verdict::Met);
}

#[test]
fn calls_that_are_not_accounted_for_are_losses_and_a_contradiction_rules_out() {
    let judged = |recorded| {
        let mut lab = lab(Platform::Native, &[off(1)]);
        lab.done(0, LOCKSTEP, TRACER, |measured| {
            measured.sent.kicks = Some(1000);
            measured.observation.recorded[0] = Some(recorded);
            measured.observation.missed = Loss::Unknown;
        });
        let wanted = Wanted { max_loss_pct: Some(0.0), ..Wanted::default() };
        recommend(&campaign(lab), &wanted)
    };
    let found = judged(990);
    assert_eq!(of(&found, TRACER).losses.all.unaccounted, 10);
    assert!(matches!(verdict(&found, TRACER, Criterion::Loss), Verdict::Broken { .. }));
    let found = judged(1010);
    let Verdict::Broken { why } = verdict(&found, TRACER, Criterion::Sound) else { panic!() };
    assert!(why.contains("+10"), "{why}");
}

/// Three blocks of fidelity on `platform`: the tracer shows more than the counter, which is cheaper.
fn ordered(platform: Platform) -> Campaign {
    let mut lab =
        lab(platform, &[off(3), (COUNT, &[400, 401, 402], 0), (TRACER, &[600, 601, 602], 0)]);
    for block in 0..3_u32 {
        for (method, exchanges) in [("off", 0), (COUNT, 2), (TRACER, 0)] {
            let shown = exchanged(exchanges + usize::from(block == 2));
            lab.done(block, FIDELITY, method, |measured| {
                shows(measured, &exchanged(0), (method != "off").then_some((&shown, 1.0)));
            });
        }
    }
    campaign(lab)
}

#[test]
fn emulation_orders_by_fidelity_and_judges_no_cost() {
    let native = recommend(&ordered(Platform::Native), &at("100k/s"));
    assert_eq!((ids(&native), native.ranked_by), (vec![COUNT, TRACER], RankedBy::Cpu));
    for platform in [Platform::Counted, Platform::Emulated] {
        let campaign = ordered(platform);
        let found = recommend(&campaign, &at("100k/s"));
        assert_eq!((ids(&found), found.ranked_by), (vec![TRACER, COUNT], RankedBy::Fidelity));
        assert_eq!(found.best.as_ref().unwrap().0, TRACER);
        let limited = Wanted { max_cpu_pct: Some(50.0), ..at("100k/s") };
        let found = recommend(&campaign, &limited);
        assert_eq!((ids(&found), found.outcome), (vec![TRACER, COUNT], Standing::CannotTell));
        let accepted = Wanted { accept_emulated: true, ..limited };
        let found = recommend(&campaign, &accepted);
        assert_eq!((ids(&found), found.ranked_by), (vec![COUNT, TRACER], RankedBy::Cpu));
        assert_eq!(found.outcome, Standing::Qualifies);
    }
}

#[test]
fn the_correlation_must_be_left_and_what_is_no_call_says_nothing_of_it() {
    let mut campaign = ordered(Platform::Native);
    let wanted = Wanted { min_r_retained: Some(0.5), ..Wanted::default() };
    let found = recommend(&campaign, &wanted);
    assert_eq!(*verdict(&found, TRACER, Criterion::RRetained), Verdict::Met);
    // It saw frames, which stand behind the two functions.
    for trial in campaign.trials.iter_mut().filter(|trial| trial.method.0 == TRACER) {
        let crate::model::trial::Outcome::Done(measured) = &mut trial.outcome else { panic!() };
        measured.observation.recorded = vec![None, None, Some(1000)];
    }
    let wanted = Wanted { needs: vec![Gives::Counts], ..wanted };
    let found = recommend(&campaign, &wanted);
    let frames = of(&found, TRACER);
    assert_eq!(frames.shows_instead.as_deref(), Some("frames"));
    assert!(matches!(verdict(&found, TRACER, Criterion::RRetained), Verdict::CannotTell { .. }));
    let Verdict::Broken { why } = verdict(&found, TRACER, Criterion::Need(Gives::Counts)) else {
        panic!()
    };
    assert!(why.contains("frames"), "{why}");
}

#[test]
fn a_method_gives_what_it_says() {
    let mut lab = lab(
        Platform::Native,
        &[
            off(2),
            (COUNT, &[400, 400], 0),
            (TRACER, &[600, 600], 0),
            (PROFILER, &[9, 9], 0),
            ("perf-kprobe-record-10", &[90, 90], 0),
        ],
    );
    lab.design.methods[1].durations = true;
    let campaign = campaign(lab);
    let standing = |needs: &[Gives]| {
        let wanted = Wanted { needs: needs.to_vec(), ..Wanted::default() };
        let found = recommend(&campaign, &wanted);
        let fit = found.methods.iter().filter(|one| one.standing == Standing::Qualifies);
        let mut fit: Vec<String> = fit.map(|one| one.method.0.clone()).collect();
        fit.sort();
        fit
    };
    // One call in ten stands for ten: that counts none.
    assert_eq!(standing(&[Gives::Counts]), [COUNT, TRACER]);
    assert_eq!(standing(&[Gives::Timestamps]), [TRACER]);
    assert_eq!(standing(&[Gives::Counts, Gives::Latency]), [COUNT]);
    assert_eq!(standing(&[Gives::Shares]), [PROFILER]);
    assert!(standing(&[Gives::Shares, Gives::Counts]).is_empty());
}

#[test]
fn what_was_not_measured_says_what_would_measure_it() {
    let lab = lab(Platform::Native, &[off(2), (COUNT, &[400, 400], 0)]);
    let campaign = campaign(lab);
    let wanted = Wanted {
        min_r_retained: Some(0.95),
        max_throughput_loss_pct: Some(1.0),
        ..Wanted::default()
    };
    let found = recommend(&campaign, &wanted);
    let why = |criterion| match verdict(&found, COUNT, criterion) {
        Verdict::CannotTell { why, more_blocks: None } => why,
        other => panic!("{other:?}"),
    };
    let why_fidelity = why(Criterion::RRetained);
    assert!(why_fidelity.contains("`tracetoll run --parts fidelity`"), "{why_fidelity}");
    assert_eq!(why(Criterion::ThroughputLoss), "the campaign has no flat-out toll trial of off");
}

#[test]
fn a_method_whose_trials_all_failed_is_not_recommended() {
    let mut lab = lab(Platform::Native, &[off(2)]);
    lab.failed(0, LOCKSTEP, COUNT, "EPERM");
    let campaign = campaign(lab);
    let found = recommend(&campaign, &Wanted::default());
    assert_eq!((found.outcome, &found.best), (Standing::CannotTell, &None));
    let limited = Wanted { max_cpu_pct: Some(1.0), ..Wanted::default() };
    let checks = |found: &Recommendation| {
        let all = of(found, COUNT).checks.iter();
        all.map(|check| check.of).collect::<Vec<_>>()
    };
    // Its figures are not there for this one reason.
    assert_eq!(checks(&recommend(&campaign, &limited)), [Criterion::Sound]);
}

#[test]
fn a_method_that_recorded_nothing_is_not_recommended() {
    let mut lab = lab(Platform::Native, &[off(2), (COUNT, &[0, 0], 0), (TRACER, &[600, 600], 0)]);
    for trial in lab.trials.iter_mut().filter(|trial| trial.method.0 == COUNT) {
        let crate::model::trial::Outcome::Done(measured) = &mut trial.outcome else { panic!() };
        measured.observation.recorded = vec![None, None];
    }
    let found = recommend(&campaign(lab), &at("100k/s"));
    assert_eq!(found.best.as_ref().unwrap().0, TRACER);
    let Verdict::CannotTell { why, more_blocks: None } = verdict(&found, COUNT, Criterion::Sound)
    else {
        panic!("{found:?}")
    };
    assert_eq!(why, "it recorded nothing");
}

#[test]
fn a_method_that_failed_the_check_against_the_truth_is_not_recommended() {
    let mut lab =
        lab(Platform::Native, &[off(3), (COUNT, &[400, 400], 0), (TRACER, &[600, 600], 0)]);
    lab.failed(2, LOCKSTEP, COUNT, "1000 hits of handle_tx, but 900 seen");
    let found = recommend(&campaign(lab), &at("100k/s"));
    assert_eq!(found.best.as_ref().unwrap().0, TRACER);
    let Verdict::CannotTell { why, .. } = verdict(&found, COUNT, Criterion::Sound) else {
        panic!("{found:?}")
    };
    assert_eq!(why, "1 of 5 trials failed: 1000 hits of handle_tx, but 900 seen");
    assert_eq!((of(&found, COUNT).trials, of(&found, COUNT).failed_trials), (5, 1));
}

#[test]
fn only_intervals_of_the_same_thing_are_compared() {
    let two = [(COUNT, &[400, 410][..], 0), (TRACER, &[405, 415][..], 0)];
    let beside = |campaign: &Campaign| {
        let found = recommend(campaign, &at("100k/s"));
        of(&found, TRACER).beside_the_first
    };
    let same = campaign(lab(Platform::Native, &[off(2), two[0], two[1]]));
    assert_eq!(beside(&same), Beside::Alike);
    // One block has no interval, and frames are no calls.
    let one = (TRACER, &[455][..], 0);
    assert_eq!(
        beside(&campaign(lab(Platform::Native, &[off(2), two[0], one]))),
        Beside::NotComparable
    );
    let mut frames = same;
    for trial in frames.trials.iter_mut().filter(|trial| trial.method.0 == TRACER) {
        let crate::model::trial::Outcome::Done(measured) = &mut trial.outcome else { panic!() };
        measured.observation.recorded = vec![None, None, Some(1000)];
    }
    assert_eq!(beside(&frames), Beside::NotComparable);
}

#[test]
fn more_than_all_of_the_correlation_is_all_of_it_in_the_comparison_too() {
    let figure = |lo, estimate, hi| {
        Figure::Known(crate::model::figure::Estimate {
            estimate,
            lo: Some(lo),
            hi: Some(hi),
            n: 3,
            detectable: None,
            platform: Platform::Emulated,
            p: None,
            notes: Vec::new(),
        })
    };
    let mut methods = recommend(&ordered(Platform::Emulated), &Wanted::default()).methods;
    methods[0].r_retained = figure(1.02, 1.04, 1.06);
    methods[1].r_retained = figure(1.0, 1.005, 1.01);
    order::arrange(&mut methods, false);
    assert_eq!(methods[1].beside_the_first, Beside::Alike);
}

#[test]
fn the_worst_load_is_judged_and_named() {
    // 50 of 100 flat out are half, however many were seen at other loads.
    let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
    lab.done(0, FLAT, TRACER, |measured| {
        measured.observation.recorded[0] = Some(50);
        measured.observation.lost = Loss::Exact(50);
    });
    let found = recommend(&campaign(lab), &Wanted { max_loss_pct: Some(5.0), ..Wanted::default() });
    let Verdict::Broken { why } = verdict(&found, TRACER, Criterion::Loss) else {
        panic!("{found:?}")
    };
    assert_eq!(why, "flat out, 50 of 100 were lost or missed");
}

#[test]
fn exact_numbers_in_lockstep_show_that_nothing_was_missed() {
    let judged = |paced: Loss| {
        let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
        for trial in lab.trials.iter_mut().filter(|trial| trial.method.0 == TRACER) {
            let crate::model::trial::Outcome::Done(measured) = &mut trial.outcome else { panic!() };
            let lockstep = trial.pace == Pace::Lockstep;
            measured.observation.missed = if lockstep { Loss::Unknown } else { paced };
        }
        let wanted = Wanted { max_loss_pct: Some(0.0), ..Wanted::default() };
        verdict(&recommend(&campaign(lab), &wanted), TRACER, Criterion::Loss).clone()
    };
    assert_eq!(judged(Loss::NONE), Verdict::Met);
    let Verdict::CannotTell { why, .. } = judged(Loss::Unknown) else { panic!() };
    assert_eq!(why, "the kernel does not tell all that it missed at the paced load");
}

#[test]
fn a_rate_beyond_the_measured_one_says_nothing_of_losses() {
    // 1000 calls in 2 s.
    let lab = lab(Platform::Native, &[off(2), (TRACER, &[600, 600], 0)]);
    let campaign = campaign(lab);
    let judged = |rate| {
        let wanted = Wanted { max_loss_pct: Some(0.0), ..at(rate) };
        verdict(&recommend(&campaign, &wanted), TRACER, Criterion::Loss).clone()
    };
    assert_eq!(judged("500/s"), Verdict::Met);
    let Verdict::CannotTell { why, .. } = judged("300k/s") else { panic!() };
    assert!(why.contains("up to 500 calls per second, not at 300k/s"), "{why}");
}

#[test]
fn one_worker_has_no_more_than_one_cpu() {
    let lab = lab(Platform::Native, &[off(2), (TRACER, &[600, 600], 0)]);
    let campaign = campaign(lab);
    let judged = |rate| {
        let wanted = Wanted { max_cpu_pct: Some(200.0), ..at(rate) };
        verdict(&recommend(&campaign, &wanted), TRACER, Criterion::Cpu).clone()
    };
    // 60 % and 120 %.
    assert_eq!(judged("1M/s"), Verdict::Met);
    let Verdict::CannotTell { why, .. } = judged("2M/s") else { panic!() };
    assert!(why.contains("cannot be had from one worker"), "{why}");
}

#[test]
fn what_the_scenario_lacks_takes_a_campaign_of_its_own() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    lab.design.scenario.toll = None;
    for (method, shown) in [("off", None), (COUNT, Some(exchanged(0)))] {
        lab.done(0, FIDELITY, method, |measured| {
            shows(measured, &exchanged(0), shown.as_deref().map(|shown| (shown, 1.0)));
        });
    }
    let wanted = Wanted { max_throughput_loss_pct: Some(1.0), ..Wanted::default() };
    let found = recommend(&campaign(lab), &wanted);
    let Verdict::CannotTell { why, .. } = verdict(&found, COUNT, Criterion::ThroughputLoss) else {
        panic!("{found:?}")
    };
    assert!(why.contains("a campaign of its own"), "{why}");
}
