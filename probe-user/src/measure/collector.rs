//! Collects what a session saw, and sorts it into bins once the edges are known.

use probe_core::model::{
    item::{ItemId, PerItem},
    method::SeriesUnit,
    observation::Series,
    target::Target,
    units::Nanos,
};

use crate::methods::{self, Share, Sink};

/// What a session delivered, not yet in bins.
#[derive(Debug, Default)]
pub struct Collector {
    items: PerItem<Seen>,
    samples: Vec<Sample>,
    /// Functions of all samples, one sample's behind the other's.
    functions: Vec<ItemId>,
    /// A profiler's totals as read at edge `i`.
    totals: Vec<Option<Totals>>,
    edge: usize,
}

/// What was seen of one item of the target.
#[derive(Debug, Default)]
struct Seen {
    /// Total as read at edge `i`; `None` if the session reported nothing at that edge.
    totals: Vec<Option<u64>>,
    events: Vec<Nanos>,
    /// Events with a weight other than one.
    weighted: Vec<(Nanos, f64)>,
}

/// The counts of a profiler that counts in the kernel.
#[derive(Debug, Clone)]
struct Totals {
    samples: u64,
    functions: PerItem<Share>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Nanos,
    weight: u64,
    /// End of its functions in [`Collector::functions`].
    end: usize,
    innermost: Option<ItemId>,
}

impl Collector {
    /// A collector for the items of `target`.
    pub fn new(target: &Target) -> Self {
        let items = target.items().map(|(item, _)| (item, Seen::default())).collect();
        Self { items, ..Self::default() }
    }

    /// What is counted from now on was read at edge `index`.
    pub fn at_edge(&mut self, index: usize) {
        self.edge = index;
    }

    /// Whether the session told when `item` was hit, or that there were samples.
    pub fn heard(&self, item: ItemId) -> bool {
        let sampled = !self.samples.is_empty() || !self.totals.is_empty();
        sampled || self.items.get(item).is_some_and(Seen::is_told)
    }

    /// The series of `item`, called `name`, over the bins between `edges`. `None` if the method has
    /// none, if a counter was not read at every edge (a hole in a series is not zero), or if a
    /// profiler has no sample in one of the bins.
    pub fn series(
        &self,
        item: ItemId,
        name: String,
        unit: SeriesUnit,
        edges: &[Nanos],
    ) -> Option<Series> {
        match unit {
            SeriesUnit::Nothing => None,
            SeriesUnit::Calls { .. } | SeriesUnit::Counter { .. } => {
                let values = self.items.get(item)?.calls(edges)?;
                Some(Series { function: name, values, self_share: None })
            }
            SeriesUnit::CpuShare => {
                let bins = match self.totals.is_empty() {
                    true => Some(self.sampled(item, edges)),
                    false => self.counted(item, edges),
                };
                shares(name, &bins?)
            }
        }
    }

    /// Samples per bin by their times.
    fn sampled(&self, item: ItemId, edges: &[Nanos]) -> Vec<(u64, Share)> {
        let mut bins = vec![(0, Share::default()); edges.len().saturating_sub(1)];
        let mut start = 0;
        for sample in &self.samples {
            let functions = &self.functions[start..sample.end];
            start = sample.end;
            let Some(bin) = bin_of(sample.at, edges) else { continue };
            let (all, share) = &mut bins[bin];
            *all += sample.weight;
            share.inclusive += sample.weight * u64::from(functions.contains(&item));
            share.own += sample.weight * u64::from(sample.innermost == Some(item));
        }
        bins
    }

    /// Samples per bin by what was read at the edges.
    fn counted(&self, item: ItemId, edges: &[Nanos]) -> Option<Vec<(u64, Share)>> {
        let read = |totals: &Option<Totals>| {
            let totals = totals.as_ref()?;
            Some((totals.samples, *totals.functions.get(item)?))
        };
        let totals: Vec<_> =
            self.totals.get(..edges.len())?.iter().map(read).collect::<Option<_>>()?;
        let between = |pair: &[(u64, Share)]| {
            let (then, now) = (pair[0], pair[1]);
            let share = Share {
                inclusive: now.1.inclusive - then.1.inclusive,
                own: now.1.own - then.1.own,
            };
            (now.0 - then.0, share)
        };
        Some(totals.windows(2).map(between).collect())
    }
}

