//! What rules a method out, and what leaves it open.

use super::*;
use crate::model::{counter::Counted, method::SeriesUnit};

#[test]
fn a_straddling_interval_says_how_many_blocks_are_missing() {
    // 100 and 300 in turn: mean 200, s = 115.4701, four blocks: half a width of 3.182446 ·
    // 115.4701/2 = 183.7386.
    let lab = lab(Platform::Native, &[off(4), (COUNT, &[100, 300, 100, 300], 0)]);
    let campaign = campaign(lab);
    let judged = |max| {
        let wanted = Wanted { max_cpu_pct: Some(max), ..at("100k/s") };
        recommend(&campaign, &wanted)
    };
    // 2 % ± 1.837 of a CPU, s = 1.1547. To end at 3: 2.4469 s/2.6458 = 1.068 of 7 blocks, 2.3646
    // s/2.8284 = 0.965 of 8: 4 more.
    let found = judged(3.0);
    assert_eq!(found.outcome, Standing::CannotTell);
    let Verdict::CannotTell { more_blocks, why } = verdict(&found, COUNT, Criterion::Cpu) else {
        panic!("{found:?}")
    };
    assert_eq!(*more_blocks, Some(4), "{why:?}");
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
    let blocks = Verdict::CannotTell {
        why: "a verdict takes 4 blocks or more".into(),
        more_blocks: Some(3),
    };
    assert_eq!(*verdict(&found, COUNT, Criterion::Cpu), blocks);
    // Without a limit there is an order, which may be chance.
    let found = recommend(&campaign, &at("100k/s"));
    assert_eq!(ids(&found), [COUNT, TRACER]);
    assert_eq!(of(&found, TRACER).beside_the_first, Beside::NotComparable);
}

#[test]
fn nothing_qualifies_where_every_limit_is_broken() {
    let lab = lab(Platform::Native, &[off(4), (COUNT, &[400; 4], 0), (TRACER, &[600; 4], 0)]);
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
fn a_correlation_below_zero_is_kept_like_one_above() {
    let wanted = Wanted { min_r_retained: Some(0.5), ..Wanted::default() };
    let mut mirrored = ordered(Platform::Native);
    let methods: Vec<String> =
        mirrored.design.methods.iter().map(|method| method.id.0.clone()).collect();
    for method in &methods {
        edit(&mut mirrored, method, |_, measured| {
            let most = measured.throughput.iter().copied().max().unwrap_or_default();
            measured.throughput.iter_mut().for_each(|bytes| *bytes = most - *bytes);
        });
    }
    let found = recommend(&campaign(mirrored), &wanted);
    assert_eq!(*verdict(&found, TRACER, Criterion::RRetained), Verdict::Met);
}

#[test]
fn the_correlation_must_be_left_and_what_is_no_call_says_nothing_of_it() {
    let wanted = Wanted { min_r_retained: Some(0.5), ..Wanted::default() };
    let found = recommend(&campaign(ordered(Platform::Native)), &wanted);
    assert_eq!(*verdict(&found, TRACER, Criterion::RRetained), Verdict::Met);
    // It saw frames, which stand behind the two functions.
    let mut frames = ordered(Platform::Native);
    edit(&mut frames, TRACER, |_, measured| {
        measured.observation.recorded = vec![None, None, Some(1000)].into();
    });
    let wanted = Wanted { needs: vec![Gives::Counts], ..wanted };
    let found = recommend(&campaign(frames), &wanted);
    let frames = of(&found, TRACER);
    assert_eq!(frames.shows_instead.as_deref(), Some("frames"));
    assert!(matches!(verdict(&found, TRACER, Criterion::RRetained), Verdict::CannotTell { .. }));
    let Verdict::Broken { why } = verdict(&found, TRACER, Criterion::Need(Gives::Counts)) else {
        panic!()
    };
    assert!(why.contains("frames"), "{why}");
}

#[test]
fn a_counter_has_nothing_to_lose_and_gives_no_calls() {
    let mut counter = ordered(Platform::Native);
    edit(&mut counter, TRACER, |_, measured| {
        measured.observation.recorded = vec![None, None, None].into();
    });
    let tracer = counter.design.methods.iter_mut().find(|method| method.id.0 == TRACER).unwrap();
    tracer.class = Class::Inferred;
    tracer.unit = SeriesUnit::Counter { of: Counted::RunTime };
    let wanted = Wanted { max_loss_pct: Some(0.0), ..Wanted::default() };
    let found = recommend(&campaign(counter), &wanted);
    assert_eq!(of(&found, TRACER).standing, Standing::Qualifies);
    assert_eq!(of(&found, TRACER).shows_instead.as_deref(), Some("ns of worker run time"));
    assert_eq!(*verdict(&found, TRACER, Criterion::Loss), Verdict::Met);
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
    let Doubt::Text(text) = why(Criterion::RRetained) else { panic!("{found:?}") };
    assert!(text.contains("`tracetoll run --parts fidelity`"), "{text}");
    let trials = TrialKind { part: Part::Overhead, pace: Some(Pace::Saturated) };
    let reason = Reason::NoTrial { trials, method: MethodId(MethodId::OFF.into()) };
    assert_eq!(*why(Criterion::ThroughputLoss), Doubt::Absent(reason));
}

#[test]
fn a_method_whose_trials_all_failed_is_not_recommended() {
    let mut lab = lab(Platform::Native, &[off(2)]);
    lab.failed(0, CLOSED_LOOP, COUNT, "EPERM");
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
    edit(&mut lab, COUNT, |_, measured| measured.observation.recorded = vec![None, None].into());
    let found = recommend(&campaign(lab), &at("100k/s"));
    assert_eq!(found.best.as_ref().unwrap().0, TRACER);
    let Verdict::CannotTell { why, more_blocks: None } = verdict(&found, COUNT, Criterion::Sound)
    else {
        panic!("{found:?}")
    };
    assert_eq!(*why, "it recorded nothing".into());
}

#[test]
fn a_method_that_failed_the_check_against_the_truth_is_not_recommended() {
    let mut lab =
        lab(Platform::Native, &[off(3), (COUNT, &[400, 400], 0), (TRACER, &[600, 600], 0)]);
    lab.failed(2, CLOSED_LOOP, COUNT, "1000 hits of handle_tx, but 900 seen");
    let found = recommend(&campaign(lab), &at("100k/s"));
    assert_eq!(found.best.as_ref().unwrap().0, TRACER);
    let Verdict::CannotTell { why, .. } = verdict(&found, COUNT, Criterion::Sound) else {
        panic!("{found:?}")
    };
    assert_eq!(*why, "1 of 5 trials failed: 1000 hits of handle_tx, but 900 seen".into());
    assert_eq!((of(&found, COUNT).trials, of(&found, COUNT).failed_trials), (5, 1));
}

#[test]
fn what_the_scenario_lacks_takes_a_campaign_of_its_own() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    lab.design.scenario.overhead = None;
    for (method, shown) in [("off", None), (COUNT, Some(exchanged(0)))] {
        lab.done(0, FIDELITY, method, |measured| {
            shows(measured, &exchanged(0), shown.as_deref().map(|shown| (shown, 1.0)));
        });
    }
    let wanted = Wanted { max_throughput_loss_pct: Some(1.0), ..Wanted::default() };
    let found = recommend(&campaign(lab), &wanted);
    let verdict = verdict(&found, COUNT, Criterion::ThroughputLoss);
    let Verdict::CannotTell { why: Doubt::Text(why), .. } = verdict else { panic!("{found:?}") };
    assert!(why.contains("a campaign of its own"), "{why}");
}
