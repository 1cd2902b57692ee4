//! Outliers: values of figures far from those of the other blocks. They are reported, and kept.

use super::{
    blocks::Blocks,
    bootstrap::quantile,
    estimate::Values,
    figures::{self, Scope},
    pairs::Block,
};
use crate::model::{campaign::MethodSummary, checks::Outlier};

/// Distance from the median, in scaled median absolute deviations, from which a value is an
/// outlier. The usual 3.5 (Iglewicz and Hoaglin 1993) is for large samples: with ten normal values
/// it would report an outlier in every eighth sample.
const APART: f64 = 6.0;

/// Factor that makes the median absolute deviation of normal values their standard deviation.
const SCALE: f64 = 1.4826;

/// Least number of blocks from which scatter can be estimated.
const LEAST_BLOCKS: usize = 8;

/// All outliers: of the overhead, and of the fidelity for the headline function.
pub(super) fn outliers(methods: &[MethodSummary], blocks: &Blocks<'_>) -> Vec<Outlier> {
    let mut outliers = Vec::new();
    for method in methods {
        for named in figures::of(method) {
            let enough = named.figure.known().is_some_and(|found| found.n >= LEAST_BLOCKS);
            if !enough || matches!(named.place, Scope::Fidelity(Some(_))) {
                continue;
            }
            let values = blocks.values(&method.id, named.definition, named.place);
            let found = apart(&values).into_iter().map(|((_, block), deviations)| Outlier {
                method: method.id.clone(),
                figure: named.path.clone(),
                block,
                deviations,
            });
            outliers.extend(found);
        }
    }
    outliers
}

/// The values that stand apart, with their distance. None where more than half of the values are
/// the same: nothing is known then of how the others scatter.
fn apart(values: &Values) -> Vec<(Block, f64)> {
    let median = |values: &mut dyn Iterator<Item = f64>| {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5)
    };
    if values.len() < LEAST_BLOCKS {
        return Vec::new();
    }
    let middle = median(&mut values.values().copied());
    let deviation = SCALE * median(&mut values.values().map(|value| (value - middle).abs()));
    if deviation <= 0.0 {
        return Vec::new();
    }
    let distances = values.iter().map(|(place, value)| (*place, (value - middle) / deviation));
    distances.filter(|(_, distance)| distance.abs() > APART).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::analysis::figures::table::KERNEL_NS_PER_EVENT;
    use crate::{
        analysis::fixture::{Lab, normal},
        model::{
            figure::Platform,
            trial::{Pace, Part},
            units::Nanos,
        },
    };

    fn values(values: &[f64]) -> Values {
        (0..).map(|block| (7, block)).zip(values.iter().copied()).collect()
    }

    #[test]
    fn a_value_that_stands_apart_is_named_by_hand() {
        // Median 5.5, deviations 0.5 to 4.5 and 94.5: their median is 2.5.
        let list = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 100.0];
        let found = apart(&values(&list));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, (7, 9));
        assert!((found[0].1 - 94.5 / (1.4826 * 2.5)).abs() < 1e-9, "{found:?}");
        assert!(apart(&values(&list[..9])).is_empty());
        // Seven values are too few, and the scatter of equal ones is unknown.
        assert!(apart(&values(&list[3..])).is_empty());
        assert!(apart(&values(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 9.0])).is_empty());
    }

    #[test]
    fn normal_values_are_seldom_named() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        for (n, most) in [(8, 0.035), (10, 0.025), (20, 0.012)] {
            let named = (0..4000)
                .filter(|_| !apart(&values(&normal(&mut rng, n, 5.0, 2.0))).is_empty())
                .count();
            let share = named as f64 / 4000.0;
            println!("{n} normal values: any named in {share:.3}");
            assert!(share < most, "{n}: {share}");
        }
    }

    #[test]
    fn the_summary_names_method_figure_and_block_and_keeps_the_value() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for (block, cost) in (3..).zip([600, 602, 598, 601, 599, 603, 900, 597, 600]) {
            for (method, cost) in [("off", 0), ("ftrace-function", cost)] {
                lab.done(block, (Part::Overhead, Pace::ClosedLoop), method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
                });
            }
        }
        let summary = lab.campaign().summary;
        let [found] = &summary.checks.outliers[..] else { panic!("{:?}", summary.checks) };
        assert_eq!(found.method.0, "ftrace-function");
        assert_eq!((found.figure.as_str(), found.block), ("overhead.kernel_ns_per_event", 9));
        let figure = summary.methods[2].overhead.of(KERNEL_NS_PER_EVENT);
        assert_eq!(figure.known().unwrap().n, 9);
        assert!(figure.known().unwrap().estimate > 630.0, "{figure:?}");
    }
}
