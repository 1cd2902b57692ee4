//! What a method costs.

use super::{
    estimate::{BlockValues, Scale, figure, usable},
    events::CALLED_PER_KICK,
    pairs::{Chosen, Pair},
    total,
};
use crate::model::{
    figure::Figure,
    method::{Descriptor, SeriesUnit},
    note::Note,
    reason::Reason,
    trial::Measured,
};

/// If the offered load differs by more than this share within a pair, it was not fixed.
const HELD: f64 = 0.01;

pub(super) fn why_no_cost_per_event(method: &Descriptor, kicked: bool) -> Option<Reason> {
    if method.unit == SeriesUnit::CpuShare {
        return Some(Reason::NoCostPerCall);
    }
    (!kicked).then(|| Reason::NotInTarget { function: CALLED_PER_KICK.into() })
}

/// The value, or the reason that nothing was sent or counted.
pub(super) fn counted(value: Option<f64>) -> Result<f64, Reason> {
    value.ok_or(Reason::NothingCounted)
}

/// The workers' CPU time per kick, minus that in the pair's first trial.
pub(super) fn worker_ns_per_kick_more(pair: &Pair<'_>) -> Result<f64, Reason> {
    more(pair, worker_ns_per_kick)
}

/// Logarithm of the ratio of the workers' CPU time per frame.
pub(super) fn worker_ns_per_frame_ratio(pair: &Pair<'_>) -> Result<f64, Reason> {
    log_ratio(pair, worker_ns_per_frame)
}

pub(super) fn busy_pct_more(pair: &Pair<'_>) -> Result<f64, Reason> {
    more(pair, busy_pct)
}

/// Logarithm of the ratio of throughput.
pub(super) fn bytes_per_second_ratio(pair: &Pair<'_>) -> Result<f64, Reason> {
    log_ratio(pair, bytes_per_second)
}

pub(super) fn reader_pct(trial: &Measured) -> Result<f64, Reason> {
    Ok(100.0 * counted(per(trial.cpu.reader.0, trial.cpu.elapsed.0))?)
}

pub(super) fn after_s_per_s(trial: &Measured) -> Result<f64, Reason> {
    counted(per(trial.cpu.after.0, trial.cpu.elapsed.0))
}

pub(super) fn memory_kib(trial: &Measured) -> Result<f64, Reason> {
    counted(per(trial.observation.kernel_memory.0, 1024))
}

pub(super) fn read_kib_per_s(trial: &Measured) -> Result<f64, Reason> {
    let bytes_per_ns = counted(per(trial.observation.bytes_read.0, trial.cpu.elapsed.0))?;
    Ok(1e9 / 1024.0 * bytes_per_ns)
}

pub(super) fn wakeups_per_s(trial: &Measured) -> Result<f64, Reason> {
    let wakeups = trial.cpu.reader_wakeups.ok_or(Reason::WakeupsNotCounted)?;
    Ok(1e9 * counted(per(wakeups, trial.cpu.elapsed.0))?)
}

/// The figure of one value per block.
pub(super) fn of_trials<T>(
    chosen: Result<Chosen<T>, Reason>,
    scale: Scale,
    value: impl Fn(&T) -> Option<f64>,
    seed: u64,
) -> Figure {
    figure(by_block(chosen, |item| counted(value(item))), scale, seed)
}

/// One value per block; blocks without one are left out, with a note.
pub(super) fn by_block<T>(
    chosen: Result<Chosen<T>, Reason>,
    value: impl Fn(&T) -> Result<f64, Reason>,
) -> Result<BlockValues, Reason> {
    let Chosen { blocks, items, platform, mut notes } = chosen?;
    let each = blocks.into_iter().zip(&items);
    let (values, left_out) = usable(each.map(|(block, item)| Ok((block, value(item)?))))?;
    notes.extend(left_out);
    Ok(BlockValues { values: values.into_iter().collect(), platform, notes })
}

/// Adds a note if the offered load, which should be the same on both sides, was not.
pub(super) fn with_load_note(mut pairs: Chosen<Pair<'_>>) -> Chosen<Pair<'_>> {
    pairs.notes.extend(load_note(&pairs.items));
    pairs
}

/// The note, with the number of pairs whose offered load differed.
pub(super) fn load_note(pairs: &[Pair<'_>]) -> Option<Note> {
    let rate = |trial: &Measured| per(trial.sent.frames, trial.cpu.elapsed.0);
    let moved = |pair: &&Pair<'_>| match (rate(pair.off), rate(pair.method)) {
        (Some(off), Some(method)) => (method / off - 1.0).abs() > HELD,
        _ => true,
    };
    let (moved, all) = (pairs.iter().filter(moved).count(), pairs.len());
    let beyond_pct = 100.0 * HELD;
    (moved > 0).then_some(Note::LoadDiffered { beyond_pct, pairs: moved, of: all })
}

fn worker_ns(trial: &Measured) -> u64 {
    total(trial.cpu.workers.iter().map(|worker| worker.0))
}

/// CPU time of all workers per kick.
pub(super) fn worker_ns_per_kick(trial: &Measured) -> Option<f64> {
    trial.sent.kicks.and_then(|kicks| per(worker_ns(trial), kicks))
}

/// CPU time of all workers per frame taken.
pub(super) fn worker_ns_per_frame(trial: &Measured) -> Option<f64> {
    per(worker_ns(trial), trial.sent.frames)
}

/// CPU time of all workers above the baseline, for the same frames, in per cent of one CPU.
pub(super) fn kernel_pct(pair: &Pair<'_>) -> Option<f64> {
    let more = worker_ns_per_frame(pair.method)? - worker_ns_per_frame(pair.off)?;
    Some(100.0 * more * per(pair.method.sent.frames, pair.method.cpu.elapsed.0)?)
}

/// Bytes at the sink over the complete bins: the last one of an overhead trial is short, and
/// includes what was still in the rings when the load ended.
pub(super) fn bytes_per_second(trial: &Measured) -> Option<f64> {
    let bins = match trial.throughput.len() {
        1 => 1,
        bins => bins.checked_sub(1)?,
    };
    let bytes = total(trial.throughput.iter().take(bins).copied());
    Some(1e9 * per(bytes, trial.edges.get(bins)?.since(*trial.edges.first()?).0)?)
}

fn busy_pct(trial: &Measured) -> Option<f64> {
    let cpus = u64::try_from(trial.cpu.cpus).ok()?;
    Some(100.0 * per(trial.cpu.system.0, trial.cpu.elapsed.0.checked_mul(cpus)?)?)
}

/// `part / whole`; `None` if `whole` is zero.
#[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days; no run sends 2^53 frames")]
pub(super) fn per(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn more(pair: &Pair<'_>, of: fn(&Measured) -> Option<f64>) -> Result<f64, Reason> {
    Ok(counted(of(pair.method))? - counted(of(pair.off))?)
}

fn log_ratio(pair: &Pair<'_>, of: fn(&Measured) -> Option<f64>) -> Result<f64, Reason> {
    let [method, off] = [of(pair.method), of(pair.off)].map(counted);
    let ratio = method? / off?;
    counted((ratio > 0.0 && ratio.is_finite()).then(|| ratio.ln()))
}
