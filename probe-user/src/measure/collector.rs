//! Takes what a session saw and puts it into bins when the bins' edges are known.

use crate::{
    methods::Sink,
    model::{method::SeriesUnit, observation::Series, target::Target, units::Nanos},
};

/// What a session handed over, not yet in bins.
#[derive(Debug, Default)]
pub struct Collector {
    functions: Vec<Seen>,
    samples: Vec<Sample>,
    edge: usize,
}

/// What was seen of one function.
#[derive(Debug, Default)]
struct Seen {
    /// Total as read at edge `i`; a `None` is an edge at which the session said nothing.
    totals: Vec<Option<u64>>,
    events: Vec<Nanos>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Nanos,
    inclusive: u64,
    innermost: Option<usize>,
}

impl Collector {
    /// For the functions of `target`.
    pub fn new(target: &Target) -> Self {
        let functions = target.functions.iter().map(|_| Seen::default()).collect();
        Self { functions, ..Self::default() }
    }

    /// What is counted from now on was read at edge `index`.
    pub fn at_edge(&mut self, index: usize) {
        self.edge = index;
    }

    /// The series over the bins between `edges`. Empty where the method observes nothing, and for a counter that
    /// was not read at every edge: a hole in a series is no zero.
    pub fn series(&self, target: &Target, unit: SeriesUnit, edges: &[Nanos]) -> Vec<Series> {
        let names = target.functions.iter().map(|function| function.name.clone());
        match unit {
            SeriesUnit::Nothing => Vec::new(),
            SeriesUnit::Calls { .. } => names
                .zip(&self.functions)
                .filter_map(|(function, seen)| {
                    Some(Series { function, values: seen.calls(edges)?, self_share: None })
                })
                .collect(),
            SeriesUnit::CpuShare => names
                .enumerate()
                .filter_map(|(index, name)| self.shares(index, name, edges))
                .collect(),
        }
    }

    /// None where a bin has no sample at all: the profiler did not run, or its samples were lost.
    fn shares(&self, index: usize, function: String, edges: &[Nanos]) -> Option<Series> {
        let bins = edges.len().saturating_sub(1);
        let (mut all, mut inclusive, mut own) = (vec![0_u64; bins], vec![0; bins], vec![0; bins]);
        for sample in &self.samples {
            let Some(bin) = bin_of(sample.at, edges) else { continue };
            all[bin] += 1;
            inclusive[bin] += sample.inclusive >> index & 1;
            own[bin] += u64::from(sample.innermost == Some(index));
        }
        if all.contains(&0) {
            return None;
        }
        let share =
            |part: &[u64]| part.iter().zip(&all).map(|(&n, &all)| per_cent(n, all)).collect();
        Some(Series { function, values: share(&inclusive), self_share: Some(share(&own)) })
    }
}

impl Seen {
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
        Some(bins.into_iter().map(|calls| calls as f64).collect())
    }
}

impl Sink for Collector {
    fn count(&mut self, function: usize, total: u64) {
        let totals = &mut self.functions[function].totals;
        if totals.len() <= self.edge {
            totals.resize(self.edge + 1, None);
        }
        totals[self.edge] = Some(total);
    }

    fn event(&mut self, function: usize, at: Nanos) {
        self.functions[function].events.push(at);
    }

    fn sample(&mut self, at: Nanos, inclusive: u64, innermost: Option<usize>) {
        self.samples.push(Sample { at, inclusive, innermost });
    }
}

/// The bin that `at` falls into: bin `i` is `[edges[i], edges[i + 1])`.
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
    use super::*;
    use crate::model::target::Function;

    fn target(names: &[&str]) -> Target {
        let function = |name: &&str| Function {
            name: (*name).to_owned(),
            module: None,
            addresses: crate::model::target::Range::default(),
        };
        Target { functions: names.iter().map(function).collect() }
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
            collector.event(0, Nanos(at));
        }
        let series = collector.series(&target, CALLS, &edges(&[10, 20, 30]));
        assert_eq!(series[0].values, [2.0, 2.0]);
    }

    #[test]
    fn counts_behind_the_last_edge_change_no_bin() {
        let target = target(&["f"]);
        let mut collector = Collector::new(&target);
        for (edge, total) in [(0, 5), (1, 7), (2, 70)] {
            collector.at_edge(edge);
            collector.count(0, total);
        }
        let series = collector.series(&target, CALLS, &edges(&[10, 20]));
        assert_eq!(series[0].values, [2.0]);
    }

    #[test]
    fn a_counter_that_missed_an_edge_has_no_series() {
        let target = target(&["f", "g"]);
        let mut collector = Collector::new(&target);
        for (edge, total) in [(0, 5), (1, 7), (2, 12)] {
            collector.at_edge(edge);
            collector.count(0, total);
            if edge != 1 {
                collector.count(1, total);
            }
        }
        let series = collector.series(&target, CALLS, &edges(&[10, 20, 30]));
        assert_eq!(series.len(), 1);
        assert_eq!((series[0].function.as_str(), &series[0].values[..]), ("f", &[2.0, 5.0][..]));
    }

    #[test]
    fn shares_are_of_all_samples_of_the_bin() {
        let target = target(&["f", "g"]);
        let mut collector = Collector::new(&target);
        collector.sample(Nanos(1), 0b01, Some(0));
        collector.sample(Nanos(2), 0b11, None);
        collector.sample(Nanos(3), 0b00, None);
        collector.sample(Nanos(4), 0b00, None);
        collector.sample(Nanos(12), 0b10, Some(1));
        let series = collector.series(&target, SeriesUnit::CpuShare, &edges(&[0, 10, 20]));
        assert_eq!(series[0].values, [50.0, 0.0]);
        assert_eq!(series[0].self_share, Some(vec![25.0, 0.0]));
        assert_eq!(series[1].values, [25.0, 100.0]);
        let holed = collector.series(&target, SeriesUnit::CpuShare, &edges(&[0, 10, 20, 30]));
        assert!(holed.is_empty(), "a bin without samples is a hole, not a zero");
    }
}
