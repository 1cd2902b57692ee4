//! One function's series in one trial, and what is computed from them.

use super::{
    bootstrap::Sections,
    correlation::{Coefficient, moving_average},
    item::Item,
};
use crate::model::{
    loss::Loss,
    method::SeriesUnit,
    observation::Observation,
    trial::{Measured, WitnessCounts},
};
use crate::workload::CALLED_PER_KICK;

/// The series of one function in one trial, bin by bin.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Calls by the witness, or why there are none.
    witness: Result<Vec<f64>, String>,
    /// Bytes at the sink; r is blind to the factor 8 of bits.
    throughput: Vec<f64>,
    /// The method's series, or why there is none.
    method: Result<Vec<f64>, String>,
    /// What the method's series is of, where it sees no functions.
    pub(super) stand_in: Option<String>,
    /// The schedule.
    pub(super) sections: Sections,
    /// Whether every call is in the method's series.
    pub(super) complete: bool,
    /// Whether every call is in the witness's series.
    pub(super) witness_complete: bool,
}

/// How two series are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rating {
    /// The coefficient.
    pub(super) r: Coefficient,
    /// Bins per moving average; 1 for raw bins.
    pub(super) window: usize,
}

/// A trial under the control and one under the method, from the same block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) off: &'a View,
    pub(super) method: &'a View,
}

/// A figure of fidelity, in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    R0,
    Rw,
    Rm,
    Perturbation,
    ObservationLoss,
    FidelityLoss,
    Retained,
    /// With the method's declared sampling factor; none where its series does not count calls.
    SeriesError,
}

impl Quantity {
    /// Whether the method's own series is part of it.
    pub(super) fn uses_method(self) -> bool {
        !matches!(self, Self::R0 | Self::Rw | Self::Perturbation)
    }

    /// Whether the witness is part of it.
    pub(super) fn uses_witness(self) -> bool {
        self != Self::Rm
    }
}

impl View {
    /// The series of `function` in `trial`, under a method whose series has this `unit`.
    pub(super) fn of(trial: &Measured, function: Item<'_>, unit: SeriesUnit) -> Self {
        let firsts: Vec<usize> = trial.sections.iter().map(|section| section.first_bin).collect();
        let witness = witness(trial, function);
        let own = trial.series.iter().find(|series| series.function == function.name);
        // A method that sees no functions shows something else of the same traffic, if anything.
        let stand_in =
            trial.series.first().filter(|_| own.is_none() && stood_in_for(function, trial));
        let method = own
            .or(stand_in)
            .map(|series| series.values.clone())
            .ok_or_else(|| format!("the method has no series of {}", function.name));
        Self {
            throughput: numbers(&trial.throughput),
            sections: Sections::new(trial.throughput.len(), &firsts),
            complete: is_complete(&trial.observation, unit, || agree(&witness, &method, unit)),
            witness_complete: trial.witness.as_ref().is_some_and(|w| w.missed == Loss::NONE),
            witness,
            method,
            stand_in: stand_in.map(|series| series.function.clone()),
        }
    }

    fn r_witness(&self, rating: Rating, at: Option<&[usize]>) -> Result<f64, String> {
        rating.compare("witness", self.witness()?, &self.throughput, at)
    }

    fn r_method(&self, rating: Rating, at: Option<&[usize]>) -> Result<f64, String> {
        rating.compare("method's series", self.series()?, &self.throughput, at)
    }

    fn series_error(&self, factor: Option<f64>, at: Option<&[usize]>) -> Result<f64, String> {
        let factor = factor.ok_or("shares of CPU time cannot be set against calls")?;
        if let Some(item) = &self.stand_in {
            return Err(format!("{item} cannot be set against calls"));
        }
        let (method, witness) = (pick(self.series()?, at), pick(self.witness()?, at));
        if method.len() != witness.len() {
            return Err("the method's series and the witness differ in length".into());
        }
        let calls: f64 = witness.iter().sum();
        if calls == 0.0 {
            return Err("the witness counted no call".into());
        }
        let away = |(m, w): (&f64, &f64)| (factor * m - w).abs();
        Ok(method.iter().zip(&witness).map(away).sum::<f64>() / calls)
    }

