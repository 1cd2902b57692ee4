use super::*;
use crate::{
    analysis::fixture::{Lab, exchanged, on_and_off, shows},
    model::{
        loss::Loss,
        trial::{Outcome, Pace, Part},
    },
};

const FLAT: (Part, Pace) = (Part::Fidelity, Pace::Flat);
const COUNT: &str = "bpf-fentry-count";
const TX: Item<'_> = Item { index: 0, name: "handle_tx" };
const RX: Item<'_> = Item { index: 1, name: "handle_rx" };
const BIN: Nanos = Nanos(250_000_000);

/// Blocks with r_0 = 1 - i/16, r_w = 1 - j/16, r_m = 1 - k/16.
fn lab(method: &str, per_call: f64, blocks: &[(usize, usize, usize)]) -> Lab {
    let mut lab = Lab::new();
    lab.run(Platform::Counted);
    for (block, &(i, j, k)) in (0..).zip(blocks) {
        lab.done(block, FLAT, "off", |measured| shows(measured, &exchanged(i), None));
        lab.done(block, FLAT, method, |measured| {
            shows(measured, &exchanged(j), Some((&exchanged(k), per_call)));
        });
    }
    lab
}

fn measured(lab: &mut Lab, trial: usize) -> &mut Measured {
    match &mut lab.trials[trial].outcome {
        Outcome::Done(measured) => measured,
        Outcome::Failed { why } => panic!("{why}"),
    }
}

fn of(lab: &Lab, method: &str, function: Item<'_>) -> FidelityFigures {
    figures(&lab.trials(), lab.method(method), function, BIN, 1)
}

fn known(figure: &Figure) -> &Estimate {
    figure.known().unwrap_or_else(|| panic!("{figure:?}"))
}

fn why(figure: &Figure) -> &str {
    match figure {
        Figure::Null(absent) => &absent.why,
        Figure::Known(estimate) => panic!("{estimate:?}"),
    }
}

fn close(figure: &Figure, expected: f64) {
    assert!((known(figure).estimate - expected).abs() < 1e-12, "{figure:?} is not {expected}");
}

#[test]
fn every_figure_by_hand() {
    let found = of(&lab(COUNT, 1.0, &[(1, 2, 3), (1, 2, 4), (1, 2, 5)]), COUNT, TX);
    close(&found.r_0, 15.0 / 16.0);
    close(&found.r_w, 14.0 / 16.0);
    close(&found.r_m, 12.0 / 16.0);
    close(&found.perturbation, 1.0 / 16.0);
    close(&found.observation_loss, 2.0 / 16.0);
    close(&found.fidelity_loss, 3.0 / 16.0);
    close(&found.r_retained, 12.0 / 15.0);
    // Two bins differ by 100 for each pair exchanged in the one and not in the other: 1, 2, 3 of 9600 calls.
    close(&found.series_error, 2.0 * 2.0 * 100.0 / 9600.0);
    // r_m scatters by 1/16 over 3 blocks: t[0.975, 2] = 4.30265.
    let r_m = known(&found.r_m);
    assert!((r_m.lo.unwrap() - (0.75 - 4.30265 / 16.0 / 3.0_f64.sqrt())).abs() < 1e-5);
    assert_eq!((r_m.n, r_m.platform, r_m.p), (3, Platform::Counted, None));
    // Equal r_0 in all blocks: the ratio's interval is r_m's, scaled.
    let retained = known(&found.r_retained);
    assert!((retained.lo.unwrap() - r_m.lo.unwrap() * 16.0 / 15.0).abs() < 1e-9, "{retained:?}");
    // r_m + 4.30265/16/√3 is below 1, r_w without scatter is a point.
    assert_eq!(known(&found.r_w).lo, known(&found.r_w).hi);
    assert!(known(&found.perturbation).p.unwrap() < 1e-6);
    // Ranks of two values are the values; 10 s of 16 s leave 25 averages.
    close(&found.beside.spearman_m, 12.0 / 16.0);
    assert_eq!(why(&found.beside.moving_average_m), "25 bins; r needs 30");
}

#[test]
fn a_perfect_witness_differs_from_the_throughput_by_exactly_nothing() {
    for blocks in [1, 2, 15] {
        let found = of(&lab(COUNT, 1.0, &vec![(2, 2, 2); blocks]), COUNT, TX);
        for figure in [&found.perturbation, &found.observation_loss, &found.fidelity_loss] {
            let figure = known(figure);
            assert_eq!((figure.estimate, figure.lo, figure.hi), (0.0, Some(0.0), Some(0.0)));
            assert_eq!(figure.n, blocks);
        }
        let retained = known(&found.r_retained);
        assert!((retained.lo.unwrap() - 1.0).abs() < 1e-9, "{retained:?}");
        assert_eq!(known(&found.series_error).estimate, 0.0);
    }
}

#[test]
fn one_block_has_an_interval_within_its_run() {
    let found = of(&lab(COUNT, 1.0, &[(1, 1, 4)]), COUNT, TX);
    for figure in [&found.r_0, &found.r_m, &found.observation_loss, &found.series_error] {
        let figure = known(figure);
        assert_eq!((figure.n, &figure.notes[..]), (1, &[WITHIN_RUN.to_owned()][..]));
        let (lo, hi) = (figure.lo.unwrap(), figure.hi.unwrap());
        assert!(lo < figure.estimate && figure.estimate < hi, "{figure:?}");
        assert_eq!((figure.detectable, figure.p), (None, None));
    }
    assert!(known(&found.r_m).hi.unwrap() <= 1.0);
}

