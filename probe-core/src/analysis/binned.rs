//! What a trial shows in each of its bins, as pairs of series: a quantity, and what to divide it
//! by.

use super::{
    gaps::Gaps,
    item::Item,
    stretch::{Binned, Two},
    view::{View, numbers, reference},
};
use crate::model::{
    loss::Loss,
    method::SeriesUnit,
    reason::Reason,
    trial::{GuestSeries, Measured},
};

/// A function, as a method shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) function: Item<'a>,
    /// Unit of the method's series.
    pub(super) unit: SeriesUnit,
}

/// Bits at the sink, and seconds.
pub(super) fn throughput(trial: &Measured) -> Result<Binned, Reason> {
    Two::new(bits(&trial.throughput), seconds(trial)).map(Binned::from)
}

/// Bits of one guest, and seconds.
pub(super) fn guest_throughput(trial: &Measured, name: &str) -> Result<Binned, Reason> {
    let guest = trial.guests.iter().find(|guest| guest.name == name);
    let guest = guest.ok_or_else(|| Reason::NoSeriesOfGuest { guest: name.into() })?;
    Two::new(bits(&guest.throughput), seconds(trial)).map(Binned::from)
}

/// Calls by the reference counter, and seconds.
pub(super) fn calls(trial: &Measured, function: Item<'_>) -> Result<Binned, Reason> {
    with_reference(trial, reference(trial, function)?, seconds(trial))
}

/// Frames at the sink, and calls by the reference counter.
pub(super) fn frames_by_call(trial: &Measured, function: Item<'_>) -> Result<Binned, Reason> {
    if trial.frames.is_empty() {
        return Err(Reason::NoFramesByBin);
    }
    with_reference(trial, numbers(&trial.frames), reference(trial, function)?)
}

/// Calls by the reference counter, and bits at the sink.
pub(super) fn calls_and_bits(trial: &Measured, function: Item<'_>) -> Result<Binned, Reason> {
    with_reference(trial, reference(trial, function)?, bits(&trial.throughput))
}

/// Time between two calls in µs, the bin's mean (NaN in a bin without call), and the guests'
/// round-trip time in µs.
pub(super) fn between_calls_and_rtt(trial: &Measured, calls: Binned) -> Result<Binned, Reason> {
    let between = |(calls, seconds): (&f64, &f64)| {
        if *calls > 0.0 { 1e6 * seconds / calls } else { f64::NAN }
    };
    let Binned { two: calls, gaps } = calls;
    let between = calls.a.iter().zip(&calls.b).map(between).collect();
    Ok(Binned { two: Two::new(between, rtt_us(trial)?)?, gaps })
}

impl Own<'_> {
    /// Calls by the method, with each record counted as many times as its declared factor, and
    /// seconds.
    pub(super) fn calls(self, trial: &Measured) -> Result<Binned, Reason> {
        let SeriesUnit::Calls { factor } = self.unit else {
            return Err(Reason::SharesNotCalls);
        };
        let view = self.view(trial);
        let calls = view.calls()?.iter().map(|value| factor * value).collect();
        told(&view, calls, seconds(trial))
    }

    /// A profiler's share including everything that the function calls, in per cent; and ones, so
    /// that a ratio is a mean over bins.
    pub(super) fn share(self, trial: &Measured) -> Result<Binned, Reason> {
        let view = self.view(trial);
        let share = view.calls()?.to_vec();
        let ones = vec![1.0; share.len()];
        told(&view, share, ones)
    }

    /// A profiler's share of the function's own code; and ones.
    pub(super) fn self_share(self, trial: &Measured) -> Result<Binned, Reason> {
        let found = trial.series.iter().find(|series| series.function == self.function.name);
        let own = found.and_then(|series| series.self_share.clone());
        let own = own.ok_or(Reason::NoOwnShare)?;
        let ones = vec![1.0; own.len()];
        told(&self.view(trial), own, ones)
    }

    /// The method's own series, or what stands in for it; and bits at the sink.
    pub(super) fn series_and_bits(self, trial: &Measured) -> Result<Binned, Reason> {
        let view = self.view(trial);
        told(&view, view.series()?.to_vec(), bits(&trial.throughput))
    }

    fn view(self, trial: &Measured) -> View {
        View::of(trial, self.function, self.unit)
    }
}

/// The sum of the shares of several functions; and ones.
pub(super) fn shares(trial: &Measured, functions: &[Item<'_>]) -> Result<Binned, Reason> {
    let mut sum = Binned::from(Two {
        a: vec![0.0; trial.throughput.len()],
        b: vec![1.0; trial.throughput.len()],
    });
    for &function in functions {
        let Binned { two, gaps } = Own { function, unit: SeriesUnit::CpuShare }.share(trial)?;
        sum.two.a.iter_mut().zip(two.a).for_each(|(sum, value)| *sum += value);
        sum.gaps = gaps;
    }
    Ok(sum)
}

/// A pair of series, one of which is the reference counter's.
fn with_reference(trial: &Measured, a: Vec<f64>, b: Vec<f64>) -> Result<Binned, Reason> {
    let whole = trial.reference.as_ref().is_some_and(|reference| reference.missed == Loss::NONE);
    let gaps = Gaps { reference: !whole, ..Gaps::default() };
    Ok(Binned { two: Two::new(a, b)?, gaps })
}

/// A pair of series, one of which is the method's.
fn told(view: &View, a: Vec<f64>, b: Vec<f64>) -> Result<Binned, Reason> {
    let stand_in = view.stand_in.clone();
    let gaps = Gaps { method: !view.complete, reference: false, stand_in };
    Ok(Binned { two: Two::new(a, b)?, gaps })
}

/// The guests' round-trip times, bin by bin: the mean over the guests that report one in the bin,
/// NaN if none does.
fn rtt_us(trial: &Measured) -> Result<Vec<f64>, Reason> {
    let told: Vec<&GuestSeries> =
        trial.guests.iter().filter(|guest| guest.rtt_us.iter().any(Option::is_some)).collect();
    if told.is_empty() {
        return Err(Reason::NoRoundTripTime);
    }
    let of_bin = |bin: usize| {
        let known = told.iter().filter_map(|guest| guest.rtt_us.get(bin).copied().flatten());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), rtt| (sum + rtt, count + 1.0));
        // 0 / 0 is NaN: no guest reported one.
        sum / count
    };
    Ok((0..trial.throughput.len()).map(of_bin).collect())
}

fn bits(bytes: &[u64]) -> Vec<f64> {
    numbers(bytes).iter().map(|bytes| 8.0 * bytes).collect()
}

pub(super) fn seconds(trial: &Measured) -> Vec<f64> {
    trial.edges.array_windows().map(|[from, to]| to.since(*from).as_secs()).collect()
}
