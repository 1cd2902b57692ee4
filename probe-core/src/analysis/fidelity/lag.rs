//! The lag at which a series correlates best with throughput.

use super::{
    super::{
        correlation::{mean, pearson},
        view::View,
    },
    Fidelity,
};
use crate::model::{
    figure::Absent,
    figures::{Lag, LagFigures, Lagged},
    method::MethodId,
    reason::{Compared, Reason},
    units::Nanos,
};

/// Greatest number of bins by which throughput is shifted, in either direction.
const MOST: i32 = 4;

/// The reference counter's lag under the method, and the method's own.
pub(super) fn figures(fidelity: &Fidelity, method: &MethodId, bin: Nanos) -> LagFigures {
    let of = |series: fn(&View) -> Result<&[f64], Reason>, name| {
        let by_block = fidelity.views.values().map(|(_, view)| by_lag(series(view)?, view, name));
        lagged(by_block.collect(), bin)
    };
    LagFigures {
        reference: of(View::reference, Compared::ReferenceCounter),
        method: (!method.is_off()).then(|| of(View::series, Compared::Method)),
    }
}

/// r(series in bin b, throughput in bin b + k) for k from -[`MOST`] to [`MOST`].
fn by_lag(series: &[f64], view: &View, name: Compared) -> Result<Vec<f64>, Reason> {
    let throughput = &view.throughput[..];
    let r = |lag: i32| {
        let by = usize::try_from(lag.unsigned_abs()).unwrap_or(usize::MAX);
        let front = |values: &[f64]| -> Vec<f64> {
            values.iter().take(values.len().saturating_sub(by)).copied().collect()
        };
        let back = |values: &[f64]| -> Vec<f64> { values.iter().skip(by).copied().collect() };
        let (series, throughput) = if lag < 0 {
            (back(series), front(throughput))
        } else {
            (front(series), back(throughput))
        };
        pearson(&series, &throughput)
            .map_err(|undefined| undefined.of([name, Compared::Throughput]))
    };
    (-MOST..=MOST).map(r).collect()
}

/// The lag with the greatest |r|, averaged over the blocks; among equals, the one closest to zero.
fn lagged(blocks: Vec<Result<Vec<f64>, Reason>>, bin: Nanos) -> Lagged {
    let (known, whys): (Vec<_>, Vec<_>) = blocks.into_iter().partition(Result::is_ok);
    let known: Vec<Vec<f64>> = known.into_iter().flatten().collect();
    if known.is_empty() {
        let why = Reason::of_blocks(whys.into_iter().filter_map(Result::err));
        return Lagged::Null(Absent { estimate: (), why });
    }
    let mean_at = |place: usize| {
        mean(&known.iter().filter_map(|block| block.get(place).copied()).collect::<Vec<_>>())
    };
    let by_lag: Vec<f64> = (-MOST..=MOST).enumerate().map(|(place, _)| mean_at(place)).collect();
    let (bins, r) = best(&by_lag);
    Lagged::Known(Lag {
        bins,
        seconds: f64::from(bins) * bin.as_secs(),
        r,
        in_blocks: known.iter().filter(|block| best(block).0 == bins).count(),
        n: known.len(),
        by_lag,
    })
}

/// The lag with the greatest |r|, and its r.
fn best(by_lag: &[f64]) -> (i32, f64) {
    let mut nearest_first: Vec<(i32, f64)> = (-MOST..=MOST).zip(by_lag.iter().copied()).collect();
    nearest_first.sort_by_key(|(lag, _)| (lag.unsigned_abs(), lag.is_negative()));
    // An earlier lag is kept unless a later one is greater.
    let best = nearest_first
        .into_iter()
        .reduce(|best, next| if next.1.abs() > best.1.abs() { next } else { best });
    best.unwrap_or((0, f64::NAN))
}
