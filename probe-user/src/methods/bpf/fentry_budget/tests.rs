#![expect(clippy::cast_precision_loss, reason = "small numbers")]

use probe_ebpf::fentry_budget::{LEAST, RATE_BITS, SETTLE};
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{super::rates::Prices, *};

#[test]
fn a_hook_that_costs_more_than_the_budget_says_so() {
    let mut hook = Hook { price: 20.0, budget: 0.01, ..Hook::new(2) };
    hook.start(Nanos(1000));
    // 4000 calls of 20 ns in 10 ms are 0.8 % of the CPU; 6000 are 1.2 %.
    hook.read(Nanos(10_001_000), [4000, 0].into_iter());
    assert!(!hook.exceeds(), "{hook:?}");
    hook.read(Nanos(10_001_500), [9999, 0].into_iter());
    assert!(!hook.exceeds(), "too short a time: {hook:?}");
    hook.read(Nanos(20_001_000), [4000, 6000].into_iter());
    assert!(hook.exceeds(), "{hook:?}");
}

#[test]
fn rates_fit_the_programs_words() {
    let prices = Prices { call: 20.0, record: 300.0 };
    let usual = Rates::new(0.01, Nanos(1_000_000_000), prices);
    let expected = Rates {
        tokens: 10_000_000_000,
        rate: 10 << RATE_BITS,
        capacity: 10_000_000_000,
        call_price: 20_000,
        record_price: 300_000,
    };
    assert_eq!(usual, expected);
    let longest = Rates::new(1.0, Nanos(60_000_000_000), prices);
    assert!(longest.capacity < 1 << 60, "{longest:?}");
    // 100 ns are less than a record, and less than the calls between two settlements.
    let shortest = Rates::new(0.0001, Nanos(1_000_000), prices);
    assert_eq!(shortest.capacity, 16 * 300_000);
}

/// A CPU with a call every few ns: simulates the bucket without a kernel.
struct Played {
    slot: Slot,
    random: Xoshiro256PlusPlus,
    now: u64,
    weights: Weights,
}

impl Played {
    fn new(rates: Rates) -> Self {
        let Rates { tokens, rate, capacity, call_price, record_price } = rates;
        let [calls, lost, lost_weight, variance, settled, settled_at] = [0; 6];
        let scale = (1 << 60) / capacity;
        let slot = Slot {
            calls,
            lost,
            lost_weight,
            variance,
            threshold: 1 << 32,
            tokens: tokens.cast_signed(),
            settled,
            settled_at,
            least: 1 << 32,
            rate,
            capacity,
            scale,
            call_price,
            record_price,
        };
        let random = Xoshiro256PlusPlus::seed_from_u64(7);
        Self { slot, random, now: 0, weights: Weights::default() }
    }

    /// Returns the share of the time that calls and records cost at `prices`.
    fn run(&mut self, calls: u64, gap: u64, prices: Prices) -> f64 {
        let before = self.weights.drawn;
        for _ in 0..calls {
            self.now += gap;
            self.slot.calls += 1;
            let threshold = self.slot.threshold;
            let drawn = u64::from(self.random.random::<u32>()) < threshold;
            if drawn {
                self.weights.add(weight(threshold));
            }
            if drawn || self.slot.calls.is_multiple_of(SETTLE) {
                self.slot.settle(self.now, drawn);
            }
        }
        let spent =
            calls as f64 * prices.call + (self.weights.drawn - before) as f64 * prices.record;
        spent / (calls * gap) as f64
    }

    fn variance(&self) -> f64 {
        let Slot { variance: settled, calls, settled: until, threshold, .. } = self.slot;
        variance(settled, calls - until, threshold)
    }

    /// By how many standard deviations the estimate differs from the truth.
    fn away(&self) -> f64 {
        (self.weights.sum - self.slot.calls as f64) / self.variance().sqrt()
    }
}

#[test]
fn the_bucket_keeps_to_the_budget_through_a_tenfold_step() {
    let prices = Prices { call: 5.0, record: 300.0 };
    let mut played = Played::new(Rates::new(0.01, Nanos(1_000_000_000), prices));
    // 100 thousand calls per second, a million, and the first rate again.
    for (calls, gap) in [(1_000_000, 10_000), (4_000_000, 1_000), (1_000_000, 10_000)] {
        // Meanwhile it spends no more than what comes in plus what the bucket held.
        let on_the_way = played.run(calls / 2, gap, prices);
        let bucket = 0.01 * 1e9 / ((calls / 2) * gap) as f64;
        assert!(on_the_way < 0.01 + bucket, "{on_the_way} at {gap}");
        let settled = played.run(calls, gap, prices);
        assert!((0.0099..0.0101).contains(&settled), "{settled} at {gap}");
    }
    assert!(played.away().abs() < 4.0, "{}", played.away());
}