#[test]
fn trials_of_different_schedules_share_no_bins() {
    let mut lab = lab(COUNT, 1.0, &[(1, 1, 4)]);
    lab.done(1, FLAT, "off", |_| {});
    measured(&mut lab, 0).sections[1].first_bin = 20;
    let found = of(&lab, COUNT, TX);
    let perturbation = known(&found.perturbation);
    assert_eq!((perturbation.lo, perturbation.n), (None, 1));
}

#[test]
fn the_scatter_between_blocks_counts_not_the_number_of_bins() {
    // 20 blocks, whose r_m is 1 - 0/16 or 1 - 8/16 in turn: the interval of the mean must span about ±0.11.
    let blocks: Vec<_> = (0..20).map(|block| (0, 0, block % 2 * 8)).collect();
    let found = of(&lab(COUNT, 1.0, &blocks), COUNT, TX);
    let r_m = known(&found.r_m);
    assert!((r_m.estimate - 0.75).abs() < 1e-12 && r_m.n == 20);
    let width = r_m.hi.unwrap() - r_m.lo.unwrap();
    assert!((0.18..0.26).contains(&width), "{r_m:?}");
    let retained = known(&found.r_retained);
    assert!((retained.hi.unwrap() - retained.lo.unwrap() - width).abs() < 1e-9, "{retained:?}");
}

#[test]
fn a_share_of_a_weak_r_0_is_not_told() {
    let found = of(&lab(COUNT, 1.0, &[(14, 14, 14), (15, 15, 15)]), COUNT, TX);
    assert!(why(&found.r_retained).starts_with("r_0 lies in ["), "{:?}", found.r_retained);
    assert!(known(&found.r_0).estimate < 0.1);
    // One run whose r_0 is 0 by construction.
    let found = of(&lab(COUNT, 1.0, &[(16, 16, 16)]), COUNT, TX);
    assert!(why(&found.r_retained).starts_with("r_0 lies in ["), "{:?}", found.r_retained);
    assert!(known(&found.r_0).estimate.abs() < 1e-12);
}

#[test]
fn a_sampler_is_scaled_by_its_declared_factor_and_shares_have_no_error() {
    let one_in_ten = "perf-kprobe-record-10";
    let found = of(&lab(one_in_ten, 0.1, &[(0, 0, 0), (0, 0, 0)]), one_in_ten, TX);
    assert!(known(&found.series_error).estimate < 1e-12, "{:?}", found.series_error);
    // Half of what the factor promises.
    let found = of(&lab(one_in_ten, 0.05, &[(0, 0, 0), (0, 0, 0)]), one_in_ten, TX);
    close(&found.series_error, 0.5);
    let profiler = "perf-sample-999-callchain";
    let found = of(&lab(profiler, 0.1, &[(0, 0, 2), (0, 0, 2)]), profiler, TX);
    assert_eq!(why(&found.series_error), "shares of CPU time cannot be set against calls");
    close(&found.r_m, 14.0 / 16.0);
}

#[test]
fn what_cannot_be_correlated_says_why_and_the_rest_stands() {
    let mut lab = lab(COUNT, 1.0, &[(0, 0, 0), (0, 0, 0), (0, 0, 0)]);
    lab.done(3, FLAT, "off", |measured| shows(measured, &on_and_off(), None));
    lab.done(3, FLAT, COUNT, |measured| {
        shows(measured, &[true; 64], Some((&on_and_off(), 1.0)));
    });
    let found = of(&lab, COUNT, TX);
    let r_w = known(&found.r_w);
    assert_eq!(
        (r_w.n, &r_w.notes[..]),
        (3, &["1 of 4 blocks left out: the witness is constant".to_owned()][..])
    );
    assert_eq!(known(&found.r_m).n, 4);
    // No witness for handle_rx, and the method recorded nothing of it.
    let found = of(&lab, COUNT, RX);
    assert_eq!(why(&found.r_0), "no witness: handle_rx has no caller that fentry can hold");
    assert_eq!(why(&found.r_m), "the method has no series of handle_rx");
}

#[test]
fn incomplete_series_are_told() {
    let mut lab = lab(COUNT, 1.0, &[(0, 0, 0), (0, 0, 1)]);
    let trial = measured(&mut lab, 1);
    trial.observation.missed = Loss::Unknown;
    trial.witness.as_mut().unwrap().missed = Loss::Unknown;
    // As many calls as the witness counted: that the kernel tells of no misses does not matter.
    let found = of(&lab, COUNT, TX);
    assert_eq!(known(&found.series_error).notes.len(), 1);
    measured(&mut lab, 1).series[0].values[5] -= 3.0;
    let found = of(&lab, COUNT, TX);
    let notes = &known(&found.series_error).notes;
    assert!(notes[0].contains("in 1 of 2 trials"), "{notes:?}");
    assert!(notes[1].starts_with("the witness missed calls"), "{notes:?}");
    assert_eq!(known(&found.r_w).notes.len(), 1);
}

#[test]
fn the_control_has_r_0_alone() {
    let found = of(&lab(COUNT, 1.0, &[(1, 1, 1), (3, 3, 3)]), "off", TX);
    close(&found.r_0, 14.0 / 16.0);
    for figure in [&found.r_w, &found.r_m, &found.series_error, &found.beside.spearman_m] {
        assert_eq!(why(figure), "the control");
    }
}

#[test]
fn moving_averages_stand_without_interval() {
    let blocks = [(1, 1, 2), (1, 1, 3)];
    let lab = lab(COUNT, 1.0, &blocks);
    // Bins of 3.3 s: windows of three, 62 of them.
    let found = figures(&lab.trials(), lab.method(COUNT), TX, Nanos(3_300_000_000), 1);
    let smooth = known(&found.beside.moving_average_0);
    assert_eq!((smooth.lo, smooth.hi, smooth.detectable, smooth.n), (None, None, None, 2));
}
