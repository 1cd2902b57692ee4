//! `bpf-fentry-budget`: counts every call, and records as many as a CPU budget allows.
//!
//! [`probe_ebpf::fentry_budget`] describes how the program keeps to it. The budget is a share of
//! each CPU and is divided among the functions; the prices are measured at attach. A record
//! contains the probability with which it was drawn, so it represents `1/p` calls; the estimate is
//! `Σ 1/p`. The reader's time is not part of the budget. If the hook and the count alone cost more
//! than the budget, no probability helps, and the result says so.
//!
//! In any period, each CPU spends at most what its budget gives in that time plus the content of
//! the bucket: what the budget gives per window or, if that is too little, the price of some
//! records or calls (`RECORDS`, `SETTLE`).

use std::mem::offset_of;

use probe_core::{
    error::{Error, Result},
    model::{bounds, item::ItemId, method::Class, units::Nanos},
};
use probe_ebpf::fentry_budget::{Slot, WEIGHT_BITS};
use serde_json::json;

use super::{
    estimate::Weights,
    fentry_ringbuf::RingOptions,
    prices,
    rates::{Rates, load_on},
    session::{Account, Design, Details, MethodKind, Part, Programmed, Traced, check_drawn},
};
use crate::{
    kernel::{
        bpf::{
            chosen::Programs,
            loader::{Loader, Spot},
            probe::Probe,
            ring::BpfRing,
            slots::Slots,
        },
        clock,
    },
    methods::{Cadence, Method, Sink, options::Options},
};

/// Its id.
pub(super) const ID: &str = "bpf-fentry-budget";

/// A probability of 1 in the program's units.
const CERTAIN: f64 = (1_u64 << 32) as f64;

/// Creates the method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    let budget_pct: f64 = options.take("budget_pct", 1.0)?;
    let window_ms = options.number("window_ms", 1000, &bounds::WINDOW_MS)?;
    if !(0.01..=100.0).contains(&budget_pct) || window_ms > 60_000 {
        return Err(Error::invalid(
            format!("method `{ID}`"),
            format!("invalid budget of {budget_pct} % of a CPU over {window_ms} ms"),
            "Give a budget_pct from 0.01 to 100 and a window_ms of at most 60000",
        ));
    }
    let shape = RingOptions::take(options, 1024)?;
    let mut parameters = shape.parameters();
    parameters.insert("budget_pct".into(), json!(budget_pct));
    parameters.insert("window_ms".into(), json!(window_ms));
    let summary =
        format!("fentry programs count each call and record what {budget_pct} % of a CPU pays for");
    let kind = MethodKind { parameters, ..MethodKind::new(Class::Sampled, summary) };
    Ok(Programmed::make(options, kind, Budget { shape, budget_pct, window_ms }))
}

#[derive(Debug)]
struct Budget {
    shape: RingOptions,
    /// Of each CPU.
    budget_pct: f64,
    /// The bucket holds what the budget gives in this time, or slightly more.
    window_ms: u32,
}

impl Design for Budget {
    type Part = Spending;

    fn cadence(&self) -> Cadence {
        self.shape.cadence()
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Spending>> {
        let (probe, slots, ring) = load_on(loader, spot, self.shape.bytes())?;
        let hook = Hook::new(slots.cpus());
        let (rates, weights) = (Rates::NEVER, Weights::default());
        Ok(Traced::new(probe, Spending { ring, slots, rates, weights, hook }))
    }

    fn try_out(&self, programs: &Programs) -> Result<()> {
        prices::try_out(programs)
    }

    fn prepare(&self, programs: &Programs, traced: &mut [Traced<Spending>]) -> Result<Details> {
        let (prices, mut details) = prices::calibrate(programs)?;
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
    ring: BpfRing<2>,
    slots: Slots,
    rates: Rates,
    /// Weights of the records.
    weights: Weights,
    hook: Hook,
}

/// The cost of only the hook and the count, between one read and the next.
#[derive(Debug)]
struct Hook {
    /// ns per call.
    price: f64,
    /// Share of a CPU.
    budget: f64,
    /// When the calls of each CPU were last read, and their number.
    at: Nanos,
    calls: Vec<u64>,
    /// The greatest share of one CPU.
    most: f64,
}

impl Hook {
    /// Shorter periods are too short to measure a rate.
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

    /// What was drawn but found the ring full, on all CPUs.
    fn lost(&self) -> Weights {
        let sum = |offset| self.slots.sum(offset);
        lost(sum(offset_of!(Slot, lost)), sum(offset_of!(Slot, lost_weight)))
    }

    /// The variance of the sum of all weights.
    fn variance(&self) -> f64 {
        let load = |cpu, offset| self.slots.load(cpu, offset);
        let of_cpu = |cpu| {
            let unsettled =
                load(cpu, offset_of!(Slot, calls)) - load(cpu, offset_of!(Slot, settled));
            variance(
                load(cpu, offset_of!(Slot, variance)),
                unsettled,
                load(cpu, offset_of!(Slot, threshold)),
            )
        };
        (0..self.slots.cpus()).map(of_cpu).sum()
    }
}

/// Converts the words of a slot.
#[expect(clippy::cast_precision_loss, reason = "2^-53 of a sum is far below its own error")]
fn lost(drawn: u64, weight: u64) -> Weights {
    Weights { drawn, sum: weight as f64 / f64::from(1_u32 << WEIGHT_BITS) }
}

/// The variance of one CPU's sum of weights; the calls since the last settlement were drawn with
/// its probability.
#[expect(clippy::cast_precision_loss, reason = "2^-53 of a sum is far below its own error")]
fn variance(settled: u64, unsettled: u64, threshold: u64) -> f64 {
    let unit = f64::from(1_u32 << WEIGHT_BITS);
    settled as f64 / unit + unsettled as f64 * (weight(threshold) - 1.0)
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^32")]
fn weight(threshold: u64) -> f64 {
    CERTAIN / threshold.max(1) as f64
}

impl Part for Spending {
    fn start(&mut self) -> Result<()> {
        self.hook.start(clock::now());
        self.rates.fill(&self.slots)
    }

    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        let calls: Vec<_> = self.each(offset_of!(Slot, calls)).collect();
        self.hook.read(clock::now(), calls.into_iter());
        let Self { ring, weights, .. } = self;
        ring.drain(|[at, threshold]| {
            let weight = weight(threshold);
            weights.add(weight);
            sink.weighted(item, Nanos(at), weight);
        })
    }

    fn account(&mut self, probes: &[Probe]) -> Result<Account> {
        self.ring.all_read(&probes[0].subject)?;
        let lost = self.lost();
        let calls = self.slots.sum(offset_of!(Slot, calls));
        check_drawn(self.weights.drawn + lost.drawn, calls, probes)?;
        let least = self.each(offset_of!(Slot, least)).map(|least| 1.0 / weight(least));
        let least = least.fold(1.0, f64::min);
        let details = Details::from([
            ("lost_per_function".into(), json!(lost.drawn)),
            ("least_probability_per_function".into(), json!(least)),
            ("hook_pct_of_cpu_at_most_per_function".into(), json!(self.hook.most * 100.0)),
            ("budget_exceeded_by_hook".into(), json!(self.hook.exceeds())),
        ]);
        Ok(Account {
            counted: Some(calls),
            estimate: Some(self.weights.and(lost).estimate(self.variance())),
            lost: lost.drawn,
            details,
            ..Account::new(Some(self.weights.drawn), self.ring.bytes())
        })
    }
}

#[cfg(test)]
mod tests;