#[test]
fn below_its_budget_everything_is_recorded_and_above_it_hardly_anything() {
    let prices = Prices { call: 10.0, record: 300.0 };
    let rates = Rates::new(0.01, Nanos(1_000_000_000), prices);
    let mut played = Played::new(rates);
    played.run(100_000, 100_000, prices);
    assert!(played.weights.drawn > 99_000, "{:?}", played.weights);
    // The hook alone takes 5 %: once the bucket is empty, one call in 2^16 is recorded.
    let mut flooded = Played::new(rates);
    flooded.run(1_000_000, 200, prices);
    let before = flooded.weights.drawn;
    flooded.run(1_000_000, 200, prices);
    assert!(flooded.weights.drawn - before < 40, "{:?}", flooded.weights);
}

#[test]
fn a_bucket_of_few_records_is_spent_like_a_large_one() {
    let prices = Prices { call: 20.0, record: 300.0 };
    for window in [1_000_000, 1_000_000_000] {
        // A microsecond per millisecond, enough for 50 calls; the hook takes a third of the budget,
        // then a twelfth.
        for gap in [60_000, 240_000] {
            let mut played = Played::new(Rates::new(0.001, Nanos(window), prices));
            played.run(100_000, gap, prices);
            let settled = played.run(1_000_000, gap, prices);
            assert!((0.00098..0.00102).contains(&settled), "{settled} of {window} at {gap}");
        }
    }
}

#[test]
fn what_is_lost_keeps_its_weight() {
    for threshold in [1 << 32, (1 << 32) - 1, 15 << 28, 3 << 30, 5 << 29, 1 << 31, 1 << 20] {
        let mut played = Played::new(Rates::ALWAYS);
        played.slot.lose(threshold);
        let found = lost(played.slot.lost, played.slot.lost_weight);
        // Half of the last bit.
        let away = (found.sum - weight(threshold)).abs();
        assert!(found.drawn == 1 && away <= 1.0 / 131_072.0, "{found:?} at {threshold}");
    }
}

#[test]
fn a_variance_ends_at_its_greatest() {
    let mut played = Played::new(Rates::NEVER);
    (played.slot.threshold, played.slot.variance) = (LEAST, u64::MAX - 1);
    played.slot.calls = SETTLE;
    played.slot.settle(0, false);
    assert_eq!(played.slot.variance, u64::MAX);
}

/// Calls come in a burst that the budget cannot pay for, hardly any is drawn, and after a pause the
/// probability is high again: nothing that was drawn tells of the burst. The interval contains the
/// truth as often as claimed all the same, or more often.
#[test]
fn a_burst_that_left_no_record_widens_the_interval() {
    const ROUNDS: u32 = 1000;
    let prices = Prices { call: 300.0, record: 1000.0 };
    let rates = Rates::new(0.001, Nanos(20_000_000), prices);
    let (mut held, mut mean) = (0, 0.0);
    for seed in 0..ROUNDS {
        let mut played = Played::new(rates);
        played.random = Xoshiro256PlusPlus::seed_from_u64(seed.into());
        for (calls, gap) in [(200, 1_000_000), (3000, 10_000), (64, 1_000_000_000), (20, 1_000_000)]
        {
            played.run(calls, gap, prices);
        }
        assert!(played.slot.threshold > 1 << 30, "{:?}", played.slot.threshold);
        let calls = played.slot.calls as f64;
        let estimate = played.weights.estimate(played.variance());
        held += u32::from((estimate.lo..=estimate.hi).contains(&calls));
        mean += estimate.calls / calls / f64::from(ROUNDS);
    }
    assert!(held >= ROUNDS * 94 / 100, "{held} of {ROUNDS}, {mean}");
}

#[test]
fn budgets_out_of_bounds_are_refused() {
    for word in ["budget_pct=0", "budget_pct=101", "budget_pct=NaN", "window_ms=60001"] {
        let mut options = Options::parse(&format!("{ID}:{word}")).unwrap();
        assert!(make(&mut options).is_err(), "{word}");
    }
}
