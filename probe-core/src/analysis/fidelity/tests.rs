use proptest::prelude::*;

use super::*;
use crate::analysis::figures::table::{
    FIDELITY_LOSS, MOVING_AVERAGE_0, MOVING_AVERAGE_M, OBSERVATION_LOSS, PERTURBATION, R_0, R_M,
    R_RETAINED, R_W, SERIES_ERROR, SPEARMAN_M,
};
use crate::{
    analysis::fixture::{BINS, Lab, exchanged, on_and_off, shows},
    model::{
        figures::{Lag, Lagged},
        item::ItemId,
        loss::Loss,
        reason::Compared,
        trial::{Outcome, Pace, Part, SectionMark},
    },
};

const SATURATED: (Part, Pace) = (Part::Fidelity, Pace::Saturated);
const COUNT: &str = "bpf-fentry-count";
const TX: Item<'_> = Item { id: ItemId(0), name: "handle_tx" };
const RX: Item<'_> = Item { id: ItemId(1), name: "handle_rx" };
const BIN: Nanos = Nanos(250_000_000);

/// Blocks with r_0 = 1 - i/16, r_w = 1 - j/16, r_m = 1 - k/16.
fn lab(method: &str, per_call: f64, blocks: &[(usize, usize, usize)]) -> Lab {
    let mut lab = Lab::new();
    lab.run(Platform::Counted);
    for (block, &(i, j, k)) in (0..).zip(blocks) {
        lab.done(block, SATURATED, "off", |measured| shows(measured, &exchanged(i), None));
        lab.done(block, SATURATED, method, |measured| {
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

fn why(figure: &Figure) -> &Reason {
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
    close(found.figures.of(R_0), 15.0 / 16.0);
    close(found.figures.of(R_W), 14.0 / 16.0);
    close(found.figures.of(R_M), 12.0 / 16.0);
    close(found.figures.of(PERTURBATION), 1.0 / 16.0);
    close(found.figures.of(OBSERVATION_LOSS), 2.0 / 16.0);
    close(found.figures.of(FIDELITY_LOSS), 3.0 / 16.0);
    close(found.figures.of(R_RETAINED), 12.0 / 15.0);
    // Two bins differ by 100 for each pair that is exchanged in only one of the two: 1, 2, 3 of
    // 9600 calls.
    close(found.figures.of(SERIES_ERROR), 2.0 * 2.0 * 100.0 / 9600.0);
    // r_m scatters by 1/16 over 3 blocks: t[0.975, 2] = 4.30265.
    let r_m = known(found.figures.of(R_M));
    assert!((r_m.lo.unwrap() - (0.75 - 4.30265 / 16.0 / 3.0_f64.sqrt())).abs() < 1e-5);
    assert_eq!((r_m.n, r_m.platform, r_m.p), (3, Platform::Counted, None));
    // Equal r_0 in all blocks: the ratio's interval is r_m's, scaled.
    let retained = known(found.figures.of(R_RETAINED));
    assert!((retained.lo.unwrap() - r_m.lo.unwrap() * 16.0 / 15.0).abs() < 1e-9, "{retained:?}");
    // r_m + 4.30265/16/√3 is below 1, and r_w without scatter is a point.
    assert_eq!(known(found.figures.of(R_W)).lo, known(found.figures.of(R_W)).hi);
    assert!(known(found.figures.of(PERTURBATION)).p.unwrap() < 1e-6);
    // Ranks of two values are the values; 10 s of 16 s give 25 averages.
    close(found.beside.of(SPEARMAN_M), 12.0 / 16.0);
    assert_eq!(*why(found.beside.of(MOVING_AVERAGE_M)), Reason::TooFewBins { bins: 25, least: 30 });
}

#[test]
fn a_perfect_reference_differs_from_the_throughput_by_exactly_nothing() {
    for blocks in [1, 2, 15] {
        let found = of(&lab(COUNT, 1.0, &vec![(2, 2, 2); blocks]), COUNT, TX);
        for figure in [
            found.figures.of(PERTURBATION),
            found.figures.of(OBSERVATION_LOSS),
            found.figures.of(FIDELITY_LOSS),
        ] {
            let figure = known(figure);
            assert_eq!((figure.estimate, figure.lo, figure.hi), (0.0, Some(0.0), Some(0.0)));
            assert_eq!(figure.n, blocks);
        }
        let retained = known(found.figures.of(R_RETAINED));
        assert!((retained.lo.unwrap() - 1.0).abs() < 1e-9, "{retained:?}");
        assert_eq!(known(found.figures.of(SERIES_ERROR)).estimate, 0.0);
    }
}

#[test]
fn one_block_has_an_interval_within_its_run() {
    let found = of(&lab(COUNT, 1.0, &[(1, 1, 4)]), COUNT, TX);
    for figure in [
        found.figures.of(R_0),
        found.figures.of(R_M),
        found.figures.of(OBSERVATION_LOSS),
        found.figures.of(SERIES_ERROR),
    ] {
        let figure = known(figure);
        assert_eq!((figure.n, figure.basis, figure.notes.len()), (1, Basis::WithinRun, 0));
        let (lo, hi) = (figure.lo.unwrap(), figure.hi.unwrap());
        assert!(lo < figure.estimate && figure.estimate < hi, "{figure:?}");
        assert_eq!((figure.detectable, figure.p), (None, None));
    }
    assert!(known(found.figures.of(R_M)).hi.unwrap() <= 1.0);
}

#[test]
fn sections_of_a_few_bins_give_no_interval() {
    let mut lab = lab(COUNT, 1.0, &[(1, 1, 4)]);
    for trial in &mut lab.trials {
        let Outcome::Done(measured) = &mut trial.outcome else { panic!() };
        let section = |first_bin| SectionMark { first_bin, ..SectionMark::default() };
        measured.sections = (0..BINS).step_by(3).map(section).collect();
    }
    let found = of(&lab, COUNT, TX);
    for row in [R_0, R_M, OBSERVATION_LOSS, SERIES_ERROR] {
        let figure = known(found.figures.of(row));
        assert_eq!((figure.lo, figure.hi, &figure.notes[..]), (None, None, &[Note::OneTrial][..]));
    }
    let Figure::Null(absent) = found.figures.of(R_RETAINED) else { panic!("{found:?}") };
    assert_eq!(absent.why, Reason::UnsureR0);
}

#[test]
fn trials_of_different_schedules_share_no_bins() {
    let mut lab = lab(COUNT, 1.0, &[(1, 1, 4)]);
    lab.done(1, SATURATED, "off", |_| {});
    measured(&mut lab, 0).sections[1].first_bin = 20;
    let found = of(&lab, COUNT, TX);
    let perturbation = known(found.figures.of(PERTURBATION));
    assert_eq!((perturbation.lo, perturbation.n), (None, 1));
}

#[test]
fn the_scatter_between_blocks_counts_not_the_number_of_bins() {
    // 20 blocks, whose r_m is 1 - 0/16 and 1 - 8/16 in turn: the interval of the mean must span
    // about ±0.11.
    let blocks: Vec<_> = (0..20).map(|block| (0, 0, block % 2 * 8)).collect();
    let found = of(&lab(COUNT, 1.0, &blocks), COUNT, TX);
    let r_m = known(found.figures.of(R_M));
    assert!((r_m.estimate - 0.75).abs() < 1e-12 && r_m.n == 20);
    let width = r_m.hi.unwrap() - r_m.lo.unwrap();
    assert!((0.18..0.26).contains(&width), "{r_m:?}");
    let retained = known(found.figures.of(R_RETAINED));
    assert!((retained.hi.unwrap() - retained.lo.unwrap() - width).abs() < 1e-9, "{retained:?}");
}

#[test]
fn a_share_of_a_weak_r_0_is_not_told() {
    let found = of(&lab(COUNT, 1.0, &[(14, 14, 14), (15, 15, 15)]), COUNT, TX);
    let why_retained = why(found.figures.of(R_RETAINED));
    assert!(matches!(why_retained, Reason::WeakR0 { least: LEAST_R_0, .. }), "{why_retained:?}");
    assert!(known(found.figures.of(R_0)).estimate < 0.1);
    // One run whose r_0 is 0 by construction.
    let found = of(&lab(COUNT, 1.0, &[(16, 16, 16)]), COUNT, TX);
    let why_retained = why(found.figures.of(R_RETAINED));
    assert!(matches!(why_retained, Reason::WeakR0 { least: LEAST_R_0, .. }), "{why_retained:?}");
    assert!(known(found.figures.of(R_0)).estimate.abs() < 1e-12);
}

#[test]
fn a_sampler_is_scaled_by_its_declared_factor_and_shares_have_no_error() {
    let one_in_ten = "perf-kprobe-record-10";
    let found = of(&lab(one_in_ten, 0.1, &[(0, 0, 0), (0, 0, 0)]), one_in_ten, TX);
    assert!(
        known(found.figures.of(SERIES_ERROR)).estimate < 1e-12,
        "{:?}",
        found.figures.of(SERIES_ERROR)
    );
    // Half of what the factor says.
    let found = of(&lab(one_in_ten, 0.05, &[(0, 0, 0), (0, 0, 0)]), one_in_ten, TX);
    close(found.figures.of(SERIES_ERROR), 0.5);
    let profiler = "perf-sample-999-callchain";
    let found = of(&lab(profiler, 0.1, &[(0, 0, 2), (0, 0, 2)]), profiler, TX);
    assert_eq!(*why(found.figures.of(SERIES_ERROR)), Reason::SharesNotCalls);
    close(found.figures.of(R_M), 14.0 / 16.0);
}

#[test]
fn what_cannot_be_correlated_says_why_and_the_rest_stands() {
    let mut lab = lab(COUNT, 1.0, &[(0, 0, 0), (0, 0, 0), (0, 0, 0)]);
    lab.done(3, SATURATED, "off", |measured| shows(measured, &on_and_off(), None));
    lab.done(3, SATURATED, COUNT, |measured| {
        shows(measured, &[true; 64], Some((&on_and_off(), 1.0)));
    });
    let found = of(&lab, COUNT, TX);
    let r_w = known(found.figures.of(R_W));
    let why_not = Reason::Constant { series: Compared::ReferenceCounter };
    let note = Note::BlocksLeftOut { left_out: 1, blocks: 4, why: why_not };
    assert_eq!((r_w.n, &r_w.notes[..]), (3, &[note][..]));
    assert_eq!(known(found.figures.of(R_M)).n, 4);
    // There is no reference counter for handle_rx, and the method recorded no call of it.
    let found = of(&lab, COUNT, RX);
    let no_reference = "handle_rx has no caller that fentry can hold".into();
    assert_eq!(*why(found.figures.of(R_0)), Reason::ReferenceUnavailable { why: no_reference });
    assert_eq!(*why(found.figures.of(R_M)), Reason::NoSeries { function: "handle_rx".into() });
}

#[test]
fn incomplete_series_are_told() {
    let mut lab = lab(COUNT, 1.0, &[(0, 0, 0), (0, 0, 1)]);
    let trial = measured(&mut lab, 1);
    trial.observation.missed = Loss::Unknown;
    trial.reference.as_mut().unwrap().missed = Loss::Unknown;
    // As many calls as the reference counter counted: it does not matter that the kernel reports no
    // misses.
    let found = of(&lab, COUNT, TX);
    assert_eq!(known(found.figures.of(SERIES_ERROR)).notes.len(), 1);
    measured(&mut lab, 1).series[0].values[5] -= 3.0;
    let found = of(&lab, COUNT, TX);
    let notes = &known(found.figures.of(SERIES_ERROR)).notes;
    let told =
        [Note::SeriesNotExact { trials: 1, of: 2 }, Note::ReferenceNotExact { blocks: 1, of: 2 }];
    assert_eq!(*notes, told);
    assert_eq!(known(found.figures.of(R_W)).notes.len(), 1);
}

#[test]
fn the_control_has_r_0_alone() {
    let found = of(&lab(COUNT, 1.0, &[(1, 1, 1), (3, 3, 3)]), "off", TX);
    close(found.figures.of(R_0), 14.0 / 16.0);
    for figure in [
        found.figures.of(R_W),
        found.figures.of(R_M),
        found.figures.of(SERIES_ERROR),
        found.beside.of(SPEARMAN_M),
    ] {
        assert_eq!(*why(figure), Reason::Baseline);
    }
}

#[test]
fn moving_averages_stand_without_interval() {
    let blocks = [(1, 1, 2), (1, 1, 3)];
    let lab = lab(COUNT, 1.0, &blocks);
    // Bins of 3.3 s: windows of three, 62 of them.
    let found = figures(&lab.trials(), lab.method(COUNT), TX, Nanos(3_300_000_000), 1);
    let smooth = known(found.beside.of(MOVING_AVERAGE_0));
    assert_eq!((smooth.lo, smooth.hi, smooth.detectable, smooth.n), (None, None, None, 2));
}

/// Blocks with these series of reference counter, throughput and method, per bin; the sections are
/// those of [`shows`].
fn series(blocks: &[[Vec<u64>; 3]]) -> Lab {
    let mut lab = Lab::new();
    lab.run(Platform::Counted);
    for (block, [reference, throughput, own]) in (0..).zip(blocks) {
        let fill = |measured: &mut Measured, seen: bool| {
            shows(measured, &on_and_off(), seen.then_some((&on_and_off(), 1.0)));
            measured.throughput.clone_from(throughput);
            let counts = &mut measured.reference.as_mut().unwrap().functions[0];
            *counts = crate::model::trial::ReferenceCounts::Calls(reference.clone());
            if seen {
                measured.series[0].values = own.iter().map(|&calls| calls as f64).collect();
            }
        };
        lab.done(block, SATURATED, "off", |measured| fill(measured, false));
        lab.done(block, SATURATED, COUNT, |measured| fill(measured, true));
    }
    lab
}

/// 64 bins, shifted `by` bins later; the last ones move to the front.
fn later(values: &[u64], by: usize) -> Vec<u64> {
    let mut values = values.to_vec();
    values.rotate_right(by);
    values
}

fn lag(lagged: &Lagged) -> &Lag {
    match lagged {
        Lagged::Known(lag) => lag,
        Lagged::Null(absent) => panic!("{absent:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_series_that_is_late_goes_best_as_many_bins_back(
        calls in proptest::collection::vec(1..10_000_u64, 64), by in 0..4_usize,
    ) {
        let lab = series(&[[calls.clone(), calls.clone(), later(&calls, by)]]);
        let found = of(&lab, COUNT, TX).lag.unwrap();
        let (reference, own) = (lag(&found.reference), lag(found.method.as_ref().unwrap()));
        prop_assert_eq!((reference.bins, reference.in_blocks, reference.n), (0, 1, 1));
        prop_assert_eq!(own.bins, -i32::try_from(by).unwrap());
        prop_assert!((own.seconds + 0.25 * by as f64).abs() < 1e-12);
        prop_assert!((own.r - 1.0).abs() < 1e-9, "{:?}", own);
        prop_assert_eq!(own.by_lag.len(), 9);
    }

    #[test]
    fn an_exact_series_has_no_error_at_any_width_and_wider_bins_have_no_greater_one(
        bins in proptest::collection::vec((1..10_000_u64, 0..3_000_u64), 64),
    ) {
        let (calls, extra): (Vec<u64>, Vec<u64>) = bins.into_iter().unzip();
        let lab = series(&[[calls.clone(), calls.clone(), calls.clone()]]);
        let exact = of(&lab, COUNT, TX).by_width.unwrap();
        for at in &exact.widths {
            prop_assert_eq!(known(at.figures.of(SERIES_ERROR)).estimate, 0.0);
        }
        prop_assert!(exact.finest.iter().all(|finest| finest.width_s == Some(0.25)));
        let more: Vec<u64> = calls.iter().zip(later(&extra, 1)).map(|(a, b)| a + b).collect();
        let less: Vec<u64> = more.iter().zip(&extra).map(|(a, b)| a.saturating_sub(*b)).collect();
        let lab = series(&[[calls.clone(), calls.clone(), less]]);
        let widths = of(&lab, COUNT, TX).by_width.unwrap().widths;
        // 250 ms, 500 ms, 1 s, 2 s: sections of 32 bins are whole multiples of all of them.
        prop_assert_eq!(widths.len(), 4);
        let errors: Vec<f64> = widths.iter().map(|at| known(at.figures.of(SERIES_ERROR)).estimate).collect();
        prop_assert!(errors.is_sorted_by(|a, b| *b <= a + 1e-12), "{:?}", errors);
    }
}

#[test]
fn the_finest_true_width_by_hand() {
    // The calls of every other bin are counted a bin late: each bin is off by half, two together
    // are exact.
    let calls = vec![100; 64];
    let swing: Vec<u64> = (0..64).map(|bin| if bin % 2 == 0 { 50 } else { 150 }).collect();
    let lab =
        series(&[[calls.clone(), calls.clone(), swing.clone()], [calls.clone(), calls, swing]]);
    let found = of(&lab, COUNT, TX).by_width.unwrap();
    let errors: Vec<f64> =
        found.widths.iter().map(|at| known(at.figures.of(SERIES_ERROR)).estimate).collect();
    assert_eq!(errors, [0.5, 0.0, 0.0, 0.0]);
    assert_eq!(found.finest[0].width_s, Some(0.5));
    assert_eq!((found.finest[0].error_below, &found.finest[0].why), (0.01, &None));
    let constant = Reason::Constant { series: Compared::Throughput };
    assert_eq!(*why(found.widths[0].figures.of(R_M)), constant);
}

#[test]
fn bins_are_joined_within_sections_and_the_rest_is_left_out() {
    // 32 bins per section: joined by three, they give ten whole ones, and two bins are left out.
    let calls: Vec<u64> = (0..64).collect();
    let lab = series(&[[calls.clone(), calls.clone(), calls]]);
    let trials = lab.trials();
    let fidelity = Fidelity::of(&trials, lab.method(COUNT), TX, 1).unwrap();
    let wide = fidelity.views.values().next().unwrap().1.widened(3);
    assert_eq!(wide.sections, super::super::bootstrap::Sections::new(20, &[0, 10]));
    assert_eq!(wide.throughput[..2], [3.0, 12.0]);
    assert_eq!(wide.throughput[10], 32.0 + 33.0 + 34.0);
    assert_eq!(wide.reference().unwrap(), wide.throughput);
}

#[test]
fn without_a_true_width_the_reason_stands() {
    let calls: Vec<u64> = (0..64).map(|bin| 100 + bin % 5).collect();
    let double: Vec<u64> = calls.iter().map(|calls| 2 * calls).collect();
    let block = [calls.clone(), calls.clone(), double];
    let found = of(&series(&[block.clone(), block]), COUNT, TX).by_width.unwrap();
    for finest in &found.finest {
        assert_eq!(finest.width_s, None);
        let Some(Reason::ErrorNotBelow { hi, .. }) = finest.why else { panic!("{finest:?}") };
        assert!((hi - 1.0).abs() < 1e-9, "{finest:?}");
    }
    let profiler = "perf-sample-999-callchain";
    let lab = lab(profiler, 0.1, &[(0, 0, 2), (0, 0, 2)]);
    let found = of(&lab, profiler, TX).by_width.unwrap();
    assert_eq!(found.finest[0].why, Some(Reason::SharesNotCalls));
    // r needs 30 bins. 64 bins are 32 twice as wide, in which neighbours are alike, and 16 four
    // times as wide.
    let constant = Reason::Constant { series: Compared::Method };
    assert_eq!(*why(found.widths[1].figures.of(R_M)), constant);
    assert_eq!(*why(found.widths[2].figures.of(R_M)), Reason::TooFewBins { bins: 16, least: 30 });
}

#[test]
fn one_run_with_short_sections_has_no_interval_in_wide_bins() {
    let calls: Vec<u64> = (0..64).map(|bin| 100 + bin * 7 % 13).collect();
    let lab = series(&[[calls.clone(), calls.clone(), calls]]);
    let widths = of(&lab, COUNT, TX).by_width.unwrap().widths;
    // Sections of 32, 16, 8 and 4 bins.
    let ends: Vec<bool> =
        widths.iter().map(|at| known(at.figures.of(SERIES_ERROR)).hi.is_some()).collect();
    assert_eq!(ends, [true, true, true, false]);
}

/// Resamples of three bins are hardly more than those bins: their interval had no width.
#[test]
fn one_run_with_short_sections_has_no_interval() {
    let calls: Vec<u64> = (0..64).map(|bin| 100 + bin * 7 % 13).collect();
    let mut lab = series(&[[calls.clone(), calls.clone(), calls]]);
    let ends = |lab: &Lab| {
        let figures = of(lab, COUNT, TX).figures;
        [R_0, R_M, SERIES_ERROR].map(|row| known(figures.of(row)).hi.is_some())
    };
    assert_eq!(ends(&lab), [true; 3]);
    for trial in 0..2 {
        let trial = measured(&mut lab, trial);
        let mark =
            |section: usize| SectionMark { first_bin: 3 * section, ..SectionMark::default() };
        trial.sections = (0..22).map(mark).collect();
    }
    assert_eq!(ends(&lab), [false; 3]);
}
