use super::*;
use crate::model::figure::Basis;
use crate::{
    analysis::{
        binned,
        correlation::Coefficient,
        estimate::Bounds,
        fixture::{
            Lab,
            steps::{STEP, Step, climb},
        },
    },
    model::trial::{Pace, Part},
};

const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Saturated);
const LEVEL: Scale = Scale::Level(Bounds::Positive);

/// One trial per block, with two sections; the level of the second section is given per block.
fn lab(levels: &[f64]) -> Lab {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    for (block, &level) in (0..).zip(levels) {
        let steps = [Step::of(1, 0, 1000.0, 100.0), Step::of(1, 1, level, 100.0)];
        lab.done(block, FIDELITY, "off", |measured| climb(measured, &steps, 2));
    }
    lab
}

fn throughput(lab: &Lab, which: &[usize]) -> Figure {
    let off = MethodId(MethodId::OFF.into());
    let stretches = Stretches::of(&lab.trials(), &off, which, 1).unwrap();
    stretches.figure(LEVEL, binned::throughput, ratio)
}

#[test]
fn several_blocks_are_the_sample() {
    // Bits per second: 8000, 16000, 24000. s = 8000, t[0.975, 2] = 4.302653: 16000 ± 19873, cut off
    // at 0.
    let figure = throughput(&lab(&[1000.0, 2000.0, 3000.0]), &[1]);
    let found = figure.known().unwrap();
    assert!((found.estimate - 16_000.0).abs() < 1e-6, "{found:?}");
    assert_eq!((found.n, found.lo), (3, Some(0.0)));
    assert!((found.hi.unwrap() - 35_873.0).abs() < 1.0, "{found:?}");
    assert!(found.notes.is_empty(), "{found:?}");
}

#[test]
fn one_block_has_the_interval_of_its_own_bins_in_these_sections_alone() {
    let figure = throughput(&lab(&[2000.0]), &[1]);
    let found = figure.known().unwrap();
    assert!((found.estimate - 16_000.0).abs() < 1e-6 && found.n == 1, "{found:?}");
    assert!(found.notes.is_empty() && found.basis == Basis::WithinRun, "{found:?}");
    // Bins are 14400 or 17600; no bin of the other section, of 8000, is in the resamples.
    let (lo, hi) = (found.lo.unwrap(), found.hi.unwrap());
    assert!(lo > 15_000.0 && lo < 16_000.0 && hi > 16_000.0 && hi < 17_000.0, "{found:?}");
    // Both sections together: their mean, and an interval that does not include the step between
    // them.
    let both = throughput(&lab(&[2000.0]), &[0, 1]);
    let both = both.known().unwrap();
    assert!((both.estimate - 12_000.0).abs() < 1e-6, "{both:?}");
    assert!(both.hi.unwrap() - both.lo.unwrap() < 1000.0, "{both:?}");
}

#[test]
fn a_section_that_is_not_there_says_so() {
    let lab = lab(&[1000.0]);
    let off = MethodId(MethodId::OFF.into());
    assert!(Stretches::of(&lab.trials(), &off, &[2], 1).is_err());
    let never = MethodId("ftrace-function".into());
    assert!(Stretches::of(&lab.trials(), &never, &[0], 1).is_err());
}

#[test]
fn sections_end_where_the_next_begins() {
    let lab = lab(&[1000.0]);
    let trials = lab.trials();
    let off = MethodId(MethodId::OFF.into());
    let chosen = trials.single(TrialFilter::FIDELITY, &off).unwrap();
    assert_eq!(ranges(chosen.items[0]), [0..STEP, STEP..2 * STEP]);
}

#[test]
fn what_is_made_of_bins_by_hand() {
    let parts = [
        Slice { a: &[2.0, 6.0], b: &[1.0, 2.0], weights: &[1.0; 2] },
        Slice { a: &[4.0], b: &[1.0], weights: &[1.0] },
    ];
    assert_eq!(ratio(&parts), Ok(3.0));
    // 2, 3 and 4: standard deviation 1, mean 3.
    assert_eq!((deviation(&parts), variation(&parts)), (Ok(1.0), Ok(1.0 / 3.0)));
    // The first of them twice, the second not at all: 2, 2, 4.
    let again = [Slice { weights: &[2.0, 0.0], ..parts[0] }, parts[1]];
    assert_eq!(ratio(&again), Ok(8.0 / 3.0));
    assert!((deviation(&again).unwrap() - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert!(ratio(&[Slice { a: &[1.0], b: &[0.0], weights: &[1.0] }]).is_err());
    let nothing = Slice { a: &[0.0; 3], b: &[1.0; 3], weights: &[1.0; 3] };
    assert!(variation(&[nothing]).is_err());
}

#[test]
fn r_leaves_out_what_is_not_known() {
    let a: Vec<f64> = (0..31).map(f64::from).collect();
    let mut b = a.clone();
    b[7] = f64::NAN;
    let r = |a: &[f64], b: &[f64]| {
        let two = Two { a: a.to_vec(), b: b.to_vec() };
        Quantity::correlation(
            &[two],
            Coefficient::Pearson,
            [Compared::ReferenceCounter, Compared::Throughput],
        )
    };
    assert!((r(&a, &b).unwrap().value - 1.0).abs() < 1e-12);
    b[8] = f64::NAN;
    assert_eq!(r(&a, &b).err(), Some(Reason::TooFewBins { bins: 29, least: 30 }));
}

#[test]
fn a_smaller_alpha_widens_the_interval_and_says_so() {
    let lab = lab(&[1000.0, 2000.0, 3000.0]);
    let off = MethodId(MethodId::OFF.into());
    let stretches = Stretches::of(&lab.trials(), &off, &[1], 1).unwrap().at(0.01);
    let figure = stretches.figure(LEVEL, binned::throughput, ratio);
    let found = figure.known().unwrap();
    // t[0.995, 2] = 9.92484.
    assert!((found.hi.unwrap() - 61_841.0).abs() < 1.0, "{found:?}");
    assert_eq!(found.notes, [Note::Confidence { per_cent: 99.0 }]);
    // Within one run.
    let lab = self::lab(&[2000.0]);
    let of = |alpha| {
        let stretches = Stretches::of(&lab.trials(), &off, &[1], 1).unwrap().at(alpha);
        let figure = stretches.figure(LEVEL, binned::throughput, ratio);
        let found = figure.known().unwrap().clone();
        found.hi.unwrap() - found.lo.unwrap()
    };
    assert!(of(0.001) > of(0.05));
}
