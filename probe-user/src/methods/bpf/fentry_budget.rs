//! `bpf-fentry-budget`: counts every call, and records as many as a CPU budget pays for.
//!
//! See [`probe_ebpf::fentry_budget`] for how the program keeps to it. The budget is a share of each CPU and is divided
//! among the functions; the prices are found at attach. A record says with which probability it was drawn, so it stands
//! for `1/p` calls; the estimate is `Σ 1/p`. The reader's time is not in the budget. Where the hook and the count alone
//! cost more than the budget, no probability helps: the result says so.
//!
//! In any stretch of time, each CPU spends what its budget gives in that time and what the bucket held, and no more: the
//! window's worth, or where that is next to nothing [`RECORDS`] records' or [`SETTLE`] calls'.

use std::mem::offset_of;

use serde_json::json;

use probe_ebpf::{
    fentry_budget::{LEAST, PROGRAM, RATE_BITS, SCALE_BITS, SETTLE, SLOTS, Slot, WEIGHT_BITS},
    ring::RING,
};

use super::{
    estimate::Weights,
    fentry_ringbuf::Shape,
    prices::{self, Prices},
    session::{Account, Design, Details, Fentry, Kind, Part, Traced, check_drawn},
};
use crate::{
    error::{Error, Result},
    kernel::{
        bpf::{
            probe::{Probe, Probes},
            ring::Ring,
            slots::Slots,
        },
        clock,
    },
    methods::{Cadence, Method, Sink, options::Options},
    model::{
        method::{Class, SeriesUnit},
        target::Function,
        units::Nanos,
    },
};

/// Its id.
pub(super) const ID: &str = "bpf-fentry-budget";

/// What a probability of 1 is in a program.
const CERTAIN: f64 = (1_u64 << 32) as f64;

/// A bucket holds so many records at least: the level sets the probability, and one record must not be most of it.
const RECORDS: f64 = 16.0;

/// The method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    let budget_pct: f64 = options.take("budget_pct", 1.0)?;
    let window_ms = options.positive("window_ms", 1000)?;
    if !(0.01..=100.0).contains(&budget_pct) || window_ms > 60_000 {
        return Err(Error::invalid(
            format!("method `{ID}`"),
            format!("no budget is {budget_pct} % of a CPU over {window_ms} ms"),
            "Give a budget_pct from 0.01 to 100 and a window_ms of at most 60000",
        ));
    }
    let shape = Shape::take(options, 1024)?;
    let mut parameters = shape.parameters();
    parameters.insert("budget_pct".into(), json!(budget_pct));
    parameters.insert("window_ms".into(), json!(window_ms));
    let kind = Kind {
        class: Class::Sampled,
        unit: SeriesUnit::Calls { factor: 1.0 },
        summary: format!(
            "fentry programs count each call and record what {budget_pct} % of a CPU pays for"
        ),
        parameters,
    };
    Ok(Box::new(Fentry::new(options, kind, Budget { shape, budget_pct, window_ms })))
}

#[derive(Debug)]
struct Budget {
    shape: Shape,
    /// Of each CPU.
    budget_pct: f64,
    /// The bucket holds what the budget gives in this time, or a little more.
    window_ms: u32,
}

/// What the programs are told, in their units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rates {
    /// At the start.
    tokens: u64,
    rate: u64,
    capacity: u64,
    call_price: u64,
    record_price: u64,
}

impl Rates {
    /// Nothing is ever paid for, so the least probability holds.
    pub(super) const NEVER: Self =
        Self { tokens: 0, rate: 0, capacity: 1 << 32, call_price: 0, record_price: 0 };
    /// Everything is free.
    pub(super) const ALWAYS: Self = Self { tokens: 1 << 32, ..Self::NEVER };

