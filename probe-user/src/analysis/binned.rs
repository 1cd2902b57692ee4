//! What a trial tells of each of its bins, as pairs of series: what is counted, and over what.

use super::{
    item::Item,
    stretch::Two,
    view::{numbers, witness},
};
use crate::model::{
    observation::Series,
    trial::{GuestSeries, Measured},
};

/// Bits at the sink, and seconds.
pub(super) fn throughput(trial: &Measured) -> Result<Two, String> {
    Two::new(bits(&trial.throughput), seconds(trial))
}

/// Bits of one guest, and seconds.
pub(super) fn guest_throughput(trial: &Measured, name: &str) -> Result<Two, String> {
    let guest = trial.guests.iter().find(|guest| guest.name == name);
    let guest = guest.ok_or_else(|| format!("no series of {name}"))?;
    Two::new(bits(&guest.throughput), seconds(trial))
}

/// Calls by the witness, and seconds.
pub(super) fn calls(trial: &Measured, function: Item<'_>) -> Result<Two, String> {
    Two::new(witness(trial, function)?, seconds(trial))
}

/// Calls by the method, each record standing for `factor` of them, and seconds.
pub(super) fn own_calls(trial: &Measured, function: Item<'_>, factor: f64) -> Result<Two, String> {
    let calls = own(trial, function)?.values.iter().map(|value| factor * value).collect();
    Two::new(calls, seconds(trial))
}

/// A profiler's share with all that the function calls, in per cent; and ones, so that a ratio is a mean over bins.
pub(super) fn share(trial: &Measured, function: Item<'_>) -> Result<Two, String> {
    Ok(per_bin(own(trial, function)?.values.clone()))
}

/// A profiler's share of the function's own code; and ones.
pub(super) fn self_share(trial: &Measured, function: Item<'_>) -> Result<Two, String> {
    let own = own(trial, function)?.self_share.clone();
    Ok(per_bin(own.ok_or("the method tells no share of the function's own code")?))
}

/// The sum of the shares of several functions; and ones.
pub(super) fn shares(trial: &Measured, functions: &[Item<'_>]) -> Result<Two, String> {
    let mut sum = vec![0.0; trial.throughput.len()];
    for function in functions {
        let values = &own(trial, *function)?.values;
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    Ok(per_bin(sum))
}

/// Frames at the sink, and calls by the witness.
pub(super) fn frames_by_call(trial: &Measured, function: Item<'_>) -> Result<Two, String> {
    if trial.frames.is_empty() {
        return Err("the sink counted no frames by bin".into());
    }
    Two::new(numbers(&trial.frames), witness(trial, function)?)
}

/// Calls by the witness, and bits at the sink.
pub(super) fn calls_and_bits(trial: &Measured, function: Item<'_>) -> Result<Two, String> {
    Two::new(witness(trial, function)?, bits(&trial.throughput))
}

/// The method's own series, and bits at the sink.
pub(super) fn own_and_bits(trial: &Measured, function: Item<'_>) -> Result<Two, String> {
    Two::new(own(trial, function)?.values.clone(), bits(&trial.throughput))
}

/// Time between two calls in µs, the bin's mean (NaN in a bin without call), and the guests' round-trip time in µs.
pub(super) fn between_calls_and_rtt(trial: &Measured, calls: &Two) -> Result<Two, String> {
    let between = |(calls, seconds): (&f64, &f64)| {
        if *calls > 0.0 { 1e6 * seconds / calls } else { f64::NAN }
    };
    Two::new(calls.a.iter().zip(&calls.b).map(between).collect(), rtt_us(trial)?)
}

/// The guests' round-trip times, bin by bin: the mean over the guests that tell one in the bin, NaN where none does.
fn rtt_us(trial: &Measured) -> Result<Vec<f64>, String> {
    let told: Vec<&GuestSeries> =
        trial.guests.iter().filter(|guest| guest.rtt_us.iter().any(Option::is_some)).collect();
    if told.is_empty() {
        return Err("no guest tells a round-trip time: none sends over TCP".into());
    }
    let of_bin = |bin: usize| {
        let known = told.iter().filter_map(|guest| guest.rtt_us.get(bin).copied().flatten());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), rtt| (sum + rtt, count + 1.0));
        // 0 / 0 is no number: nobody told.
        sum / count
    };
    Ok((0..trial.throughput.len()).map(of_bin).collect())
}

fn own<'a>(trial: &'a Measured, function: Item<'_>) -> Result<&'a Series, String> {
    let found = trial.series.iter().find(|series| series.function == function.name);
    found.ok_or_else(|| format!("the method has no series of {}", function.name))
}

fn per_bin(values: Vec<f64>) -> Two {
    let ones = vec![1.0; values.len()];
    Two { a: values, b: ones }
}

fn bits(bytes: &[u64]) -> Vec<f64> {
    numbers(bytes).iter().map(|bytes| 8.0 * bytes).collect()
}

fn seconds(trial: &Measured) -> Vec<f64> {
    trial.edges.windows(2).map(|edge| edge[1].since(edge[0]).as_secs()).collect()
}
