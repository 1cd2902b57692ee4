//! What a method costs.

use super::{
    estimate::{Bounds, Sample, Scale},
    events::CALLED_PER_KICK,
    latency,
    pairs::{Chosen, Kind, Pair, Trials},
    total,
};
use crate::model::{
    figure::Figure,
    figures::TollFigures,
    method::{Descriptor, SeriesUnit},
    trial::{Measured, Pace},
};

/// Offered load that differs by more than this share within a pair was not fixed.
const HELD: f64 = 0.01;

/// The toll of `method`; `kicked` says whether the target holds the function that each kick calls
/// once.
pub fn figures(trials: &Trials<'_>, method: &Descriptor, kicked: bool, seed: u64) -> TollFigures {
    let alone = || trials.single(Kind::toll(Pace::Paced), &method.id);
    if method.id.is_off() {
        let control = || Figure::null("the control");
        return TollFigures {
            kernel_ns_per_event: control(),
            worker_cpu_pct: control(),
            reader_cpu_pct: control(),
            after_s_per_s: control(),
            system_cpu_pct: control(),
            throughput_pct: control(),
            latency_us: latency::levels(alone(), seed),
            latency_pct: latency::all(control),
            memory_kib: control(),
            read_kib_per_s: control(),
            wakeups_per_s: control(),
        };
    }
    let paired = |pace| trials.paired(Kind::toll(pace), &method.id);
    TollFigures {
        kernel_ns_per_event: match why_no_cost_per_event(method, kicked) {
            Some(why) => Figure::null(why),
            None => kernel_ns_per_kick(paired(Pace::Lockstep), seed),
        },
        worker_cpu_pct: worker_cpu_pct(paired(Pace::Paced), seed),
        reader_cpu_pct: reader_cpu_pct(alone(), seed),
        after_s_per_s: after_s_per_s(alone(), seed),
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
        latency_us: latency::levels(alone(), seed),
        latency_pct: latency::changes(paired(Pace::Paced), seed),
        memory_kib: memory_kib(alone(), seed),
        read_kib_per_s: read_kib_per_s(alone(), seed),
        wakeups_per_s: wakeups_per_s(alone(), seed),
    }
}

