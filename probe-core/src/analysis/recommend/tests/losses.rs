//! What was lost, at which load.

use super::*;

#[test]
fn what_is_unknown_was_not_zero() {
    let judged = |lost: Loss, missed: Loss, max: f64| {
        let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
        lab.done(0, SATURATED, TRACER, |measured| {
            measured.observation.recorded[0] = Some(9_950);
            measured.observation.lost = lost;
            measured.observation.missed = missed;
        });
        let wanted = Wanted { max_loss_pct: Some(max), ..Wanted::default() };
        let found = recommend(&campaign(lab), &wanted);
        (verdict(&found, TRACER, Criterion::Loss).clone(), of(&found, TRACER).losses.clone())
    };
    let (verdict, losses) = judged(Loss::NONE, Loss::NONE, 0.0);
    assert_eq!((verdict, losses.all.probed, losses.all.exact), (Verdict::Met, 11_950, true));
    let (verdict, losses) = judged(Loss::NONE, Loss::Unknown, 0.0);
    assert!(matches!(verdict, Verdict::CannotTell { more_blocks: None, .. }), "{verdict:?}");
    assert!(!losses.all.exact && losses.all.missed == Loss::Unknown);
    // 50 of 10000 are 0.5 %: beyond 0.4 whatever else was missed, and within 0.6 only if that is
    // known.
    let (verdict, losses) = judged(Loss::Exact(50), Loss::Unknown, 0.4);
    assert!(matches!(verdict, Verdict::Broken { .. }), "{verdict:?}");
    let worst = losses.worst().unwrap();
    assert_eq!(worst.load, Load::Saturated);
    assert!(close(worst.counts.known_pct.unwrap(), 0.5), "{losses:?}");
    assert!(matches!(judged(Loss::Exact(50), Loss::Unknown, 0.6).0, Verdict::CannotTell { .. }));
    assert!(matches!(judged(Loss::AtLeast(50), Loss::NONE, 0.6).0, Verdict::CannotTell { .. }));
    assert_eq!(judged(Loss::Exact(50), Loss::NONE, 0.5).0, Verdict::Met);
}

