//! Tests whether values drift from block to block, or depend on a trial's place within its block.
//!
//! The order is random, so neither makes a figure wrong. But a trend means that blocks are not
//! alike, and that an interval contains more than chance.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    interval::{holm, two_sided},
    overhead,
    pairs::{TrialFilter, Trials},
};
use crate::model::{
    checks::{Along, Quantity, Trend},
    method::{Descriptor, MethodId},
    trial::{Measured, Outcome, Pace, Trial},
};

/// Least degrees of freedom for a trend test: with fewer it detects only the strongest trends.
const LEAST_FREEDOM: usize = 3;

type Value = fn(&Measured) -> Option<f64>;

/// All that are looked for, in which trials, and how a trial's value is had.
const QUANTITIES: [(Quantity, TrialFilter, Value); 4] = [
    (
        Quantity::WorkerNsPerKick,
        TrialFilter::overhead(Pace::ClosedLoop),
        overhead::worker_ns_per_kick,
    ),
    (Quantity::WorkerNsPerFrame, TrialFilter::overhead(Pace::Paced), overhead::worker_ns_per_frame),
    (
        Quantity::SaturatedThroughput,
        TrialFilter::overhead(Pace::Saturated),
        overhead::bytes_per_second,
    ),
    (Quantity::FidelityThroughput, TrialFilter::FIDELITY, overhead::bytes_per_second),
];

/// The logarithm of a trial's value, and the trial's place.
#[derive(Debug, Clone, Copy)]
struct Point<'a> {
    run: usize,
    block: u32,
    position: f64,
    method: &'a MethodId,
    value: f64,
}

/// Every trend that can be tested in `trials`.
pub fn trends(trials: &Trials<'_>, methods: &[Descriptor]) -> Vec<Trend> {
    let mut trends = Vec::new();
    for (quantity, kind, value) in QUANTITIES {
        let points = points(trials, kind, value);
        for method in methods {
            let found = drift(&points, &method.id);
            trends
                .extend(found.map(|slope| slope.trend(Along::Blocks, quantity, Some(&method.id))));
        }
        trends.extend(order(&points).map(|slope| slope.trend(Along::Places, quantity, None)));
    }
    let adjusted = holm(&trends.iter().map(|trend| trend.p).collect::<Vec<_>>());
    for (trend, p) in trends.iter_mut().zip(adjusted) {
        trend.p = p;
    }
    trends
}

fn points<'a>(trials: &Trials<'a>, kind: TrialFilter, value: Value) -> Vec<Point<'a>> {
    let ours = trials.all.iter().filter(|trial| kind.holds(trial));
    let point = |trial: &'a Trial| match &trial.outcome {
        Outcome::Done(measured) => Some(Point {
            run: trial.run,
            block: trial.block,
            position: f64::from(trial.position),
            method: &trial.method,
            value: value(measured).filter(|value| *value > 0.0)?.ln(),
        }),
        Outcome::Failed { .. } => None,
    };
    ours.filter_map(point).collect()
}

/// A least-squares slope.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slope {
    slope: f64,
    p: f64,
    n: usize,
}

impl Slope {
    /// The slope of `y` over `x`, both centred; `spent` are the degrees of freedom used by
    /// centring.
    fn of(centred: &[(f64, f64)], spent: usize) -> Option<Self> {
        let freedom = centred.len().checked_sub(spent.saturating_add(1))?;
        let freedom = Some(freedom).filter(|&left| left >= LEAST_FREEDOM)?;
        let freedom = f64::from(u32::try_from(freedom).ok()?);
        let sum = |of: fn(f64, f64) -> f64| centred.iter().map(|&(x, y)| of(x, y)).sum::<f64>();
        let (xx, xy, yy) = (sum(|x, _| x * x), sum(|x, y| x * y), sum(|_, y| y * y));
        // Identical values, as replays can give, have no trend.
        if xx <= 0.0 || yy <= f64::EPSILON {
            return None;
        }
        let slope = xy / xx;
        let error = ((yy - slope * xy).max(0.0) / freedom / xx).sqrt();
        let p = if error > 0.0 { two_sided(slope / error, freedom) } else { 0.0 };
        Some(Self { slope, p, n: centred.len() })
    }

    fn trend(self, along: Along, quantity: Quantity, method: Option<&MethodId>) -> Trend {
        let Self { slope, p, n } = self;
        let pct_per_step = 100.0 * slope.exp_m1();
        Trend { along, quantity, method: method.cloned(), pct_per_step, n, p }
    }
}

/// The slope over the blocks of a run. Blocks of other runs come from other machines, or from this
/// one at another time, so each run is compared with its own mean.
fn drift(points: &[Point<'_>], method: &MethodId) -> Option<Slope> {
    let of = |method: &MethodId| -> BTreeMap<(usize, u32), f64> {
        let theirs = points.iter().filter(|point| point.method == method);
        theirs.map(|point| ((point.run, point.block), point.value)).collect()
    };
    let mut values = of(method);
    if !method.is_off() {
        let off = of(&MethodId(MethodId::OFF.into()));
        let beside = |(place, value)| Some((place, value - off.get(&place)?));
        values = values.into_iter().filter_map(beside).collect();
    }
    let mut runs: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for ((run, block), value) in values {
        runs.entry(run).or_default().push((f64::from(block), value));
    }
    runs.retain(|_, points| points.len() > 1);
    let centred: Vec<(f64, f64)> = runs.values().flat_map(|points| centre(points)).collect();
    Slope::of(&centred, runs.len())
}

/// The slope over the places within blocks, after subtracting the means of each block and of each
/// method. Uses only blocks that have every method, so that the means are not biased.
fn order(points: &[Point<'_>]) -> Option<Slope> {
    let mut blocks: BTreeMap<(usize, u32), Vec<Point<'_>>> = BTreeMap::new();
    let mut count: BTreeMap<&MethodId, usize> = BTreeMap::new();
    for point in points {
        blocks.entry((point.run, point.block)).or_default().push(*point);
        let count = count.entry(point.method).or_default();
        *count = count.saturating_add(1);
    }
    let most = count.values().max()?;
    let whole: BTreeSet<&MethodId> =
        count.iter().filter(|(_, n)| *n == most).map(|(method, _)| *method).collect();
    blocks.values_mut().for_each(|points| points.retain(|point| whole.contains(point.method)));
    blocks.retain(|_, points| points.len() == whole.len());
    if whole.len() < 2 || blocks.len() < 2 {
        return None;
    }
    let mut by_method: BTreeMap<&MethodId, Vec<(f64, f64)>> = BTreeMap::new();
    for points in blocks.values() {
        let pairs: Vec<(f64, f64)> = points.iter().map(|p| (p.position, p.value)).collect();
        for (point, pair) in points.iter().zip(centre(&pairs)) {
            by_method.entry(point.method).or_default().push(pair);
        }
    }
    let centred: Vec<(f64, f64)> = by_method.values().flat_map(|pairs| centre(pairs)).collect();
    Slope::of(&centred, blocks.len().saturating_add(whole.len()).saturating_sub(1))
}

/// Both coordinates minus their means.
#[expect(clippy::cast_precision_loss, reason = "no campaign has 2^52 trials")]
fn centre(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    points.iter().map(|point| (point.0 - x / n, point.1 - y / n)).collect()
}

#[cfg(test)]
mod tests;
