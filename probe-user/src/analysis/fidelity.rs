//! What a method still shows: how much of the correlation between calls and throughput survives it.

use std::collections::BTreeSet;

use super::{
    bootstrap::{bca, within_run},
    correlation::{mean, pearson, spearman},
    estimate::{BOOTSTRAP_FROM, Bounds, ONE_TRIAL, Sample, Scale, generator, mean_interval},
    events::Function,
    interval::{self, Interval},
    pairs::{Chosen, Kind, Pair, Trials},
    view::{Block, Quantity, Rating, View},
};
use crate::model::{
    campaign::{Beside, FidelityFigures},
    figure::{Estimate, Figure, Platform},
    method::{Class, Descriptor, SeriesUnit},
    trial::Measured,
    units::Nanos,
};

/// Below this, `|r_0|` is too small to tell what share of it is left.
pub const LEAST_R_0: f64 = 0.2;

/// Length of the moving averages: the paper's 10 s.
pub const MOVING_AVERAGE: Nanos = Nanos(10_000_000_000);

/// Note on an interval that one run's own bins gave.
pub const WITHIN_RUN: &str = "within this run";

/// The fidelity of `method` for one function of the target; `bin` is the width of the series' bins.
pub fn figures(
    trials: &Trials<'_>,
    method: &Descriptor,
    function: Function<'_>,
    bin: Nanos,
    seed: u64,
) -> FidelityFigures {
    let fidelity = Fidelity::of(trials, method, function, seed);
    let figure = |quantity, rating| match &fidelity {
        _ if method.class == Class::Nothing && quantity != Quantity::R0 => {
            Figure::null("the control")
        }
        Ok(fidelity) => fidelity.figure(quantity, rating),
        Err(why) => Figure::null(why.as_str()),
    };
    let raw = |quantity| figure(quantity, Rating { r: pearson, window: 1 });
    let by_rank = |quantity| figure(quantity, Rating { r: spearman, window: 1 });
    let window = usize::try_from(MOVING_AVERAGE.0 / bin.0.max(1)).unwrap_or(usize::MAX).max(2);
    let smooth = |quantity| figure(quantity, Rating { r: pearson, window });
    FidelityFigures {
        r_0: raw(Quantity::R0),
        r_w: raw(Quantity::Rw),
        r_m: raw(Quantity::Rm),
        perturbation: raw(Quantity::Perturbation),
        observation_loss: raw(Quantity::ObservationLoss),
        fidelity_loss: raw(Quantity::FidelityLoss),
        r_retained: raw(Quantity::Retained),
        series_error: raw(Quantity::SeriesError),
        beside: Beside {
            spearman_0: by_rank(Quantity::R0),
            spearman_w: by_rank(Quantity::Rw),
            spearman_m: by_rank(Quantity::Rm),
            moving_average_0: smooth(Quantity::R0),
            moving_average_w: smooth(Quantity::Rw),
            moving_average_m: smooth(Quantity::Rm),
        },
    }
}

/// The series of one method and function: under the control and under the method, block by block.
struct Fidelity {
    views: Vec<(View, View)>,
    platform: Platform,
    notes: Vec<String>,
    /// The method's declared sampling factor.
    factor: Option<f64>,
    seed: u64,
}

/// The blocks in which a quantity exists.
struct Usable<'a> {
    blocks: Vec<Block<'a>>,
    values: Vec<f64>,
    notes: Vec<String>,
}

impl Fidelity {
    fn of(
        trials: &Trials<'_>,
        method: &Descriptor,
        function: Function<'_>,
        seed: u64,
    ) -> Result<Self, String> {
        let off = |trial: &Measured| View::of(trial, function, SeriesUnit::Nothing);
        let (views, platform, notes) = if method.class == Class::Nothing {
            let Chosen { items, platform, notes } = trials.single(Kind::FIDELITY, &method.id)?;
            (items.into_iter().map(|trial| (off(trial), off(trial))).collect(), platform, notes)
        } else {
            let Chosen { items, platform, notes } = trials.paired(Kind::FIDELITY, &method.id)?;
            let both =
                |pair: &Pair<'_>| (off(pair.off), View::of(pair.method, function, method.unit));
            (items.iter().map(both).collect(), platform, notes)
        };
        let factor = match method.unit {
            SeriesUnit::Calls { factor } => Some(factor),
            SeriesUnit::CpuShare | SeriesUnit::Nothing => None,
        };
        Ok(Self { views, platform, notes, factor, seed })
    }

