//! What a method costs.

use super::{
    estimate::{Bounds, Sample, Scale},
    pairs::{Chosen, Kind, Pair, Trials},
};
use crate::model::{
    campaign::TollFigures,
    figure::Figure,
    method::{Class, Descriptor, SeriesUnit},
    trial::{Measured, Pace},
};

/// Offered load that differs by more than this share within a pair was not fixed.
const HELD: f64 = 0.01;

/// The toll of `method`.
pub fn figures(trials: &Trials<'_>, method: &Descriptor, seed: u64) -> TollFigures {
    if method.class == Class::Nothing {
        let control = || Figure::null("the control");
        return TollFigures {
            kernel_ns_per_event: control(),
            worker_cpu_pct: control(),
            reader_cpu_pct: control(),
            system_cpu_pct: control(),
            throughput_pct: control(),
        };
    }
    let paired = |pace| trials.paired(Kind::toll(pace), &method.id);
    TollFigures {
        kernel_ns_per_event: kernel_ns_per_event(paired(Pace::Lockstep), method, seed),
        worker_cpu_pct: worker_cpu_pct(paired(Pace::Paced), seed),
        reader_cpu_pct: reader_cpu_pct(trials.single(Kind::toll(Pace::Paced), &method.id), seed),
        system_cpu_pct: of_pairs(
            paired(Pace::Paced).map(with_load_note),
            Scale::Difference,
            |pair| Some(busy_pct(pair.method)? - busy_pct(pair.off)?),
            seed,
        ),
        throughput_pct: of_pairs(
            paired(Pace::Flat),
            Scale::PerCentOfControl,
            |pair| log_ratio(bytes_per_second(pair.method)?, bytes_per_second(pair.off)?),
            seed,
        ),
    }
}

/// Change of the worker's CPU time per frame, in per cent of that under the pair's first trial.
pub(super) fn worker_cpu_pct(pairs: Result<Chosen<Pair<'_>>, String>, seed: u64) -> Figure {
    of_pairs(
        pairs.map(with_load_note),
        Scale::PerCentOfControl,
        |pair| log_ratio(worker_ns_per_frame(pair.method)?, worker_ns_per_frame(pair.off)?),
        seed,
    )
}

fn kernel_ns_per_event(
    pairs: Result<Chosen<Pair<'_>>, String>,
    method: &Descriptor,
    seed: u64,
) -> Figure {
    if method.unit == SeriesUnit::CpuShare {
        return Figure::null(
            "a profiler does no work per call; worker_cpu_pct and system_cpu_pct hold its cost",
        );
    }
    of_pairs(
        pairs,
        Scale::Difference,
        |pair| Some(worker_ns_per_kick(pair.method)? - worker_ns_per_kick(pair.off)?),
        seed,
    )
}

fn reader_cpu_pct(trials: Result<Chosen<&Measured>, String>, seed: u64) -> Figure {
    let share = |trial: &&Measured| per(trial.cpu.reader.0, trial.cpu.elapsed.0);
    of_trials(trials, Scale::Level(Bounds::Positive), |trial| Some(100.0 * share(trial)?), seed)
}

fn of_pairs<'a>(
    pairs: Result<Chosen<Pair<'a>>, String>,
    scale: Scale,
    value: impl Fn(&Pair<'a>) -> Option<f64>,
    seed: u64,
) -> Figure {
    of_trials(pairs, scale, value, seed)
}

/// A figure from one value per block; a block whose value does not exist is left out, and that is said.
fn of_trials<T>(
    chosen: Result<Chosen<T>, String>,
    scale: Scale,
    value: impl Fn(&T) -> Option<f64>,
    seed: u64,
) -> Figure {
    let Chosen { items, platform, mut notes } = match chosen {
        Ok(chosen) => chosen,
        Err(why) => return Figure::null(why),
    };
    let values: Vec<f64> = items.iter().filter_map(value).collect();
    let empty = items.len() - values.len();
    if values.is_empty() {
        return Figure::null("nothing was sent or no time was counted in any of its trials");
    }
    if empty > 0 {
        notes.push(format!("{empty} of {} blocks left out: nothing sent or counted", items.len()));
    }
    Sample { values, platform, notes }.figure(scale, seed)
}

/// Says where the offered load, which is to be the same on both sides, was not.
fn with_load_note(mut pairs: Chosen<Pair<'_>>) -> Chosen<Pair<'_>> {
    let rate = |trial: &Measured| per(trial.sent.frames, trial.cpu.elapsed.0);
    let moved = |pair: &&Pair<'_>| match (rate(pair.off), rate(pair.method)) {
        (Some(off), Some(method)) => (method / off - 1.0).abs() > HELD,
        _ => true,
    };
    let moved = pairs.items.iter().filter(moved).count();
    if moved > 0 {
        pairs.notes.push(format!(
            "the offered load differed by more than 1 % in {moved} of {} pairs",
            pairs.items.len()
        ));
    }
    pairs
}

fn worker_ns(trial: &Measured) -> u64 {
    trial.cpu.workers.iter().map(|worker| worker.0).sum()
}

fn worker_ns_per_kick(trial: &Measured) -> Option<f64> {
    per(worker_ns(trial), trial.sent.kicks)
}

fn worker_ns_per_frame(trial: &Measured) -> Option<f64> {
    per(worker_ns(trial), trial.sent.frames)
}

fn bytes_per_second(trial: &Measured) -> Option<f64> {
    Some(1e9 * per(trial.received.bytes.0, trial.cpu.elapsed.0)?)
}

fn busy_pct(trial: &Measured) -> Option<f64> {
    let cpus = u64::try_from(trial.cpu.cpus).ok()?;
    Some(100.0 * per(trial.cpu.system.0, trial.cpu.elapsed.0.checked_mul(cpus)?)?)
}

/// `part / whole`; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days; no run sends 2^53 frames")]
fn per(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn log_ratio(method: f64, off: f64) -> Option<f64> {
    (method > 0.0 && off > 0.0).then(|| (method / off).ln())
}