    fn witness(&self) -> Result<&[f64], String> {
        self.witness.as_deref().map_err(Clone::clone)
    }

    fn series(&self) -> Result<&[f64], String> {
        self.method.as_deref().map_err(Clone::clone)
    }
}

impl Block<'_> {
    /// The quantity over the bins `at`, or over all of them in order.
    ///
    /// # Errors
    /// Why it does not exist.
    pub(super) fn value(
        &self,
        quantity: Quantity,
        rating: Rating,
        factor: Option<f64>,
        at: Option<&[usize]>,
    ) -> Result<f64, String> {
        let r_0 = || self.off.r_witness(rating, at);
        let r_w = || self.method.r_witness(rating, at);
        let r_m = || self.method.r_method(rating, at);
        match quantity {
            Quantity::R0 => r_0(),
            Quantity::Rw => r_w(),
            Quantity::Rm => r_m(),
            Quantity::Perturbation => Ok(r_0()? - r_w()?),
            Quantity::ObservationLoss => Ok(r_w()? - r_m()?),
            Quantity::FidelityLoss => Ok(r_0()? - r_m()?),
            Quantity::Retained => Ok(r_m()? / r_0()?),
            Quantity::SeriesError => self.method.series_error(factor, at),
        }
    }
}

impl Rating {
    fn compare(
        self,
        name: &str,
        series: &[f64],
        throughput: &[f64],
        at: Option<&[usize]>,
    ) -> Result<f64, String> {
        let (series, throughput) = (pick(series, at), pick(throughput, at));
        let smooth = |values: Vec<f64>| {
            if self.window > 1 { moving_average(&values, self.window) } else { values }
        };
        let (series, throughput) = (smooth(series), smooth(throughput));
        (self.r)(&series, &throughput).map_err(|undefined| undefined.why(name, "throughput"))
    }
}

/// The values at these bins. A series that is too short for them is left as it is, for the length check to find.
fn pick(values: &[f64], at: Option<&[usize]>) -> Vec<f64> {
    match at {
        None => values.to_vec(),
        Some(at) => at.iter().filter_map(|&bin| values.get(bin).copied()).collect(),
    }
}

/// Whether every call is known to be in the series. Where the kernel does not tell what was missed, `agrees` decides.
fn is_complete(seen: &Observation, unit: SeriesUnit, agrees: impl Fn() -> bool) -> bool {
    let nothing_missed = match seen.missed {
        Loss::NONE => true,
        // A profiler looks at moments, not at calls: it misses none.
        Loss::Unknown => unit == SeriesUnit::CpuShare || agrees(),
        Loss::Exact(_) | Loss::AtLeast(_) => false,
    };
    seen.lost == Loss::NONE && nothing_missed
}

/// Whether a series of all calls holds as many as the witness.
fn agree(
    witness: &Result<Vec<f64>, String>,
    method: &Result<Vec<f64>, String>,
    unit: SeriesUnit,
) -> bool {
    let sum = |series: &Result<Vec<f64>, String>| Some(series.as_ref().ok()?.iter().sum::<f64>());
    unit == (SeriesUnit::Calls { factor: 1.0 })
        && sum(witness).is_some()
        && sum(witness) == sum(method)
}

/// Whether what the method saw instead stands for `function`: only what each kick causes does, and only where no function
/// was observed.
fn stood_in_for(function: Item<'_>, trial: &Measured) -> bool {
    let functions = trial.witness.as_ref().map_or(0, |witness| witness.functions.len());
    function.name == CALLED_PER_KICK
        && trial.observation.recorded.iter().take(functions).all(Option::is_none)
}

/// Calls per bin by the witness, or why there are none.
pub(super) fn witness(trial: &Measured, function: Item<'_>) -> Result<Vec<f64>, String> {
    let witness = trial.witness.as_ref().ok_or("the trial ran without witness")?;
    match witness.functions.get(function.index) {
        Some(WitnessCounts::Calls(calls)) => Ok(numbers(calls)),
        Some(WitnessCounts::None { why }) => Err(format!("no witness: {why}")),
        None => Err("no witness for this function".into()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no bin holds 2^53 calls or bytes")]
pub(super) fn numbers(values: &[u64]) -> Vec<f64> {
    values.iter().map(|&value| value as f64).collect()
}