    /// `share` of a CPU at these prices, in a bucket for `window` of it, full.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "positive, and far below 2^60 by the bounds of the parameters"
    )]
    fn new(share: f64, window: Nanos, prices: Prices) -> Self {
        const PS_PER_NS: f64 = 1000.0;
        let ps = |ns: f64| (ns * PS_PER_NS).round() as u64;
        let fraction = f64::from(1_u32 << RATE_BITS);
        let least = f64::max(RECORDS * prices.record, SETTLE as f64 * prices.call);
        let capacity = ps(f64::max(share * window.as_secs() * 1e9, least));
        Self {
            tokens: capacity,
            rate: (share * PS_PER_NS * fraction).round() as u64,
            capacity,
            call_price: ps(prices.call),
            record_price: ps(prices.record),
        }
    }

    /// Sets the slots, all CPUs alike; the probe must not be attached.
    pub(super) fn fill(self, slots: &Slots, probe: &Probe) -> Result<()> {
        // The order of the slot's words.
        const { assert!(offset_of!(Slot, threshold) == 32 && offset_of!(Slot, record_price) == 96) };
        let Self { tokens, rate, capacity, call_price, record_price } = self;
        let scale = (1 << (32 + SCALE_BITS)) / capacity;
        let threshold = ((tokens * scale) >> SCALE_BITS).max(LEAST);
        let now = clock::now().0;
        let config = [rate, capacity, scale, call_price, record_price];
        slots.fill(probe.map(SLOTS)?, |_| {
            let [rate, capacity, scale, call, record] = config;
            [0, 0, 0, 0, threshold, tokens, 0, now, rate, capacity, scale, call, record]
        })
    }
}

/// Loads the program for `function` with a ring of so many bytes.
pub(super) fn load_on(
    probes: &mut Probes,
    function: &Function,
    name: &str,
    ring_bytes: u32,
) -> Result<(Probe, Slots, Ring<2>)> {
    let cpus = probes.cpus();
    let probe = probes.load(PROGRAM, name, &[(RING, ring_bytes), (SLOTS, cpus)], function)?;
    let ring = Ring::new(probe.map(RING)?, ring_bytes, probe.function())?;
    let slots = Slots::of::<Slot>(&probe, SLOTS)?;
    Ok((probe, slots, ring))
}

impl Design for Budget {
    type Part = Spending;

    fn cadence(&self) -> Cadence {
        self.shape.cadence()
    }

    fn load(&self, probes: &mut Probes, f: &Function, name: &str) -> Result<(Probe, Spending)> {
        let (probe, slots, ring) = load_on(probes, f, name, self.shape.bytes())?;
        let hook = Hook::new(slots.cpus());
        Ok((
            probe,
            Spending { ring, slots, rates: Rates::NEVER, weights: Weights::default(), hook },
        ))
    }

    fn try_out(&self) -> Result<()> {
        prices::try_out()
    }

    fn prepare(&self, traced: &mut [Traced<Spending>]) -> Result<Details> {
        let (prices, mut details) = prices::calibrate()?;
        #[expect(clippy::cast_precision_loss, reason = "no target has 2^53 functions")]
        let share = self.budget_pct / 100.0 / traced.len().max(1) as f64;
        let window = Nanos(u64::from(self.window_ms) * 1_000_000);
        let rates = Rates::new(share, window, prices);
        for Traced { part, .. } in traced {
            part.rates = rates;
            part.hook.price = prices.call;
            part.hook.budget = share;
        }
        details.insert("budget_pct_of_cpu_per_function".into(), json!(share * 100.0));
        details.insert("capacity_ns".into(), json!(rates.capacity / 1000));
        Ok(details)
    }
}

#[derive(Debug)]
struct Spending {
    ring: Ring<2>,
    slots: Slots,
    rates: Rates,
    /// Of the records.
    weights: Weights,
    hook: Hook,
}

/// What the hook and the count cost by themselves, between one read and the next.
#[derive(Debug)]
struct Hook {
    /// ns per call.
    price: f64,
    /// Share of a CPU.
    budget: f64,
    /// When the calls of each CPU were read last, and what they were.
    at: Nanos,
    calls: Vec<u64>,
    /// The largest share of one CPU.
    most: f64,
}

impl Hook {
    /// Shorter stretches say little about a rate.
    const SHORTEST: Nanos = Nanos(10_000_000);

    fn new(cpus: usize) -> Self {
        Self { price: 0.0, budget: 0.0, at: Nanos(0), calls: vec![0; cpus], most: 0.0 }
    }