/// `None` if a bin has no sample at all: the profiler did not run, or its samples were lost.
fn shares(function: String, bins: &[(u64, Share)]) -> Option<Series> {
    if bins.iter().any(|(all, _)| *all == 0) {
        return None;
    }
    let of = |part: fn(&Share) -> u64| {
        bins.iter().map(|(all, share)| per_cent(part(share), *all)).collect()
    };
    let (values, own) = (of(|share| share.inclusive), of(|share| share.own));
    Some(Series { function, values, self_share: Some(own) })
}

impl Seen {
    fn is_told(&self) -> bool {
        !(self.totals.is_empty() && self.events.is_empty() && self.weighted.is_empty())
    }

    #[expect(clippy::cast_precision_loss, reason = "no bin holds 2^53 calls")]
    fn calls(&self, edges: &[Nanos]) -> Option<Vec<f64>> {
        if !self.totals.is_empty() {
            let totals: Vec<u64> =
                self.totals.get(..edges.len())?.iter().copied().collect::<Option<_>>()?;
            return Some(totals.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect());
        }
        let mut bins = vec![0_u64; edges.len().saturating_sub(1)];
        for bin in self.events.iter().filter_map(|&at| bin_of(at, edges)) {
            bins[bin] += 1;
        }
        let mut bins: Vec<f64> = bins.into_iter().map(|calls| calls as f64).collect();
        for &(at, weight) in &self.weighted {
            if let Some(bin) = bin_of(at, edges) {
                bins[bin] += weight;
            }
        }
        Some(bins)
    }
}

impl Sink for Collector {
    fn count(&mut self, item: ItemId, total: u64) {
        put(&mut self.items.entry(item).totals, self.edge, total);
    }

    fn event(&mut self, item: ItemId, at: Nanos) {
        self.items.entry(item).events.push(at);
    }

    fn weighted(&mut self, item: ItemId, at: Nanos, weight: f64) {
        self.items.entry(item).weighted.push((at, weight));
    }

    fn shares(&mut self, samples: u64, functions: PerItem<Share>) {
        put(&mut self.totals, self.edge, Totals { samples, functions });
    }

    fn sample(&mut self, sample: methods::ProfilerSample<'_>) {
        let methods::ProfilerSample { at, weight, functions, innermost } = sample;
        self.functions.extend_from_slice(functions);
        self.samples.push(Sample { at, weight, end: self.functions.len(), innermost });
    }
}

/// Stores what was read at `edge`.
fn put<T: Clone>(readings: &mut Vec<Option<T>>, edge: usize, read: T) {
    if readings.len() <= edge {
        readings.resize(edge + 1, None);
    }
    readings[edge] = Some(read);
}

/// The bin that contains `at`: bin `i` is `[edges[i], edges[i + 1])`.
fn bin_of(at: Nanos, edges: &[Nanos]) -> Option<usize> {
    let behind = edges.partition_point(|&edge| edge <= at);
    (1..edges.len()).contains(&behind).then(|| behind - 1)
}