    fn figure(&self, quantity: Quantity, rating: Rating) -> Figure {
        let usable = match self.usable(quantity, rating) {
            Ok(usable) => usable,
            Err(why) => return Figure::null(why),
        };
        if rating.window > 1 {
            return self.without_interval(usable);
        }
        match (quantity, usable.values.len()) {
            (_, 1) => self.of_one_run(quantity, rating, usable),
            (Quantity::Retained, _) => self.ratio(rating, usable),
            _ => Sample { values: usable.values, platform: self.platform, notes: usable.notes }
                .figure(scale(quantity), self.seed),
        }
    }

    fn usable(&self, quantity: Quantity, rating: Rating) -> Result<Usable<'_>, String> {
        let mut usable =
            Usable { blocks: Vec::new(), values: Vec::new(), notes: self.notes.clone() };
        let mut whys = BTreeSet::new();
        for (off, method) in &self.views {
            let block = Block { off, method };
            match block.value(quantity, rating, self.factor, None) {
                Ok(value) => {
                    usable.blocks.push(block);
                    usable.values.push(value);
                }
                Err(why) => {
                    whys.insert(why);
                }
            }
        }
        let whys = whys.into_iter().collect::<Vec<_>>().join("; ");
        let (used, all) = (usable.values.len(), self.views.len());
        if used == 0 {
            return Err(whys);
        }
        if used < all {
            usable.notes.push(format!("{} of {all} blocks left out: {whys}", all - used));
        }
        usable.notes.extend(incomplete(quantity, &usable.blocks));
        Ok(usable)
    }

    fn without_interval(&self, usable: Usable<'_>) -> Figure {
        self.estimate(mean(&usable.values), None, None, usable)
    }

    fn estimate(
        &self,
        estimate: f64,
        interval: Option<Interval>,
        detectable: Option<f64>,
        usable: Usable<'_>,
    ) -> Figure {
        Figure::Known(Estimate {
            estimate,
            lo: interval.map(|found| found.lo),
            hi: interval.map(|found| found.hi),
            n: usable.values.len(),
            detectable,
            platform: self.platform,
            p: None,
            notes: usable.notes,
        })
    }

    /// One run gives an interval of its own bins' scatter; both trials of the block at the same resampled bins.
    fn of_one_run(&self, quantity: Quantity, rating: Rating, mut usable: Usable<'_>) -> Figure {
        let block = usable.blocks[0];
        if quantity == Quantity::Retained {
            let r_0 = self.interval_in_run(&block, Quantity::R0, rating);
            if let Some(why) = too_small(r_0) {
                return Figure::null(why);
            }
        }
        let found = self.interval_in_run(&block, quantity, rating);
        usable.notes.push(if found.is_some() { WITHIN_RUN } else { ONE_TRIAL }.into());
        let found = found.map(|found| scale(quantity).bound(found));
        self.estimate(usable.values[0], found, None, usable)
    }

    fn interval_in_run(
        &self,
        block: &Block<'_>,
        quantity: Quantity,
        rating: Rating,
    ) -> Option<Interval> {
        if block.off.sections != block.method.sections {
            return None;
        }
        let value = |at: &[usize]| block.value(quantity, rating, self.factor, Some(at)).ok();
        within_run(&block.off.sections, value, &mut generator(self.seed))
    }

    /// `r_retained` over several blocks: the ratio of the means.
    fn ratio(&self, rating: Rating, usable: Usable<'_>) -> Figure {
        let each = |quantity| -> Vec<f64> {
            let value = |block: &Block<'_>| block.value(quantity, rating, None, None).ok();
            usable.blocks.iter().filter_map(value).collect()
        };
        let (r_m, r_0) = (each(Quantity::Rm), each(Quantity::R0));
        if let Some(why) = too_small(mean_interval(&r_0, self.seed)) {
            return Figure::null(why);
        }
        let ratio = |at: &mut dyn Iterator<Item = usize>| {
            let (sum_m, sum_0) = at.fold((0.0, 0.0), |(m, o), i| (m + r_m[i], o + r_0[i]));
            sum_m / sum_0
        };
        let n = r_0.len();
        let estimate = ratio(&mut (0..n));
        let found = if n < BOOTSTRAP_FROM {
            interval::ratio(&r_m, &r_0)
        } else {
            bca(n, |at| ratio(&mut at.iter().copied()), &mut generator(self.seed))
        };
        // The ratio's scatter, to first order about its estimate.
        let residuals: Vec<f64> =
            r_m.iter().zip(&r_0).map(|(m, o)| (m - estimate * o) / mean(&r_0)).collect();
        self.estimate(estimate, found, interval::detectable(&residuals), usable)
    }
}