    fn start(&mut self, at: Nanos) {
        self.at = at;
        self.calls.fill(0);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and times far below 2^53")]
    fn read(&mut self, at: Nanos, calls: impl Iterator<Item = u64>) {
        let elapsed = at.since(self.at);
        if elapsed < Self::SHORTEST {
            return;
        }
        self.at = at;
        for (before, now) in self.calls.iter_mut().zip(calls) {
            let share = (now - *before) as f64 * self.price / elapsed.0 as f64;
            self.most = self.most.max(share);
            *before = now;
        }
    }

    fn exceeds(&self) -> bool {
        self.most > self.budget
    }
}

impl Spending {
    fn each(&self, offset: usize) -> impl Iterator<Item = u64> {
        (0..self.slots.cpus()).map(move |cpu| self.slots.load(cpu, offset))
    }

    /// What was drawn and found the ring full, on all CPUs.
    fn lost(&self) -> Weights {
        let load = |cpu, offset| self.slots.load(cpu, offset);
        let of_cpu = |cpu| {
            lost(
                load(cpu, offset_of!(Slot, lost)),
                load(cpu, offset_of!(Slot, lost_weight)),
                load(cpu, offset_of!(Slot, lost_variance)),
            )
        };
        (0..self.slots.cpus()).map(of_cpu).fold(Weights::default(), Weights::and)
    }
}

/// From the words of a slot.
#[expect(clippy::cast_precision_loss, reason = "2^-53 of a sum is far below its own error")]
fn lost(drawn: u64, weight: u64, variance: u64) -> Weights {
    let unit = f64::from(1_u32 << WEIGHT_BITS);
    Weights { drawn, sum: weight as f64 / unit, variance: variance as f64 / unit }
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^32")]
fn weight(threshold: u64) -> f64 {
    CERTAIN / threshold.max(1) as f64
}

impl Part for Spending {
    fn start(&mut self, probe: &Probe) -> Result<()> {
        self.hook.start(clock::now());
        self.rates.fill(&self.slots, probe)
    }

    fn drain(&mut self, _: &Probe, item: usize, sink: &mut dyn Sink) -> Result<()> {
        let calls: Vec<_> = self.each(offset_of!(Slot, calls)).collect();
        self.hook.read(clock::now(), calls.into_iter());
        let Self { ring, weights, .. } = self;
        ring.drain(|[at, threshold]| {
            let weight = weight(threshold);
            weights.add(weight);
            sink.weighted(item, Nanos(at), weight);
        })
    }

    fn account(&mut self, probe: &Probe, _: Nanos) -> Result<Account> {
        self.ring.all_read(probe.function())?;
        let lost = self.lost();
        let calls = self.slots.sum(offset_of!(Slot, calls));
        check_drawn(self.weights.drawn + lost.drawn, calls, probe.function())?;
        let used = self.each(offset_of!(Slot, calls)).zip(self.each(offset_of!(Slot, threshold)));
        let now = used.filter(|(calls, _)| *calls > 0).map(|(_, threshold)| weight(threshold));
        let now: Vec<_> = now.collect();
        let least = now.iter().map(|weight| 1.0 / weight).fold(1.0, f64::min);
        let details = Details::from([
            ("lost_per_function".into(), json!(lost.drawn)),
            ("least_probability_at_end_per_function".into(), json!(least)),
            ("hook_pct_of_cpu_at_most_per_function".into(), json!(self.hook.most * 100.0)),
            ("budget_exceeded_by_hook".into(), json!(self.hook.exceeds())),
        ]);
        Ok(Account {
            counted: Some(calls),
            estimate: Some(self.weights.and(lost).estimate(now.into_iter())),
            lost: lost.drawn,
            details,
            ..Account::new(Some(self.weights.drawn), self.ring.bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_precision_loss, reason = "small numbers")]

    use probe_ebpf::fentry_budget::SETTLE;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

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
        // 100 ns hold neither a record nor the calls between two settlements.
        let shortest = Rates::new(0.0001, Nanos(1_000_000), prices);
        assert_eq!(shortest.capacity, 16 * 300_000);
    }

    /// A CPU on which calls come every so many ns: what the bucket makes of them, without a kernel.
    struct Played {
        slot: Slot,
        random: Xoshiro256PlusPlus,
        now: u64,
        weights: Weights,
    }

    impl Played {
        fn new(rates: Rates) -> Self {
            let Rates { tokens, rate, capacity, call_price, record_price } = rates;
            let [calls, lost, lost_weight, lost_variance, settled, settled_at] = [0; 6];
            let scale = (1 << 60) / capacity;
            let slot = Slot {
                calls,
                lost,
                lost_weight,
                lost_variance,
                threshold: 1 << 32,
                tokens: tokens.cast_signed(),
                settled,
                settled_at,
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

        /// Standard deviations that the estimate is away from the truth.
        fn away(&self) -> f64 {
            (self.weights.sum - self.slot.calls as f64) / self.weights.variance.sqrt()
        }
    }

    #[test]
    fn the_bucket_keeps_to_the_budget_through_a_tenfold_step() {
        let prices = Prices { call: 5.0, record: 300.0 };
        let mut played = Played::new(Rates::new(0.01, Nanos(1_000_000_000), prices));
        // 100 thousand calls per second, a million, and the old rate.
        for (calls, gap) in [(1_000_000, 10_000), (4_000_000, 1_000), (1_000_000, 10_000)] {
            // On the way there no more is spent than what comes in and what the bucket held.
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
        // The hook alone takes 5 %: after the bucket is empty one call in 2^16 is recorded.
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
            // A microsecond in a millisecond, which holds 50 calls; the hook takes a third of the budget, then a
            // twelfth.
            for gap in [60_000, 240_000] {
                let mut played = Played::new(Rates::new(0.001, Nanos(window), prices));
                played.run(100_000, gap, prices);
                let settled = played.run(1_000_000, gap, prices);
                assert!((0.00098..0.00102).contains(&settled), "{settled} of {window} at {gap}");
            }
        }
    }

    fn lost_by(slot: &Slot) -> Weights {
        lost(slot.lost, slot.lost_weight, slot.lost_variance)
    }

    #[test]
    fn what_is_lost_keeps_its_weight_and_its_variance() {
        for threshold in [1 << 32, (1 << 32) - 1, 15 << 28, 3 << 30, 5 << 29, 1 << 31, 1 << 20] {
            let mut played = Played::new(Rates::ALWAYS);
            played.slot.lose(threshold);
            let (found, mut expected) = (lost_by(&played.slot), Weights::default());
            expected.add(weight(threshold));
            // Half of the last bit, and what it makes of the variance.
            let (away, slack) = ((found.sum - expected.sum).abs(), 1.0 / 131_072.0);
            assert!(away <= slack, "{found:?} {expected:?}");
            let away = (found.variance - expected.variance).abs();
            assert!(away <= 2.0 * slack * (expected.sum + 1.0), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn a_sum_of_variances_ends_at_its_greatest() {
        let mut played = Played::new(Rates::ALWAYS);
        for _ in 0..1 << 17 {
            played.slot.lose(LEAST);
        }
        assert_eq!(played.slot.lost_weight, 1 << (17 + 32));
        assert_eq!(played.slot.lost_variance, u64::MAX);
    }

    /// Where the ring is full half of the time, the intervals hold the truth as often as they say.
    #[test]
    fn losses_at_high_probabilities_leave_the_interval_true() {
        const CALLS: u32 = 2000;
        const ROUNDS: u32 = 2000;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        for p in [0.6, 0.62, 0.7, 0.8, 0.9, 0.95] {
            let threshold = (p * CERTAIN) as u64;
            let (mut held, mut mean) = (0, 0.0);
            for _ in 0..ROUNDS {
                let mut played = Played::new(Rates::ALWAYS);
                for _ in 0..CALLS {
                    if u64::from(random.random::<u32>()) < threshold {
                        match random.random::<bool>() {
                            true => played.slot.lose(threshold),
                            false => played.weights.add(weight(threshold)),
                        }
                    }
                }
                let all = played.weights.and(lost_by(&played.slot));
                let estimate = all.estimate(std::iter::empty());
                held += u32::from((estimate.lo..=estimate.hi).contains(&f64::from(CALLS)));
                mean += estimate.calls / f64::from(ROUNDS);
            }
            let share = f64::from(held) / f64::from(ROUNDS);
            assert!((0.935..0.965).contains(&share), "{share} at {p}");
            assert!((mean - f64::from(CALLS)).abs() < 4.0, "{mean} at {p}");
        }
    }

    #[test]
    fn budgets_out_of_bounds_are_refused() {
        for word in ["budget_pct=0", "budget_pct=101", "budget_pct=NaN", "window_ms=60001"] {
            let mut options = Options::parse(&format!("{ID}:{word}")).unwrap();
            assert!(make(&mut options).is_err(), "{word}");
        }
    }
}
