//! The figures within sections, by hand.

use super::{
    planted::{BINS, viewed},
    *,
};
use crate::{
    analysis::gaps,
    model::trial::{Degradation, DegradationKind},
};

/// Sections of 30 bins, of which these are degraded: from a little behind their edge to a little
/// behind the last one's.
fn view(calls: &[f64], frames: &[f64], seen: &[f64], degraded: Range<usize>) -> View {
    let kind = DegradationKind::Hogs;
    let [from_s, to_s] = [degraded.start, degraded.end].map(|bin| 0.1 * bin as f64 + 0.04);
    viewed(&[calls, frames, seen].map(<[f64]>::to_vec), |measured| {
        measured.degradations = vec![Degradation { from_s, to_s, kind }];
    })
}

/// Of 60 bins.
fn bins(of: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..2 * BINS).map(of).collect()
}

#[test]
fn levels_of_sections_do_not_count() {
    let swing = |bin: usize| if bin.is_multiple_of(2) { 1.0 } else { -1.0 };
    let high = |bin: usize, first: bool| if (bin < BINS) == first { 1000.0 } else { 10.0 };
    let frames = bins(|bin| high(bin, true) + swing(bin));
    // In each section it does as the throughput does, although it falls where that rises.
    let calls = bins(|bin| high(bin, false) + swing(bin));
    let against = bins(|bin| 50.0 - swing(bin));
    let view = view(&calls, &frames, &against, 0..1);
    let close = |within: Within, r: f64| {
        assert!((within.value(&view).unwrap() - r).abs() < 1e-9, "{within:?}");
    };
    close(Within::R(Side::ReferenceCounter), 1.0);
    close(Within::R(Side::Method), -1.0);
    close(Within::Calls, -1.0);
    close(Within::RLoss, 2.0);
    assert_eq!(Within::Bits.value(&view), Err(Reason::FollowsExactly));
}

#[test]
fn pairs_of_a_section_are_counted_and_ties_half() {
    // Of degraded bins 1 and 2 in the first section, the one shows less than all 28 others, the
    // other as much. The second section has no degraded bin.
    let seen = bins(|bin| match bin {
        1 => 1.0,
        BINS.. => 0.0,
        _ => 2.0,
    });
    let calls = bins(|bin| if bin == 1 || bin == 2 { 5.0 } else { 7.0 });
    let view = view(&calls, &calls, &seen, 1..3);
    let value = |within: Within| within.value(&view).unwrap();
    assert_eq!(value(Within::Detection(Side::Method)), 0.75);
    assert_eq!(value(Within::Detection(Side::ReferenceCounter)), 1.0);
    assert_eq!(value(Within::DetectionLoss), 0.25);
}

#[test]
fn what_does_not_exist_says_why() {
    let steps = bins(|bin| if bin < BINS { 5.0 } else { 9.0 });
    let frames = bins(|bin| (bin % 7) as f64);
    let flat = view(&steps, &frames, &frames, 0..0);
    let constant = Reason::ConstantWithin { series: Compared::ReferenceCounter };
    assert_eq!(Within::R(Side::ReferenceCounter).value(&flat), Err(constant));
    let degraded = Within::Detection(Side::Method).value(&flat);
    assert_eq!(degraded, Err(Reason::NoDegradation));
    let short = view(&steps[..20], &frames[..20], &frames[..20], 0..1);
    let few = Reason::TooFewBins { bins: 20, least: FEWEST_BINS };
    assert_eq!(Within::R(Side::Method).value(&short), Err(few));
    let odd = view(&steps, &frames, &frames[..59], 0..1);
    assert_eq!(Within::Calls.value(&odd), Err(Reason::Lengths { bins: [59, 60] }));
}

#[test]
fn a_gap_is_silence_while_calls_happen() {
    // Silent in bins 3 to 6 and 10 to 19; in bin 15 nothing happened.
    let calls = bins(|bin| if bin == 15 { 0.0 } else { 3.0 });
    let seen = bins(|bin| if (3..7).contains(&bin) || (10..20).contains(&bin) { 0.0 } else { 3.0 });
    let longest = gaps::longest(&view(&calls, &calls, &seen, 0..1)).unwrap();
    assert!((longest - 0.5).abs() < 1e-9, "{longest}");
    assert_eq!(gaps::longest(&view(&calls, &calls, &calls, 0..1)), Ok(0.0));
}
