//! Which method comes first.

use super::{super::order::arrange, *};

#[test]
fn emulation_orders_by_fidelity_and_judges_no_cost() {
    let native = recommend(&campaign(ordered(Platform::Native)), &at("100k/s"));
    assert_eq!((ids(&native), native.ranked_by), (vec![COUNT, TRACER], RankedBy::Cpu));
    for platform in [Platform::Counted, Platform::Emulated] {
        let campaign = campaign(ordered(platform));
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
fn only_blocks_of_the_same_thing_are_compared() {
    let two = [(COUNT, &[400, 410, 400, 410][..], 0), (TRACER, &[405, 415, 405, 405][..], 0)];
    let beside = |campaign: &Campaign| {
        let found = recommend(campaign, &at("100k/s"));
        of(&found, TRACER).beside_the_first
    };
    let same = campaign(lab(Platform::Native, &[off(4), two[0], two[1]]));
    assert_eq!(beside(&same), Beside::Alike);
    // Three blocks in common do not tell how much they scatter, and frames are no calls.
    let three = (TRACER, &[455, 456, 457][..], 0);
    assert_eq!(
        beside(&campaign(lab(Platform::Native, &[off(4), two[0], three]))),
        Beside::NotComparable
    );
    let mut frames = lab(Platform::Native, &[off(4), two[0], two[1]]);
    edit(&mut frames, TRACER, |_, measured| {
        measured.sent.frames = 1000;
        measured.observation.recorded = vec![None, None, Some(1000)].into();
    });
    assert_eq!(beside(&campaign(frames)), Beside::NotComparable);
}

#[test]
fn more_than_all_of_the_correlation_is_all_of_it_in_the_comparison_too() {
    let mut methods = recommend(&campaign(ordered(Platform::Emulated)), &Wanted::default()).methods;
    // The first shows more than there is, in each block; the other all of it, or a tenth less.
    let mut beside = |others: [f64; 4]| {
        methods.iter_mut().for_each(|one| one.correlations.clear());
        for (block, other) in (0..).zip(others) {
            let true_r = 0.9 + 0.001 * f64::from(block);
            methods[0].correlations.insert((0, block), [true_r, true_r + 0.04]);
            methods[1].correlations.insert((0, block), [true_r, other]);
        }
        arrange(&mut methods, false);
        (methods[1].beside_the_first, methods[1].p_beside_the_first.unwrap())
    };
    let (as_much, p) = beside([0.9, 0.902, 0.9, 0.903]);
    assert!(as_much == Beside::Alike && p > 0.05, "{p}");
    let (less, p) = beside([0.8, 0.803, 0.801, 0.799]);
    assert!(less == Beside::Behind && p < 0.05, "{p}");
}

#[test]
fn what_a_block_does_to_both_is_not_in_their_difference() {
    // The baseline moves, and with it what both seem to cost; the tracer takes 100 ns more in each
    // block.
    let mut lab = lab(
        Platform::Native,
        &[
            ("off", &[0, 500, 250, 900], 0),
            (COUNT, &[1000; 4], 0),
            (TRACER, &[1100, 1101, 1099, 1100], 0),
        ],
    );
    lab.design.methods.retain(|method| method.id.0 != PROFILER);
    let found = recommend(&campaign(lab), &at("100k/s"));
    let [first, other] = &found.methods[..] else { panic!("{found:?}") };
    let ends = |one: &Judged| one.cost.cpu_pct.known().and_then(|cpu| cpu.lo.zip(cpu.hi)).unwrap();
    assert!(ends(first).1 > ends(other).0, "by themselves their intervals meet");
    assert_eq!((first.method.0.as_str(), other.beside_the_first), (COUNT, Beside::Behind));
}

#[test]
fn none_is_best_where_nothing_orders_them() {
    let two = [(COUNT, &[400, 410][..], 0), (TRACER, &[405, 415][..], 0)];
    let best = |methods: &[Costs<'_>]| {
        let mut lab = lab(Platform::Counted, &[&[off(2)], methods].concat());
        lab.design.scenario.overhead = None;
        let found = recommend(&campaign(lab), &Wanted::default());
        assert_eq!((found.outcome, found.ranked_by), (Standing::Qualifies, RankedBy::Fidelity));
        found.best.map(|id| id.0)
    };
    assert_eq!(best(&two), None);
    assert_eq!(best(&two[..1]).as_deref(), Some(COUNT));
}

#[test]
fn blocks_in_common_that_contradict_the_order_compare_nothing() {
    // The counter takes more in each of the four blocks that both have; a fifth alone puts the
    // tracer behind.
    let mut lab = lab(
        Platform::Native,
        &[off(5), (COUNT, &[600, 601, 599, 600], 0), (TRACER, &[300, 301, 299, 300, 9000], 0)],
    );
    lab.design.methods.retain(|method| method.id.0 != PROFILER);
    let found = recommend(&campaign(lab), &at("100k/s"));
    assert_eq!(ids(&found), [COUNT, TRACER]);
    assert_eq!(found.methods[1].beside_the_first, Beside::NotComparable);
}

#[test]
fn costs_that_do_not_count_compare_nothing() {
    let two = [(COUNT, &[400, 401, 402, 401][..], 0), (TRACER, &[600, 601, 602, 600][..], 0)];
    let campaign = campaign(lab(Platform::Emulated, &[off(4), two[0], two[1]]));
    let beside = |accept_emulated| {
        let wanted = Wanted { accept_emulated, ..at("100k/s") };
        let found = recommend(&campaign, &wanted);
        found.methods.iter().map(|one| (one.ranked, one.beside_the_first)).collect::<Vec<_>>()
    };
    assert_eq!(beside(true), [(true, Beside::First), (true, Beside::Behind)]);
    assert_eq!(beside(false), [(false, Beside::First), (false, Beside::NotComparable)]);
}