#[test]
fn calls_that_are_not_accounted_for_are_losses_and_a_contradiction_rules_out() {
    let judged = |recorded| {
        let mut lab = lab(Platform::Native, &[off(1)]);
        lab.done(0, CLOSED_LOOP, TRACER, |measured| {
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

#[test]
fn the_worst_load_is_judged_and_named() {
    // 50 of 100 when saturated are half, however many were seen at other loads.
    let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
    lab.done(0, SATURATED, TRACER, |measured| {
        measured.observation.recorded[0] = Some(50);
        measured.observation.lost = Loss::Exact(50);
    });
    let found = recommend(&campaign(lab), &Wanted { max_loss_pct: Some(5.0), ..Wanted::default() });
    let Verdict::Broken { why } = verdict(&found, TRACER, Criterion::Loss) else {
        panic!("{found:?}")
    };
    assert_eq!(why, "when saturated, 50 of 100 records were lost");
}

#[test]
fn exact_numbers_in_closed_loop_show_that_nothing_was_missed() {
    let judged = |paced: Loss| {
        let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
        edit(&mut lab, TRACER, |_, measured| {
            let closed_loop = measured.sent.kicks.is_some();
            measured.observation.missed = if closed_loop { Loss::Unknown } else { paced };
        });
        let wanted = Wanted { max_loss_pct: Some(0.0), ..Wanted::default() };
        verdict(&recommend(&campaign(lab), &wanted), TRACER, Criterion::Loss).clone()
    };
    assert_eq!(judged(Loss::NONE), Verdict::Met);
    let Verdict::CannotTell { why, .. } = judged(Loss::Unknown) else { panic!() };
    assert_eq!(why, "the kernel does not tell all that it missed at the paced load".into());
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
    let Verdict::CannotTell { why: Doubt::Text(why), .. } = judged("300k/s") else { panic!() };
    assert!(why.contains("up to 500 calls per second, not at 300k/s"), "{why}");
}

#[test]
fn a_record_that_was_lost_is_set_against_the_records_that_were_due() {
    // 100 hits, all of them counted: of those that are due a record, half are lost.
    for (recorded, lost) in [(50, 50), (5, 5)] {
        let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
        lab.done(0, SATURATED, TRACER, |measured| {
            measured.observation.recorded[0] = Some(recorded);
            measured.observation.counted = vec![Some(100)].into();
            measured.observation.lost = Loss::Exact(lost);
        });
        let wanted = Wanted { max_loss_pct: Some(5.0), ..Wanted::default() };
        let found = recommend(&campaign(lab), &wanted);
        let Verdict::Broken { why } = verdict(&found, TRACER, Criterion::Loss) else {
            panic!("{found:?}")
        };
        assert_eq!(
            *why,
            format!("when saturated, {lost} of {} records were lost", recorded + lost)
        );
        let worst = of(&found, TRACER).losses.worst().unwrap();
        // In 2 s.
        assert_eq!((worst.counts.probed, worst.calls_per_s), (100, Some(50.0)));
        assert!(close(worst.counts.known_pct.unwrap(), 50.0), "{worst:?}");
    }
}

#[test]
fn a_call_that_was_missed_or_lost_is_not_shown() {
    // Of 100 calls 20 are missed, and of the 80 records a quarter is lost: 60 are shown.
    let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
    lab.done(0, SATURATED, TRACER, |measured| {
        measured.observation.recorded[0] = Some(60);
        measured.observation.lost = Loss::Exact(20);
        measured.observation.missed = Loss::Exact(20);
    });
    let found = recommend(&campaign(lab), &Wanted { max_loss_pct: Some(5.0), ..Wanted::default() });
    let worst = of(&found, TRACER).losses.worst().unwrap();
    assert!(close(worst.counts.known_pct.unwrap(), 40.0), "{worst:?}");
    let Verdict::Broken { why } = verdict(&found, TRACER, Criterion::Loss) else { panic!() };
    assert_eq!(why, "when saturated, 20 of 80 records were lost and 20 of 100 calls were missed");
}

#[test]
fn frames_per_second_are_no_calls_per_second() {
    let mut lab = lab(Platform::Native, &[off(2), (TRACER, &[600, 600], 0)]);
    lab.done(0, SATURATED, TRACER, |_| {});
    edit(&mut lab, TRACER, |_, measured| {
        measured.observation.recorded = vec![None, None, Some(1_000_000)].into();
    });
    let wanted = Wanted { max_loss_pct: Some(100.0), ..at("300k/s") };
    let found = recommend(&campaign(lab), &wanted);
    let rates: Vec<_> =
        of(&found, TRACER).losses.by_load.iter().map(|one| (one.load, one.calls_per_s)).collect();
    assert_eq!(
        rates,
        [(Load::ClosedLoop, Some(500.0)), (Load::Paced, None), (Load::Saturated, None)]
    );
    let verdict = verdict(&found, TRACER, Criterion::Loss);
    let Verdict::CannotTell { why: Doubt::Text(why), .. } = verdict else { panic!("{found:?}") };
    assert!(why.contains("up to 500 calls per second"), "{why}");
}

#[test]
fn nothing_lost_is_zero_however_many_calls_there_were() {
    // Odd, and beyond what a product of two such numbers holds exactly.
    const CALLS: u64 = 100_000_001;
    let mut lab = lab(Platform::Native, &[off(1), (TRACER, &[600], 0)]);
    lab.done(0, SATURATED, TRACER, |measured| {
        measured.observation.recorded[0] = Some(CALLS);
    });
    let found = recommend(&campaign(lab), &Wanted { max_loss_pct: Some(0.0), ..Wanted::default() });
    assert_eq!(*verdict(&found, TRACER, Criterion::Loss), Verdict::Met);
}

#[test]
fn an_unknown_rate_is_not_zero() {
    let mut lab = ordered(Platform::Native);
    lab.trials.retain(|trial| trial.part == Part::Fidelity);
    edit(&mut lab, TRACER, |_, measured| {
        measured.observation.recorded = vec![None, None, Some(1000)].into();
    });
    let wanted = Wanted { max_loss_pct: Some(50.0), ..at("10/s") };
    let found = recommend(&campaign(lab), &wanted);
    let Verdict::CannotTell { why, .. } = verdict(&found, TRACER, Criterion::Loss) else {
        panic!("{found:?}")
    };
    assert_eq!(*why, "at how many calls per second is not known".into());
}
