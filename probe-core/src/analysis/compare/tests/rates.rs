//! How often `compare` is wrong, through all that stands between two journals and the exit status.

use rand::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::analysis::fixture::{
    drawn::{Drawn, Scatter},
    normal,
};

/// Before all figures were one family, 14 to 29 % of such comparisons failed.
#[test]
fn two_campaigns_of_the_same_seldom_differ() {
    for (methods, blocks, scatter, times) in [
        (4, 10, Scatter::Even, 100),
        (4, 4, Scatter::Levels, 100),
        (4, 10, Scatter::Skewed, 60),
        (9, 4, Scatter::Unlike, 40),
    ] {
        let drawn = Drawn { methods, blocks, scatter };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(19);
        let mut figures = 0;
        let worse = (0..times).filter(|_| {
            let found = compared(&drawn.campaign(true, &mut rng), &drawn.campaign(true, &mut rng));
            figures = found.changes.iter().filter(|one| one.difference.p.is_some()).count();
            found.is_worse()
        });
        let worse = worse.count();
        println!("{drawn:?}: {worse} of {times} worse, by {figures} figures");
        assert!(figures >= methods * 11, "{figures}");
        // 0.05, and no more in 999 of 1000 tests.
        let expected = 0.05 * f64::from(times);
        let most = expected + 3.3 * (0.95 * expected).sqrt();
        assert!(worse as f64 <= most, "{drawn:?}: {worse} of {times}");
    }
}

/// A gate as it is told to fail: every other time at its limit, four of five times from
/// `fails_from` on.
#[test]
fn a_gate_fails_at_the_difference_that_it_names_in_four_of_five_comparisons() {
    let gate = "overhead.kernel_ns_per_event>60".parse::<Gate>().unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(20);
    let mut blocks = |mean| costs(Platform::Native, 1, &normal(&mut rng, 10, mean, 30.0));
    let mut failed = |more: f64, times: u32| {
        let (mut failed, mut from) = (0, Vec::new());
        for _ in 0..times {
            let found =
                compare(&blocks(1000.0), &blocks(1000.0 + more), std::slice::from_ref(&gate))
                    .unwrap();
            failed += u32::from(found.is_worse());
            from.extend(found.gates[0].methods[0].fails_from);
        }
        (f64::from(failed) / f64::from(times), mean(&from))
    };
    let (at_the_limit, from) = failed(60.0, 150);
    let (there, _) = failed(from, 150);
    println!("fails from {from:.1}: {there:.2}; at the limit {at_the_limit:.2}");
    assert!((0.38..0.62).contains(&at_the_limit), "{at_the_limit}");
    assert!((0.70..0.90).contains(&there), "{there}");
}
