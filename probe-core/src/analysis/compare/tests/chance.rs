//! How often chance misleads, and what holds of any campaign.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{COST, COUNT, compared, costs, of};
use crate::analysis::estimate::Scale;
use crate::analysis::figures::table::KERNEL_NS_PER_EVENT;
use crate::{
    analysis::{
        compare::{
            Change, Comparison, Difference, Gate, Verdict,
            difference::{Placed, Spread},
            verdict,
        },
        correlation::mean,
        fixture::normal,
    },
    model::{
        figure::{Estimate, Platform},
        method::MethodId,
    },
};

#[test]
fn welch_by_hand() {
    // Means 3 and 7, variances 2.5 and 10/3: squared errors 0.5 and 0.83333.
    let found = Spread::independent(&[1.0, 2.0, 3.0, 4.0, 5.0], &[5.0, 6.0, 8.0, 9.0]).unwrap();
    assert!((found.error - 1.154_700_538).abs() < 1e-8, "{found:?}");
    // 1.33333² / (0.5²/4 + 0.83333²/3) = 1.77778 / 0.293981.
    assert!((found.freedom - 6.047_244_094).abs() < 1e-8, "{found:?}");
    assert!(Spread::independent(&[1.0], &[1.0, 2.0]).is_none());
    let equal = Spread::independent(&[1.0; 3], &[1.0; 3]).unwrap();
    assert_eq!((equal.half(), equal.p(0.0), equal.p(1.0)), (0.0, 1.0, 0.0));
}

#[test]
fn welch_holds_the_truth_as_often_as_it_says() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    for (of_base, of_new, scatter) in [(4, 4, 1.0), (10, 10, 1.0), (10, 5, 3.0), (3, 10, 3.0)] {
        let held = (0..4000)
            .filter(|_| {
                let base = normal(&mut rng, of_base, 1.0, 1.0);
                let new = normal(&mut rng, of_new, 1.5, scatter);
                let spread = Spread::independent(&base, &new).unwrap();
                (mean(&new) - mean(&base) - 0.5).abs() <= spread.half()
            })
            .count();
        let covered = held as f64 / 4000.0;
        println!("Welch, {of_base} and {of_new} blocks, scatter 1 and {scatter}: {covered:.3}");
        assert!((0.937..0.972).contains(&covered), "{of_base}, {of_new}: {covered}");
    }
}

/// A campaign of five methods, all of whose costs scatter about their own level times `factor`.
fn noisy(
    rng: &mut Xoshiro256PlusPlus,
    template: &Comparison,
    blocks: usize,
    factor: f64,
) -> Comparison {
    let levels = [150.0, 200.0, 350.0, 600.0, 1200.0];
    let mut drawn = |level: f64| -> Placed {
        (0..).map(|block| (0, block)).zip(normal(rng, blocks, level, 0.05 * level)).collect()
    };
    let change = |level: f64| {
        let (before, after) = (drawn(level), drawn(level * factor));
        let estimate = |values: &Placed| Estimate {
            estimate: mean(&values.values().copied().collect::<Vec<_>>()),
            ..template.changes[0].base.clone()
        };
        let (base, new) = (estimate(&before), estimate(&after));
        let between = [(&base, &before), (&new, &after)];
        let difference = Difference::between(Scale::Difference, between, false, None);
        Change { base, new, difference, ..template.changes[0].clone() }
    };
    let mut comparison = template.clone();
    comparison.changes = levels.map(change).into();
    for (change, method) in comparison.changes.iter_mut().zip(["a", "b", "c", "d", "e"]) {
        change.method = MethodId(method.into());
    }
    verdict::decide(&mut comparison.changes);
    comparison
}

#[test]
fn false_alarms_and_true_ones_come_at_the_stated_rates() {
    let gate: Gate = "overhead.kernel_ns_per_event>10%".parse().unwrap();
    let campaign = costs(Platform::Native, 1, &[200.0, 201.0]);
    let template = compared(&campaign, &campaign);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(6);
    let mut rates = |factor: f64| {
        let (mut worse, mut failed, mut refused, rounds) = (0, 0, 0, 1000);
        for _ in 0..rounds {
            let mut found = noisy(&mut rng, &template, 10, factor);
            worse += usize::from(found.is_worse());
            found.gates = vec![gate.judge(&found.changes, &[])];
            failed += usize::from(found.is_worse());
            refused += usize::from(found.refused().next().is_some());
        }
        [worse, failed, refused].map(|n| n as f64 / f64::from(rounds))
    };
    // Nothing changed: any of five methods said to be worse in at most 2.5 % of the comparisons.
    let [worse, failed, refused] = rates(1.0);
    println!("no change: worse {worse:.3}, gate failed {failed:.3}, refused {refused:.3}");
    assert!(worse <= 0.035 && failed == 0.0, "{worse} {failed}");
    // All costs grew by a fifth: hardly ever missed.
    let [worse, failed, _] = rates(1.2);
    println!("a fifth more: worse {worse:.3}, gate failed {failed:.3}");
    assert!(worse > 0.99 && failed > 0.99, "{worse} {failed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_scaled_cost_is_worse_by_that_factor(
        cost in 300.0..3000.0_f64, factor in 1.1..3.0_f64, seed in any::<u64>(), blocks in 4..8_usize,
        counted in any::<bool>(),
    ) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let values = normal(&mut rng, blocks, cost, 0.005 * cost);
        let scaled: Vec<f64> = values.iter().map(|cost| cost * factor).collect();
        let clock = if counted { Platform::Counted } else { Platform::Native };
        let [base, new] = [values, scaled].map(|values| costs(clock, 1, &values));
        let there = compared(&base, &new);
        let change = of(&there, COUNT, COST);
        prop_assert_eq!(change.verdict, Verdict::Worse);
        prop_assert!((change.difference_pct.unwrap() - 100.0 * (factor - 1.0)).abs() < 1e-3);
        let back = compared(&new, &base);
        prop_assert_eq!(of(&back, COUNT, COST).verdict, Verdict::Better);
        prop_assert!(!back.is_worse());
    }

    #[test]
    fn the_interval_holds_the_difference_and_the_resolution_is_no_finer(
        base in proptest::collection::vec(-500.0..500.0_f64, 2..12),
        new in proptest::collection::vec(-500.0..500.0_f64, 2..12),
    ) {
        let values = |list: &[f64]| -> Placed {
            list.iter().enumerate().map(|(at, value)| ((0, at), *value)).collect()
        };
        let template = costs(Platform::Native, 1, &[200.0, 201.0]);
        let known = template.summary.methods[1].overhead.of(KERNEL_NS_PER_EVENT).known().unwrap().clone();
        let estimate = |list: &[f64]| Estimate { estimate: mean(list), ..known.clone() };
        let (was, is) = (estimate(&base), estimate(&new));
        let (before, after) = (values(&base), values(&new));
        let found = Difference::between(Scale::Difference, [(&was, &before), (&is, &after)], false, None);
        let (lo, hi) = (found.lo.unwrap(), found.hi.unwrap());
        prop_assert!(lo <= found.difference && found.difference <= hi);
        prop_assert!(found.resolution.unwrap() >= (hi - lo) / 2.0);
        let back = Difference::between(Scale::Difference, [(&is, &after), (&was, &before)], false, None);
        prop_assert!((back.difference + found.difference).abs() < 1e-9);
        prop_assert!((back.lo.unwrap() + hi).abs() < 1e-6);
    }
}