/// The worker's CPU time per kick, above that under the pair's first trial.
pub(super) fn kernel_ns_per_kick(pairs: Result<Chosen<Pair<'_>>, String>, seed: u64) -> Figure {
    of_pairs(
        pairs,
        Scale::Difference,
        |pair| Some(worker_ns_per_kick(pair.method)? - worker_ns_per_kick(pair.off)?),
        seed,
    )
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

pub(super) fn why_no_cost_per_event(method: &Descriptor, kicked: bool) -> Option<String> {
    if method.unit == SeriesUnit::CpuShare {
        let why =
            "a profiler does no work per call; worker_cpu_pct and system_cpu_pct hold its cost";
        return Some(why.into());
    }
    (!kicked).then(|| format!("{CALLED_PER_KICK}, which each kick calls, is not in the target"))
}

fn reader_cpu_pct(trials: Result<Chosen<&Measured>, String>, seed: u64) -> Figure {
    let share = |trial: &&Measured| per(trial.cpu.reader.0, trial.cpu.elapsed.0);
    of_trials(trials, Scale::Level(Bounds::Positive), |trial| Some(100.0 * share(trial)?), seed)
}

fn after_s_per_s(trials: Result<Chosen<&Measured>, String>, seed: u64) -> Figure {
    let share = |trial: &&Measured| per(trial.cpu.after.0, trial.cpu.elapsed.0);
    of_trials(trials, Scale::Level(Bounds::Positive), share, seed)
}

fn memory_kib(trials: Result<Chosen<&Measured>, String>, seed: u64) -> Figure {
    let kib = |trial: &&Measured| per(trial.observation.kernel_memory.0, 1024);
    of_trials(trials, Scale::Level(Bounds::Positive), kib, seed)
}

fn read_kib_per_s(trials: Result<Chosen<&Measured>, String>, seed: u64) -> Figure {
    let kib_per_s = |trial: &&Measured| {
        let bytes_per_ns = per(trial.observation.bytes_read.0, trial.cpu.elapsed.0)?;
        Some(1e9 / 1024.0 * bytes_per_ns)
    };
    of_trials(trials, Scale::Level(Bounds::Positive), kib_per_s, seed)
}

fn wakeups_per_s(trials: Result<Chosen<&Measured>, String>, seed: u64) -> Figure {
    let known = |trials: &Chosen<&Measured>| {
        trials.items.iter().any(|trial| trial.cpu.reader_wakeups.is_some())
    };
    if trials.as_ref().is_ok_and(|trials| !known(trials)) {
        return Figure::null("wake-ups of processes are not counted");
    }
    let rate = |trial: &&Measured| Some(1e9 * per(trial.cpu.reader_wakeups?, trial.cpu.elapsed.0)?);
    of_trials(trials, Scale::Level(Bounds::Positive), rate, seed)
}

pub(super) fn of_pairs<'a>(
    pairs: Result<Chosen<Pair<'a>>, String>,
    scale: Scale,
    value: impl Fn(&Pair<'a>) -> Option<f64>,
    seed: u64,
) -> Figure {
    of_trials(pairs, scale, value, seed)
}

/// A figure from one value per block; a block whose value does not exist is left out, and that is
/// said.
pub(super) fn of_trials<T>(
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
    let empty = items.len().saturating_sub(values.len());
    if values.is_empty() {
        return Figure::null("nothing was sent or no time was counted in any of its trials");
    }
    if empty > 0 {
        notes.push(format!("{empty} of {} blocks left out: nothing sent or counted", items.len()));
    }
    Sample { values, platform, notes }.figure(scale, seed)
}

/// Says where the offered load, which is to be the same on both sides, was not.
pub(super) fn with_load_note(mut pairs: Chosen<Pair<'_>>) -> Chosen<Pair<'_>> {
    pairs.notes.extend(load_note(&pairs.items));
    pairs
}

/// In how many pairs the offered load was not the same on both sides.
pub(super) fn load_note(pairs: &[Pair<'_>]) -> Option<String> {
    let rate = |trial: &Measured| per(trial.sent.frames, trial.cpu.elapsed.0);
    let moved = |pair: &&Pair<'_>| match (rate(pair.off), rate(pair.method)) {
        (Some(off), Some(method)) => (method / off - 1.0).abs() > HELD,
        _ => true,
    };
    let (moved, all) = (pairs.iter().filter(moved).count(), pairs.len());
    (moved > 0)
        .then(|| format!("the offered load differed by more than 1 % in {moved} of {all} pairs"))
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

/// CPU time of all workers above the control, for the same frames, in per cent of one CPU.
pub(super) fn kernel_pct(pair: &Pair<'_>) -> Option<f64> {
    let more = worker_ns_per_frame(pair.method)? - worker_ns_per_frame(pair.off)?;
    Some(100.0 * more * per(pair.method.sent.frames, pair.method.cpu.elapsed.0)?)
}

/// Bytes at the sink over the whole bins: the last one of a toll trial is short, and holds what was
/// still in the rings as the load ended.
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

/// `part / whole`; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days; no run sends 2^53 frames")]
pub(super) fn per(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

pub(super) fn log_ratio(method: f64, off: f64) -> Option<f64> {
    (method > 0.0 && off > 0.0).then(|| (method / off).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::{
            figure::{Estimate, Platform},
            trial::Part,
            units::Nanos,
        },
    };

    const LOCKSTEP: (Part, Pace) = (Part::Toll, Pace::Lockstep);
    const PACED: (Part, Pace) = (Part::Toll, Pace::Paced);
    const FLAT: (Part, Pace) = (Part::Toll, Pace::Flat);
    const COUNT: &str = "bpf-fentry-count";

    fn lockstep(lab: &mut Lab, block: u32, method: &str, ns_per_kick: u64) {
        lab.done(block, LOCKSTEP, method, |measured| {
            measured.sent.kicks = Some(1000);
            // Two workers: their time adds up.
            measured.cpu.workers = vec![Nanos(1000), Nanos(ns_per_kick * 1000 - 1000)];
        });
    }

    fn toll(lab: &Lab, method: &str) -> TollFigures {
        figures(&lab.trials(), lab.method(method), true, 1)
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

    #[test]
    fn kernel_ns_per_event_is_the_mean_of_paired_differences() {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        // The base moves from block to block by far more than the method costs.
        for (block, (off, method)) in [(8000, 8490), (9000, 9500), (7000, 7510)].iter().enumerate()
        {
            let block = u32::try_from(block).unwrap();
            lockstep(&mut lab, block, COUNT, *method);
            lockstep(&mut lab, block, "off", *off);
        }
        let figures = toll(&lab, COUNT);
        let found = known(&figures.kernel_ns_per_event);
        // 490, 500, 510: s = 10, s/√3 = 5.7735, t[0.975, 2] = 4.30265, t[0.8, 2] = 1.06066.
        assert_eq!((found.estimate, found.n, found.platform), (500.0, 3, Platform::Counted));
        assert!((found.lo.unwrap() - (500.0 - 24.8414)).abs() < 1e-3, "{found:?}");
        assert!((found.hi.unwrap() - (500.0 + 24.8414)).abs() < 1e-3, "{found:?}");
        assert!((found.detectable.unwrap() - 30.9651).abs() < 1e-3, "{found:?}");
        assert!(found.p.unwrap() < 0.001 && found.notes.is_empty(), "{found:?}");
    }

    #[test]
    fn one_pair_gives_a_number_without_interval() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        lockstep(&mut lab, 0, "off", 8000);
        lockstep(&mut lab, 0, COUNT, 8200);
        let found = toll(&lab, COUNT).kernel_ns_per_event;
        let found = known(&found);
        assert_eq!((found.estimate, found.lo, found.hi, found.n), (200.0, None, None, 1));
        assert_eq!((found.detectable, found.p), (None, None));
        assert_eq!(found.notes, ["one trial: no interval"]);
    }

    #[test]
    fn a_failed_partner_takes_its_pair_away_and_blocks_are_never_crossed() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for block in 0..3 {
            lockstep(&mut lab, block, COUNT, 8000 + 100 * u64::from(block));
        }
        lockstep(&mut lab, 1, "off", 8000);
        lockstep(&mut lab, 2, "off", 8000);
        lab.failed(0, LOCKSTEP, "off", "no /dev/vhost-net");
        let figures = toll(&lab, COUNT);
        let found = known(&figures.kernel_ns_per_event);
        assert_eq!((found.estimate, found.n), (150.0, 2));
        assert_eq!(found.notes, ["1 of 3 blocks missing: a trial failed or was not run"]);
        // The same block on another machine is another block.
        lab.run(Platform::Native);
        lockstep(&mut lab, 0, "off", 1);
        let figures = toll(&lab, COUNT);
        assert_eq!(known(&figures.kernel_ns_per_event).estimate, 150.0);
    }

    #[test]
    fn without_any_pair_the_reason_is_the_first_failure() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        lockstep(&mut lab, 0, "off", 8000);
        lab.failed(0, LOCKSTEP, COUNT, "EPERM");
        let figures = toll(&lab, COUNT);
        assert_eq!(
            why(&figures.kernel_ns_per_event),
            "each lockstep toll trial of bpf-fentry-count failed; the first: EPERM"
        );
        assert_eq!(why(&figures.throughput_pct), "the campaign has no flat-out toll trial of off");
    }

    #[test]
    fn clocks_are_never_mixed_and_counted_goes_before_emulated() {
        let mut lab = Lab::new();
        for (platform, cost) in [(Platform::Emulated, 5000), (Platform::Counted, 200)] {
            lab.run(platform);
            lockstep(&mut lab, 0, "off", 8000);
            lockstep(&mut lab, 0, COUNT, 8000 + cost);
        }
        let figures = toll(&lab, COUNT);
        let found = known(&figures.kernel_ns_per_event);
        assert_eq!((found.estimate, found.platform, found.n), (200.0, Platform::Counted, 1));
        assert!(found.notes.contains(&"trials in other clocks are left out".into()), "{found:?}");
    }

    #[test]
    fn fixed_load_figures_by_hand() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for block in 0..2 {
            let base = 100 + u64::from(block);
            for (method, worker, reader, system) in
                [("off", base, 0, 1000), (COUNT, base * 11 / 10, 20, 1100)]
            {
                lab.done(block, PACED, method, |measured| {
                    measured.sent.frames = 10_000;
                    measured.cpu.workers = vec![Nanos(worker * 1_000_000)];
                    measured.cpu.reader = Nanos(reader * 1_000_000);
                    measured.cpu.after = Nanos(reader * 3_000_000);
                    measured.cpu.system = Nanos(system * 1_000_000);
                });
            }
        }
        let figures = toll(&lab, COUNT);
        // 110/100 and 111/101: the geometric mean of the ratios.
        let worker = 100.0 * ((1.1_f64 * 111.0 / 101.0).sqrt() - 1.0);
        assert!((known(&figures.worker_cpu_pct).estimate - worker).abs() < 1e-9);
        // 60 ms afterwards, of 2 s.
        assert!((known(&figures.after_s_per_s).estimate - 0.03).abs() < 1e-9, "{figures:?}");
        // 20 ms of 2 s, always: no scatter.
        let reader = known(&figures.reader_cpu_pct);
        assert_eq!((reader.estimate, reader.lo, reader.hi), (1.0, Some(1.0), Some(1.0)));
        assert_eq!(reader.p, None);
        // 1.1 s against 1.0 s of 2 CPUs times 2 s.
        let system = known(&figures.system_cpu_pct);
        assert!((system.estimate - 2.5).abs() < 1e-9 && system.notes.is_empty(), "{system:?}");
    }

    #[test]
    fn a_load_that_was_not_held_is_told() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for (method, frames) in [("off", 10_000), (COUNT, 9_800)] {
            lab.done(0, PACED, method, |measured| {
                measured.sent.frames = frames;
                measured.cpu.workers = vec![Nanos(frames * 1000)];
            });
        }
        let found = toll(&lab, COUNT).worker_cpu_pct;
        let told = "the offered load differed by more than 1 % in 1 of 1 pairs";
        assert!(known(&found).notes.contains(&told.into()), "{found:?}");
        assert!(known(&found).estimate.abs() < 1e-9);
    }

    #[test]
    fn throughput_is_a_ratio_of_what_arrived_per_second_in_whole_bins() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for block in 0..3 {
            // 10 bytes per ns against 9, and whatever was left in the rings.
            for (method, bytes, width, left) in [("off", 1000, 100, 7), (COUNT, 1350, 150, 999)] {
                lab.done(block, FLAT, method, |measured| {
                    measured.throughput = vec![bytes, bytes, left];
                    measured.edges = [0, width, 2 * width, 2 * width + 3].map(Nanos).to_vec();
                });
            }
        }
        let found = toll(&lab, COUNT).throughput_pct;
        assert!((known(&found).estimate + 10.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn nothing_counted_is_no_zero() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for method in ["off", COUNT] {
            lab.done(0, LOCKSTEP, method, |_| {});
        }
        let found = toll(&lab, COUNT).kernel_ns_per_event;
        assert_eq!(why(&found), "nothing was sent or no time was counted in any of its trials");
    }

    #[test]
    fn the_control_and_profilers_have_no_cost_per_event() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for method in ["off", "perf-sample-999-callchain"] {
            lockstep(&mut lab, 0, method, 8000);
        }
        assert_eq!(why(&toll(&lab, "off").kernel_ns_per_event), "the control");
        let profiler = toll(&lab, "perf-sample-999-callchain").kernel_ns_per_event;
        assert!(why(&profiler).starts_with("a profiler does no work per call"), "{profiler:?}");
        lockstep(&mut lab, 0, COUNT, 8100);
        let elsewhere = figures(&lab.trials(), lab.method(COUNT), false, 1).kernel_ns_per_event;
        assert!(why(&elsewhere).contains("is not in the target"), "{elsewhere:?}");
    }
}