fn scale(quantity: Quantity) -> Scale {
    match quantity {
        Quantity::R0 | Quantity::Rw | Quantity::Rm => Scale::Level(Bounds::Correlation),
        Quantity::Perturbation | Quantity::ObservationLoss | Quantity::FidelityLoss => {
            Scale::Difference
        }
        Quantity::Retained => Scale::Level(Bounds::None),
        Quantity::SeriesError => Scale::Level(Bounds::Positive),
    }
}

/// Why a share of `r_0` cannot be told, where its interval comes too near zero.
fn too_small(r_0: Option<Interval>) -> Option<String> {
    let Some(Interval { lo, hi }) = r_0 else {
        return Some("r_0 has no interval, so it may be near zero".into());
    };
    let least = if lo > 0.0 { lo } else { (-hi).max(0.0) };
    (least <= LEAST_R_0).then(|| {
        format!("r_0 lies in [{lo:.2}, {hi:.2}]: its lower bound is not above {LEAST_R_0}")
    })
}

/// What is missing in the series that `quantity` is made from.
fn incomplete(quantity: Quantity, blocks: &[Block<'_>]) -> Vec<String> {
    let n = blocks.len();
    let method = blocks.iter().filter(|block| !block.method.complete).count();
    let witness = blocks
        .iter()
        .filter(|block| !(block.off.witness_complete && block.method.witness_complete))
        .count();
    let mut notes = Vec::new();
    if method > 0 && quantity.uses_method() {
        notes.push(format!(
            "events were lost or missed, or may have been, in {method} of {n} trials: their series is not exact"
        ));
    }
    if witness > 0 && quantity.uses_witness() {
        notes.push(format!("the witness missed calls, or may have, in {witness} of {n} blocks"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::{Lab, exchanged, on_and_off, shows},
        model::{
            loss::Loss,
            trial::{Outcome, Pace, Part},
        },
    };

    const FLAT: (Part, Pace) = (Part::Fidelity, Pace::Flat);
    const COUNT: &str = "bpf-fentry-count";
    const TX: Function<'_> = Function { index: 0, name: "handle_tx" };
    const RX: Function<'_> = Function { index: 1, name: "handle_rx" };
    const BIN: Nanos = Nanos(250_000_000);

    /// Blocks with r_0 = 1 - i/16, r_w = 1 - j/16, r_m = 1 - k/16.
    fn lab(method: &str, per_call: f64, blocks: &[(usize, usize, usize)]) -> Lab {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for (block, &(i, j, k)) in (0..).zip(blocks) {
            lab.done(block, FLAT, "off", |measured| shows(measured, &exchanged(i), None));
            lab.done(block, FLAT, method, |measured| {
                shows(measured, &exchanged(j), Some((&exchanged(k), per_call)));
            });
        }
        lab
    }

    fn measured(lab: &mut Lab, trial: usize) -> &mut Measured {
        match &mut lab.trials[trial].outcome {
            Outcome::Done(measured) => measured,
            Outcome::Failed { why } => panic!("{why}"),
        }
    }

    fn of(lab: &Lab, method: &str, function: Function<'_>) -> FidelityFigures {
        figures(&lab.trials(), lab.method(method), function, BIN, 1)
    }

    fn known(figure: &Figure) -> &Estimate {
        figure.known().unwrap_or_else(|| panic!("{figure:?}"))
    }

    fn why(figure: &Figure) -> &str {
        match figure {
            Figure::Null(absent) => &absent.why,
            Figure::Known(estimate) => panic!("{estimate:?}"),
        }
    }

    fn close(figure: &Figure, expected: f64) {
        assert!((known(figure).estimate - expected).abs() < 1e-12, "{figure:?} is not {expected}");
    }

    #[test]
    fn every_figure_by_hand() {
        let found = of(&lab(COUNT, 1.0, &[(1, 2, 3), (1, 2, 4), (1, 2, 5)]), COUNT, TX);
        close(&found.r_0, 15.0 / 16.0);
        close(&found.r_w, 14.0 / 16.0);
        close(&found.r_m, 12.0 / 16.0);
        close(&found.perturbation, 1.0 / 16.0);
        close(&found.observation_loss, 2.0 / 16.0);
        close(&found.fidelity_loss, 3.0 / 16.0);
        close(&found.r_retained, 12.0 / 15.0);
        // Two bins differ by 100 for each pair exchanged in the one and not in the other: 1, 2, 3 of 9600 calls.
        close(&found.series_error, 2.0 * 2.0 * 100.0 / 9600.0);
        // r_m scatters by 1/16 over 3 blocks: t[0.975, 2] = 4.30265.
        let r_m = known(&found.r_m);
        assert!((r_m.lo.unwrap() - (0.75 - 4.30265 / 16.0 / 3.0_f64.sqrt())).abs() < 1e-5);
        assert_eq!((r_m.n, r_m.platform, r_m.p), (3, Platform::Counted, None));
        // Equal r_0 in all blocks: the ratio's interval is r_m's, scaled.
        let retained = known(&found.r_retained);
        assert!(
            (retained.lo.unwrap() - r_m.lo.unwrap() * 16.0 / 15.0).abs() < 1e-9,
            "{retained:?}"
        );
        // r_m + 4.30265/16/√3 is below 1, r_w without scatter is a point.
        assert_eq!(known(&found.r_w).lo, known(&found.r_w).hi);
        assert!(known(&found.perturbation).p.unwrap() < 1e-6);
        // Ranks of two values are the values; 10 s of 16 s leave 25 averages.
        close(&found.beside.spearman_m, 12.0 / 16.0);
        assert_eq!(why(&found.beside.moving_average_m), "25 bins; r needs 30");
    }

    #[test]
    fn a_perfect_witness_differs_from_the_throughput_by_exactly_nothing() {
        for blocks in [1, 2, 15] {
            let found = of(&lab(COUNT, 1.0, &vec![(2, 2, 2); blocks]), COUNT, TX);
            for figure in [&found.perturbation, &found.observation_loss, &found.fidelity_loss] {
                let figure = known(figure);
                assert_eq!((figure.estimate, figure.lo, figure.hi), (0.0, Some(0.0), Some(0.0)));
                assert_eq!(figure.n, blocks);
            }
            let retained = known(&found.r_retained);
            assert!((retained.lo.unwrap() - 1.0).abs() < 1e-9, "{retained:?}");
            assert_eq!(known(&found.series_error).estimate, 0.0);
        }
    }

    #[test]
    fn one_block_has_an_interval_within_its_run() {
        let found = of(&lab(COUNT, 1.0, &[(1, 1, 4)]), COUNT, TX);
        for figure in [&found.r_0, &found.r_m, &found.observation_loss, &found.series_error] {
            let figure = known(figure);
            assert_eq!((figure.n, &figure.notes[..]), (1, &[WITHIN_RUN.to_owned()][..]));
            let (lo, hi) = (figure.lo.unwrap(), figure.hi.unwrap());
            assert!(lo < figure.estimate && figure.estimate < hi, "{figure:?}");
            assert_eq!((figure.detectable, figure.p), (None, None));
        }
        assert!(known(&found.r_m).hi.unwrap() <= 1.0);
    }

    #[test]
    fn trials_of_different_schedules_share_no_bins() {
        let mut lab = lab(COUNT, 1.0, &[(1, 1, 4)]);
        lab.done(1, FLAT, "off", |_| {});
        measured(&mut lab, 0).sections[1].first_bin = 20;
        let found = of(&lab, COUNT, TX);
        let perturbation = known(&found.perturbation);
        assert_eq!((perturbation.lo, perturbation.n), (None, 1));
    }

    #[test]
    fn the_scatter_between_blocks_counts_not_the_number_of_bins() {
        // 20 blocks, whose r_m is 1 - 0/16 or 1 - 8/16 in turn: the interval of the mean must span about ±0.11.
        let blocks: Vec<_> = (0..20).map(|block| (0, 0, block % 2 * 8)).collect();
        let found = of(&lab(COUNT, 1.0, &blocks), COUNT, TX);
        let r_m = known(&found.r_m);
        assert!((r_m.estimate - 0.75).abs() < 1e-12 && r_m.n == 20);
        let width = r_m.hi.unwrap() - r_m.lo.unwrap();
        assert!((0.18..0.26).contains(&width), "{r_m:?}");
        let retained = known(&found.r_retained);
        assert!((retained.hi.unwrap() - retained.lo.unwrap() - width).abs() < 1e-9, "{retained:?}");
    }

    #[test]
    fn a_share_of_a_weak_r_0_is_not_told() {
        let found = of(&lab(COUNT, 1.0, &[(14, 14, 14), (15, 15, 15)]), COUNT, TX);
        assert!(why(&found.r_retained).starts_with("r_0 lies in ["), "{:?}", found.r_retained);
        assert!(known(&found.r_0).estimate < 0.1);
        // One run whose r_0 is 0 by construction.
        let found = of(&lab(COUNT, 1.0, &[(16, 16, 16)]), COUNT, TX);
        assert!(why(&found.r_retained).starts_with("r_0 lies in ["), "{:?}", found.r_retained);
        assert!(known(&found.r_0).estimate.abs() < 1e-12);
    }

    #[test]
    fn a_sampler_is_scaled_by_its_declared_factor_and_shares_have_no_error() {
        let one_in_ten = "perf-kprobe-record-10";
        let found = of(&lab(one_in_ten, 0.1, &[(0, 0, 0), (0, 0, 0)]), one_in_ten, TX);
        assert!(known(&found.series_error).estimate < 1e-12, "{:?}", found.series_error);
        // Half of what the factor promises.
        let found = of(&lab(one_in_ten, 0.05, &[(0, 0, 0), (0, 0, 0)]), one_in_ten, TX);
        close(&found.series_error, 0.5);
        let profiler = "perf-sample-999-cpu-clock";
        let found = of(&lab(profiler, 0.1, &[(0, 0, 2), (0, 0, 2)]), profiler, TX);
        assert_eq!(why(&found.series_error), "shares of CPU time cannot be set against calls");
        close(&found.r_m, 14.0 / 16.0);
    }

    #[test]
    fn what_cannot_be_correlated_says_why_and_the_rest_stands() {
        let mut lab = lab(COUNT, 1.0, &[(0, 0, 0), (0, 0, 0), (0, 0, 0)]);
        lab.done(3, FLAT, "off", |measured| shows(measured, &on_and_off(), None));
        lab.done(3, FLAT, COUNT, |measured| {
            shows(measured, &[true; 64], Some((&on_and_off(), 1.0)));
        });
        let found = of(&lab, COUNT, TX);
        let r_w = known(&found.r_w);
        assert_eq!(
            (r_w.n, &r_w.notes[..]),
            (3, &["1 of 4 blocks left out: the witness is constant".to_owned()][..])
        );
        assert_eq!(known(&found.r_m).n, 4);
        // No witness for handle_rx, and the method recorded nothing of it.
        let found = of(&lab, COUNT, RX);
        assert_eq!(why(&found.r_0), "no witness: handle_rx has no caller that fentry can hold");
        assert_eq!(why(&found.r_m), "the method has no series of handle_rx");
    }

    #[test]
    fn incomplete_series_are_told() {
        let mut lab = lab(COUNT, 1.0, &[(0, 0, 0), (0, 0, 1)]);
        let trial = measured(&mut lab, 1);
        trial.observation.missed = Loss::Unknown;
        trial.witness.as_mut().unwrap().missed = Loss::Unknown;
        // As many calls as the witness counted: that the kernel tells of no misses does not matter.
        let found = of(&lab, COUNT, TX);
        assert_eq!(known(&found.series_error).notes.len(), 1);
        measured(&mut lab, 1).series[0].values[5] -= 3.0;
        let found = of(&lab, COUNT, TX);
        let notes = &known(&found.series_error).notes;
        assert!(notes[0].contains("in 1 of 2 trials"), "{notes:?}");
        assert!(notes[1].starts_with("the witness missed calls"), "{notes:?}");
        assert_eq!(known(&found.r_w).notes.len(), 1);
    }

    #[test]
    fn the_control_has_r_0_alone() {
        let found = of(&lab(COUNT, 1.0, &[(1, 1, 1), (3, 3, 3)]), "off", TX);
        close(&found.r_0, 14.0 / 16.0);
        for figure in [&found.r_w, &found.r_m, &found.series_error, &found.beside.spearman_m] {
            assert_eq!(why(figure), "the control");
        }
    }

    #[test]
    fn moving_averages_stand_without_interval() {
        let blocks = [(1, 1, 2), (1, 1, 3)];
        let lab = lab(COUNT, 1.0, &blocks);
        // Bins of 3.3 s: windows of three, 62 of them.
        let found = figures(&lab.trials(), lab.method(COUNT), TX, Nanos(3_300_000_000), 1);
        let smooth = known(&found.beside.moving_average_0);
        assert_eq!((smooth.lo, smooth.hi, smooth.detectable, smooth.n), (None, None, None, 2));
    }
}
