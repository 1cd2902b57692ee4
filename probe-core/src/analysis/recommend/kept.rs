//! How sure it is that limits are kept, of all methods at once.

use std::collections::BTreeMap;

use super::{Criterion, Wanted, judge::Evidence, subject::Known};
use crate::analysis::{
    correlation::mean,
    estimate::generator,
    fisher::Pivots,
    interval::{LEAST_BLOCKS, freedom, standard_error, two_sided},
    moderated::Prior,
};

/// What the blocks of all methods say of the limits that are judged by them.
pub(super) struct Family {
    /// Methods of which any limit is judged.
    pub(super) methods: usize,
    /// By limit, and in it by method.
    evidence: [(Criterion, Vec<Option<Evidence>>); 4],
}

impl Family {
    /// Of these methods.
    pub(super) fn of(all: &[Known<'_>], wanted: &Wanted, seed: u64) -> Self {
        let within = |limit: Option<f64>, values: &dyn Fn(&Known<'_>, f64) -> Vec<f64>| {
            let of = |known| limit.map(|limit| values(known, limit)).unwrap_or_default();
            of_means(&all.iter().map(of).collect::<Vec<_>>())
        };
        let cpu = within(wanted.max_cpu_pct, &|known, max| {
            known.costs(wanted).map(|cost| max - cost).collect()
        });
        let throughput = within(wanted.max_throughput_loss_pct, &|known, max| {
            let least = (-max / 100.0).max(NEARLY_ALL).ln_1p();
            known.throughputs(wanted).map(|ratio| ratio - least).collect()
        });
        let detection = within(wanted.max_detection_loss, &|known, max| {
            known.detection_losses.values().map(|loss| max - loss).collect()
        });
        let mut pivots = BTreeMap::new();
        let retained = all.iter().map(|known| {
            let blocks: Vec<[f64; 2]> = known.correlations.values().copied().collect();
            let min = wanted.min_r_retained.filter(|_| blocks.len() >= LEAST_BLOCKS)?;
            if known.subject.summary.shows_instead.is_some() {
                return None;
            }
            let draw = || Pivots::draw(blocks.len(), &mut generator(seed));
            let pivots = pivots.entry(blocks.len()).or_insert_with(draw).as_ref()?;
            let [not_kept, kept] = pivots.chances(min, &blocks);
            Some(Evidence { not_kept, kept })
        });
        let evidence = [
            (Criterion::Cpu, cpu),
            (Criterion::ThroughputLoss, throughput),
            (Criterion::RRetained, retained.collect()),
            (Criterion::DetectionLoss, detection),
        ];
        let any = |at: usize| evidence.iter().any(|(_, of)| matches!(of.get(at), Some(Some(_))));
        Self { methods: (0..all.len()).filter(|&at| any(at)).count(), evidence }
    }

    /// Of one method and limit; none without enough blocks.
    pub(super) fn evidence(&self, at: usize, of: Criterion) -> Option<Evidence> {
        let (_, methods) = self.evidence.iter().find(|(criterion, _)| *criterion == of)?;
        *methods.get(at)?
    }
}

/// All of the throughput has no logarithm.
const NEARLY_ALL: f64 = -1.0 + 1e-9;

/// By the mean distance to a limit, one list of blocks for each method, above zero where the limit
/// is kept. By Student's t. That a limit is kept must not rest on a method that seems to scatter
/// less than the others: four blocks may all be lucky.
fn of_means(methods: &[Vec<f64>]) -> Vec<Option<Evidence>> {
    let scatter = |values: &Vec<f64>| {
        let error = standard_error(values).filter(|_| values.len() >= LEAST_BLOCKS)?;
        Some((error, freedom(values.len())?))
    };
    let own: Vec<Option<(f64, f64)>> = methods.iter().map(scatter).collect();
    // Of blocks, not of their means: methods may have unlike numbers of them.
    let variance = |error: f64, freedom: f64| error * error * (freedom + 1.0);
    let variances: Vec<(f64, f64)> =
        own.iter().flatten().map(|&(error, free)| (variance(error, free), free)).collect();
    let common = Prior::of(&variances);
    let evidence = |(values, own): (&Vec<f64>, &Option<(f64, f64)>)| {
        let (error, freedom) = (*own)?;
        let moderated = |common: Prior| common.moderated(variance(error, freedom), freedom);
        let drawn = common.map_or(0.0, |common| (moderated(common) / (freedom + 1.0)).sqrt());
        let mean = mean(values);
        let not_kept = above(mean, error.max(drawn), freedom);
        Some(Evidence { not_kept, kept: above(-mean, error, freedom) })
    };
    methods.iter().zip(&own).map(evidence).collect()
}

/// Probability of so high a mean, or a higher one, where the truth is zero. Without scatter there
/// is no doubt.
fn above(mean: f64, error: f64, freedom: f64) -> f64 {
    match (error > 0.0, mean >= 0.0) {
        (false, true) => 0.0,
        (false, false) => 1.0,
        (true, true) => two_sided(mean / error, freedom) / 2.0,
        (true, false) => 1.0 - two_sided(mean / error, freedom) / 2.0,
    }
}
