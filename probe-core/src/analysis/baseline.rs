//! One baseline per block. The overhead part measures `off` several times in a block: all costs of
//! the block are differences from it, so its scatter is in every one of them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
};

use super::total;
use crate::model::{
    latency::Latency,
    trial::{CpuTimes, Measured, Outcome, Pace, Part, Received, Sent, Trial},
    units::{Bytes, Nanos},
};

/// What trials of one baseline agree in: run, block, pace, and whether the reference counter runs.
type Key = (usize, u32, Pace, bool);

/// The trials, with the baseline's trials of a block and pace joined into one, as if a single trial
/// had lasted as long as all of them. Latencies are joined, too; bin edges are the first trial's.
pub fn pooled(trials: &[Trial]) -> Cow<'_, [Trial]> {
    let mut firsts: BTreeMap<Key, usize> = BTreeMap::new();
    let mut pooled = Vec::new();
    for trial in trials {
        let Some((key, more)) = baseline(trial) else {
            pooled.push(Cow::Borrowed(trial));
            continue;
        };
        match firsts.entry(key) {
            Entry::Vacant(first) => {
                first.insert(pooled.len());
                pooled.push(Cow::Borrowed(trial));
            }
            Entry::Occupied(first) => {
                let first = pooled.get_mut(*first.get()).map(Cow::to_mut);
                if let Some(Trial { outcome: Outcome::Done(first), .. }) = first {
                    join(first, more);
                }
            }
        }
    }
    match pooled.len() == trials.len() {
        true => Cow::Borrowed(trials),
        false => Cow::Owned(pooled.into_iter().map(Cow::into_owned).collect()),
    }
}

fn baseline(trial: &Trial) -> Option<(Key, &Measured)> {
    let Outcome::Done(measured) = &trial.outcome else { return None };
    let key = (trial.run, trial.block, trial.pace, trial.with_reference);
    (trial.part == Part::Overhead && trial.method.is_off()).then_some((key, measured))
}

fn join(into: &mut Measured, more: &Measured) {
    let Measured { sent, received, refused, cpu, latency, .. } = into;
    *sent = Sent {
        kicks: sent.kicks.zip(more.sent.kicks).map(|(a, b)| total([a, b])),
        frames: total([sent.frames, more.sent.frames]),
        bytes: bytes(sent.bytes, more.sent.bytes),
    };
    *received = Received {
        frames: total([received.frames, more.received.frames]),
        bytes: bytes(received.bytes, more.received.bytes),
    };
    *refused = total([*refused, more.refused]);
    *latency = latency.as_ref().zip(more.latency.as_ref()).and_then(|(a, b)| both(a, b));
    *cpu = times(cpu, &more.cpu);
}

fn times(a: &CpuTimes, b: &CpuTimes) -> CpuTimes {
    CpuTimes {
        elapsed: nanos(a.elapsed, b.elapsed),
        workers: a.workers.iter().zip(&b.workers).map(|(&a, &b)| nanos(a, b)).collect(),
        load: nanos(a.load, b.load),
        hogs: nanos(a.hogs, b.hogs),
        reader: nanos(a.reader, b.reader),
        reader_wakeups: a.reader_wakeups.zip(b.reader_wakeups).map(|(a, b)| total([a, b])),
        after: nanos(a.after, b.after),
        system: nanos(a.system, b.system),
        cpus: a.cpus,
        sink_run_delay: nanos(a.sink_run_delay, b.sink_run_delay),
    }
}

/// The frames of both; none where one of them cannot be read.
fn both(a: &Latency, b: &Latency) -> Option<Latency> {
    let mut times = a.times().ok()?;
    times.add(b.times().ok()?).ok()?;
    Latency::new(&times, total([a.dropped, b.dropped])).ok()
}

fn nanos(a: Nanos, b: Nanos) -> Nanos {
    Nanos(total([a.0, b.0]))
}

fn bytes(a: Bytes, b: Bytes) -> Bytes {
    Bytes(total([a.0, b.0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{fixture::Lab, pairs::TrialFilter},
        model::{figure::Platform, method::MethodId},
    };

    /// A block with two closed-loop trials of `off`, of 100 kicks in 100 µs and of 300 in 600.
    fn lab() -> Lab {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        let closed_loop = (Part::Overhead, Pace::ClosedLoop);
        for (method, kicks, worker) in
            [("off", 100, 100_000), ("bpf-fentry-count", 100, 200_000), ("off", 300, 600_000)]
        {
            lab.done(0, closed_loop, method, |measured| {
                measured.sent.kicks = Some(kicks);
                measured.cpu.workers = vec![Nanos(worker)];
            });
        }
        lab
    }

    #[test]
    fn a_blocks_baselines_are_one_that_lasted_as_long() {
        let lab = lab();
        let pooled = pooled(&lab.trials);
        let methods: Vec<&str> = pooled.iter().map(|trial| &*trial.method.0).collect();
        assert_eq!(methods, ["off", "bpf-fentry-count"]);
        let Outcome::Done(off) = &pooled[0].outcome else { panic!() };
        assert_eq!((off.sent.kicks, &*off.cpu.workers), (Some(400), &[Nanos(700_000)][..]));
        // 2000 ns per kick against 1750.
        let trials = crate::analysis::pairs::Trials { runs: &lab.runs, all: &pooled };
        let method = MethodId("bpf-fentry-count".into());
        let pair =
            trials.paired(TrialFilter::overhead(Pace::ClosedLoop), &method).unwrap().items[0];
        let more = crate::analysis::overhead::worker_ns_per_kick_more(&pair).unwrap();
        assert!((more - 250.0).abs() < 1e-9, "{more}");
    }

    #[test]
    fn other_blocks_paces_and_failures_stay_as_they_are() {
        let mut lab = lab();
        lab.trials.truncate(2);
        lab.done(1, (Part::Overhead, Pace::ClosedLoop), "off", |_| {});
        lab.done(0, (Part::Overhead, Pace::Paced), "off", |_| {});
        lab.done(0, (Part::Fidelity, Pace::Saturated), "off", |_| {});
        lab.done(0, (Part::Fidelity, Pace::Saturated), "off", |_| {});
        lab.failed(0, (Part::Overhead, Pace::ClosedLoop), "off", "it broke");
        assert!(matches!(pooled(&lab.trials), Cow::Borrowed(_)));
    }
}