#[expect(clippy::cast_precision_loss, reason = "no bin holds 2^53 samples")]
fn per_cent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use probe_core::model::target::Function;

    use super::*;

    fn target(names: &[&str]) -> Target {
        let function = |name: &&str| Function {
            name: (*name).to_owned(),
            module: None,
            addresses: probe_core::model::target::Range::default(),
        };
        Target { functions: names.iter().map(function).collect(), ..Target::default() }
    }

    fn series(seen: &Collector, target: &Target, unit: SeriesUnit, edges: &[Nanos]) -> Vec<Series> {
        let functions = target.items().take(target.functions.len());
        functions.filter_map(|(item, name)| seen.series(item, name, unit, edges)).collect()
    }

    const CALLS: SeriesUnit = SeriesUnit::Calls { factor: 1.0 };

    fn edges(at: &[u64]) -> Vec<Nanos> {
        at.iter().copied().map(Nanos).collect()
    }

    #[test]
    fn events_outside_the_edges_belong_to_no_bin() {
        let target = target(&["f"]);
        let mut collector = Collector::new(&target);
        for at in [9, 10, 19, 20, 29, 30] {
            collector.event(ItemId(0), Nanos(at));
        }
        let found = series(&collector, &target, CALLS, &edges(&[10, 20, 30]));
        assert_eq!(found[0].values, [2.0, 2.0]);
    }

    #[test]
    fn weights_add_up_and_totals_of_shares_become_shares_per_bin() {
        let target = target(&["f"]);
        let mut collector = Collector::new(&target);
        collector.weighted(ItemId(0), Nanos(11), 2.5);
        collector.weighted(ItemId(0), Nanos(12), 1.5);
        collector.event(ItemId(0), Nanos(13));
        assert_eq!(series(&collector, &target, CALLS, &edges(&[10, 20]))[0].values, [5.0]);
        for (edge, samples, inclusive) in [(0, 10, 5), (1, 14, 6), (2, 24, 6)] {
            collector.at_edge(edge);
            collector.shares(samples, vec![Some(Share { inclusive, own: 0 })].into());
        }
        let shares = series(&collector, &target, SeriesUnit::CpuShare, &edges(&[10, 20, 30]));
        assert_eq!(shares[0].values, [25.0, 0.0]);
    }

    #[test]
    fn counts_behind_the_last_edge_change_no_bin() {
        let target = target(&["f"]);
        let mut collector = Collector::new(&target);
        for (edge, total) in [(0, 5), (1, 7), (2, 70)] {
            collector.at_edge(edge);
            collector.count(ItemId(0), total);
        }
        let found = series(&collector, &target, CALLS, &edges(&[10, 20]));
        assert_eq!(found[0].values, [2.0]);
    }

    #[test]
    fn a_counter_that_missed_an_edge_has_no_series() {
        let target = target(&["f", "g"]);
        let mut collector = Collector::new(&target);
        for (edge, total) in [(0, 5), (1, 7), (2, 12)] {
            collector.at_edge(edge);
            collector.count(ItemId(0), total);
            if edge != 1 {
                collector.count(ItemId(1), total);
            }
        }
        let found = series(&collector, &target, CALLS, &edges(&[10, 20, 30]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].function.as_str(), &found[0].values[..]), ("f", &[2.0, 5.0][..]));
    }

    #[test]
    fn shares_are_of_all_samples_of_the_bin() {
        let target = target(&["f", "g"]);
        let mut collector = Collector::new(&target);
        let mut sample = |at, weight, functions: &[usize], innermost: Option<usize>| {
            let functions: Vec<_> = functions.iter().copied().map(ItemId).collect();
            let (functions, innermost) = (&functions[..], innermost.map(ItemId));
            collector.sample(methods::ProfilerSample {
                at: Nanos(at),
                weight,
                functions,
                innermost,
            });
        };
        sample(1, 1, &[0], Some(0));
        sample(2, 1, &[1, 0], None);
        // It represents two events.
        sample(3, 2, &[], None);
        sample(12, 1, &[1], Some(1));
        let found = series(&collector, &target, SeriesUnit::CpuShare, &edges(&[0, 10, 20]));
        assert_eq!(found[0].values, [50.0, 0.0]);
        assert_eq!(found[0].self_share, Some(vec![25.0, 0.0]));
        assert_eq!(found[1].values, [25.0, 100.0]);
        let holed = series(&collector, &target, SeriesUnit::CpuShare, &edges(&[0, 10, 20, 30]));
        assert!(holed.is_empty(), "a bin without samples is a hole, not a zero");
    }
}
