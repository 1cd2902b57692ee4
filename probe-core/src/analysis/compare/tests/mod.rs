//! Campaigns whose differences are known.

mod chance;
mod rates;

use super::*;
use crate::{
    analysis::{
        correlation::mean,
        figures::Definition,
        fixture::{Lab, exchanged, shows},
        summary::summarize,
    },
    model::{
        trial::{Pace, Part},
        units::Nanos,
    },
};

const CLOSED_LOOP: (Part, Pace) = (Part::Overhead, Pace::ClosedLoop);
const PACED: (Part, Pace) = (Part::Overhead, Pace::Paced);
const SATURATED: (Part, Pace) = (Part::Overhead, Pace::Saturated);
const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Saturated);
const COUNT: &str = "bpf-fentry-count";
const TRACER: &str = "ftrace-function";
const COST: &str = "overhead.kernel_ns_per_event";

/// One run per block, each with a seed of its own, as `cargo xtask run` makes them: the counter
/// costs this much per kick.
fn costs(platform: Platform, first_seed: u64, costs: &[f64]) -> Campaign {
    let mut lab = Lab::new();
    for (seed, cost) in (first_seed..).zip(costs) {
        lab.run(platform).runs.last_mut().unwrap().seed = seed;
        for (method, cost) in [("off", 0.0), (COUNT, *cost)] {
            lab.done(0, CLOSED_LOOP, method, |measured| {
                measured.sent.kicks = Some(1_000_000);
                measured.cpu.workers[0] = Nanos(((8000.0 + cost) * 1e6).round() as u64);
            });
        }
    }
    lab.campaign()
}

fn compared(base: &Campaign, new: &Campaign) -> Comparison {
    compare(base, new, &[]).unwrap_or_else(|differ| panic!("{differ}"))
}

fn of<'a>(comparison: &'a Comparison, method: &str, figure: &str) -> &'a Change {
    let found = comparison.changes.iter().find(|c| c.method.0 == method && c.figure == figure);
    found.unwrap_or_else(|| panic!("no {figure} of {method}: {:?}", comparison.gone))
}

/// Four blocks with one of everything, among them a strong correlation that a method halves.
fn whole(platform: Platform) -> Lab {
    let mut lab = Lab::new();
    lab.run(platform);
    for block in 0..4_u32 {
        let wobble = [3_u64, 0, 2, 1][block as usize];
        for (method, cost) in [("off", 0), (COUNT, 200 + wobble), (TRACER, 600 + 2 * wobble)] {
            lab.done(block, CLOSED_LOOP, method, |measured| {
                measured.sent.kicks = Some(1000);
                measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
            });
            lab.done(block, CLOSED_LOOP, method, |measured| {
                measured.sent.kicks = Some(1000);
                measured.cpu.workers[0] = Nanos((8000 + cost / 2) * 1000);
            })
            .functions = Some(1);
            lab.done(block, PACED, method, |measured| {
                measured.sent.frames = 1000;
                measured.cpu.workers[0] = Nanos((10_000 + cost) * 1000);
                measured.cpu.reader = Nanos(cost * 10_000);
                measured.cpu.system = Nanos((20_000 + cost) * 1000);
            });
            lab.done(block, SATURATED, method, |measured| {
                measured.throughput[0] = 1_000_000 - 100 * (cost + wobble);
            });
            lab.done(block, FIDELITY, method, |measured| {
                let shown = exchanged(4 + block as usize);
                shows(
                    measured,
                    &exchanged(1 + block as usize % 2),
                    (method != "off").then_some((&shown, 1.0)),
                );
            });
        }
    }
    lab
}

/// Paths of a method's figures in [`whole`], which has no latencies and no degradations, and counts
/// no wake-ups.
fn paths() -> Vec<String> {
    let unknown = ["latency", "wakeups_per_s", "detection"];
    let known = |row: &Definition| !unknown.iter().any(|name| row.name.starts_with(name));
    let of = |above: &'static str, rows: &[&Definition]| -> Vec<String> {
        rows.iter().filter(|row| known(row)).map(|row| format!("{above}.{}", row.name)).collect()
    };
    let groups = [
        of("overhead", figures::table::OVERHEAD),
        of("by_size.1", figures::table::SIZE),
        of("by_size.2", figures::table::SIZE),
        // The first one, `r_0`, is the baseline's.
        of("fidelity", &figures::table::FIDELITY[1..]),
    ];
    groups.concat()
}

#[test]
fn a_figure_is_the_mean_of_its_blocks() {
    let campaign = whole(Platform::Native).campaign();
    let trials = Trials { runs: &campaign.runs, all: &campaign.trials };
    let blocks = Blocks::of(&campaign.design, trials, "handle_tx");
    let mut seen = Vec::new();
    for method in &campaign.summary.methods {
        for named in figures::of(method) {
            let Some(estimate) = named.figure.known() else { continue };
            let values = blocks.values(&method.id, named.definition, named.place);
            let values: Vec<f64> = values.into_values().collect();
            let (found, told) = (mean(&values), named.definition.scale.scaled(estimate.estimate));
            assert!((found - told).abs() < 1e-9, "{} of {}: {values:?}", named.path, method.id);
            assert_eq!(values.len(), estimate.n, "{} of {}", named.path, method.id);
            if method.id.0 == TRACER {
                seen.push(named.path);
            }
        }
    }
    assert_eq!(seen, paths());
}

#[test]
fn a_path_leads_to_the_figure_in_the_result_file() {
    let campaign = whole(Platform::Native).campaign();
    for method in &campaign.summary.methods {
        let json = serde_json::to_value(method).unwrap();
        for named in figures::of(method).filter(|named| !named.path.starts_with("by_size")) {
            let pointer = format!("/{}", named.path.replace('.', "/"));
            let found = json.pointer(&pointer).unwrap_or_else(|| panic!("no {pointer}"));
            assert_eq!(found, &serde_json::to_value(named.figure).unwrap());
        }
    }
}

#[test]
fn every_figure_of_the_overhead_is_compared() {
    let campaign = whole(Platform::Native).campaign();
    let overhead = serde_json::to_value(&campaign.summary.methods[1].overhead).unwrap();
    let paths: Vec<String> =
        figures::of(&campaign.summary.methods[1]).map(|named| named.path).collect();
    for name in overhead.as_object().unwrap().keys() {
        let compared = |path: &String| {
            let rest =
                path.strip_prefix("overhead.").and_then(|path| path.strip_prefix(name.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        assert!(paths.iter().any(compared), "{name} is not compared");
    }
}

#[test]
fn a_campaign_is_neither_worse_nor_better_than_itself() {
    for platform in [Platform::Native, Platform::Counted, Platform::Emulated] {
        let campaign = whole(platform).campaign();
        let comparison = compared(&campaign, &campaign);
        assert!(!comparison.is_worse() && comparison.gone.is_empty());
        assert_eq!(comparison.changes.len(), 2 + 2 * paths().len());
        for change in &comparison.changes {
            assert_eq!(change.difference.difference, 0.0, "{change:?}");
            let same = matches!(change.verdict, Verdict::Same { .. });
            assert!(same || change.verdict == Verdict::CannotTell, "{change:?}");
        }
    }
}

#[test]
fn worse_is_each_figures_own_direction() {
    let base = whole(Platform::Native).campaign();
    let mut lab = whole(Platform::Native);
    for trial in lab.trials.iter_mut().filter(|trial| trial.method.0 == COUNT) {
        let Outcome::Done(measured) = &mut trial.outcome else { continue };
        match (trial.part, trial.pace) {
            (Part::Fidelity, _) => shows(measured, &exchanged(1), Some((&exchanged(14), 1.0))),
            (Part::Overhead, Pace::Saturated) => measured.throughput[0] /= 2,
            (Part::Overhead, _) => measured.cpu.workers[0].0 *= 2,
        }
    }
    let worse = lab.campaign();
    let there = compared(&base, &worse);
    let back = compared(&worse, &base);
    for figure in [
        COST,
        "overhead.worker_cpu_pct",
        "overhead.throughput_pct",
        "fidelity.r_m",
        "fidelity.r_retained",
    ] {
        assert_eq!(of(&there, COUNT, figure).verdict, Verdict::Worse, "{figure}");
        assert_eq!(of(&back, COUNT, figure).verdict, Verdict::Better, "{figure}");
    }
    assert!(there.is_worse());
    // Halved: from -2 % to about -51 %.
    let throughput = &of(&there, COUNT, "overhead.throughput_pct");
    let moved = throughput.new.estimate - throughput.base.estimate;
    assert!((throughput.difference.difference - moved).abs() < 1e-9, "{throughput:?}");
    assert!((moved + 49.0).abs() < 0.2, "{moved}");
}

#[test]
fn blocks_of_one_seed_on_the_counted_clock_are_replays() {
    // Seeds differ by far more than the change, which is the same in each.
    let (before, after) = ([150.0, 400.0, 230.0, 310.0], [191.0, 440.0, 269.0, 350.0]);
    let base = costs(Platform::Counted, 1, &before);
    let replayed = compared(&base, &costs(Platform::Counted, 1, &after));
    let change = of(&replayed, COUNT, COST);
    assert_eq!((change.difference.basis, change.verdict), (Basis::Replays, Verdict::Worse));
    assert!((change.difference.difference - 40.0).abs() < 1e-6, "{change:?}");
    // Differences 41, 40, 39, 40: s/√4 = 0.408, but the clock repeats within 10 ns only.
    assert!((change.difference.lo.unwrap() - 30.0).abs() < 1e-6, "{change:?}");
    let other = |other| of(&compared(&base, &other), COUNT, COST).clone();
    let seeds = other(costs(Platform::Counted, 7, &after));
    assert_eq!((seeds.difference.basis, seeds.verdict), (Basis::Blocks, Verdict::CannotTell));
    // A block that is missing leaves the others replays, and their differences alone count.
    let three = other(costs(Platform::Counted, 1, &after[..3]));
    assert_eq!((three.difference.basis, three.verdict), (Basis::Replays, Verdict::Worse));
    assert!((three.difference.difference - 40.0).abs() < 1e-6, "{three:?}");
    // Most of them must be.
    let one = other(costs(Platform::Counted, 4, &after));
    assert_eq!(one.difference.basis, Basis::Blocks);
    // Nothing replays on a wall clock.
    let wall = |costs_| costs(Platform::Native, 1, costs_);
    let walls = compared(&wall(&before), &wall(&after));
    assert_eq!(of(&walls, COUNT, COST).difference.basis, Basis::Blocks);
}

#[test]
fn one_block_on_the_counted_clock_is_told_by_how_well_that_repeats() {
    let change = |base: f64, new: f64| {
        let [base, new] = [base, new].map(|cost| costs(Platform::Counted, 1, &[cost]));
        of(&compared(&base, &new), COUNT, COST).clone()
    };
    // 2 % of 2000 ns; 10 ns of 200.
    assert_eq!(change(2000.0, 2050.0).verdict, Verdict::Worse);
    assert_eq!(change(2000.0, 1950.0).verdict, Verdict::Better);
    assert_eq!(change(200.0, 211.0).verdict, Verdict::Worse);
    let same = change(200.0, 209.0);
    let Verdict::Same { within } = same.verdict else { panic!("{same:?}") };
    assert!((within - 19.0).abs() < 1e-6 && same.difference.basis == Basis::Repeatability);
    assert!((same.difference.resolution.unwrap() - 10.0).abs() < 1e-6, "{same:?}");
    assert!((same.difference_pct.unwrap() - 4.5).abs() < 1e-6 && same.difference.p.is_none());
}

#[test]
fn one_block_elsewhere_tells_nothing() {
    let [base, new] = [200.0, 900.0].map(|cost| costs(Platform::Native, 1, &[cost]));
    let change = of(&compared(&base, &new), COUNT, COST).clone();
    assert_eq!((change.difference.basis, change.verdict), (Basis::Nothing, Verdict::CannotTell));
    // Nor does one of another seed, which is no replay.
    let [base, new] =
        [(1, 200.0), (2, 240.0)].map(|(seed, c)| costs(Platform::Counted, seed, &[c]));
    let change = of(&compared(&base, &new), COUNT, COST).clone();
    assert_eq!((change.difference.basis, change.verdict), (Basis::Nothing, Verdict::CannotTell));
    // Nor where outside programs took part: those machines do not repeat as well.
    let outside = |cost| {
        let mut campaign = costs(Platform::Counted, 1, &[cost]);
        campaign.design.methods[2].family = Family::External;
        campaign
    };
    let change = of(&compared(&outside(200.0), &outside(900.0)), COUNT, COST).clone();
    assert_eq!(change.difference.basis, Basis::Nothing);
}

#[test]
fn verdicts_hold_for_all_methods_of_a_figure_together() {
    // p of about 0.03 each: enough for one question, not for one of two.
    let campaign = |more: [u64; 4]| {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        for (block, more) in (0..).zip(more) {
            for (method, cost) in [("off", 0), (COUNT, 200 + more), (TRACER, 600 + more)] {
                lab.done(block, CLOSED_LOOP, method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
                });
            }
        }
        lab
    };
    let (base, new) = (campaign([0, 30, 10, 20]), campaign([27, 57, 37, 37]));
    let both = compared(&base.campaign(), &new.campaign());
    for method in [COUNT, TRACER] {
        let change = of(&both, method, COST);
        assert!(change.difference.excludes_zero(), "{change:?}");
        assert_eq!(change.verdict, Verdict::CannotTell, "{change:?}");
    }
    let alone = |mut lab: Lab| {
        lab.trials.retain(|trial| trial.method.0 != TRACER);
        lab.campaign()
    };
    let (base, new) = (campaign([0, 30, 10, 20]), campaign([27, 57, 37, 37]));
    let one = compared(&alone(base), &alone(new));
    assert_eq!(of(&one, COUNT, COST).verdict, Verdict::Worse);
}

#[test]
fn what_shifts_less_than_two_runs_of_the_same_is_not_worse() {
    // Worker time 0.07 % more in each block, and without scatter: the frames' of all methods.
    let base = whole(Platform::Counted).campaign();
    let shifted = |parts_of_10000: u64| {
        let mut lab = whole(Platform::Counted);
        for trial in lab.trials.iter_mut().filter(|trial| trial.method.0 == COUNT) {
            let Outcome::Done(measured) = &mut trial.outcome else { continue };
            if trial.pace == Pace::Paced {
                measured.cpu.workers[0].0 += measured.cpu.workers[0].0 * parts_of_10000 / 10_000;
            }
        }
        compared(&base, &lab.campaign())
    };
    let found = shifted(7);
    assert!(!found.is_worse());
    let worker = of(&found, COUNT, "overhead.worker_cpu_pct");
    assert!(matches!(worker.verdict, Verdict::Same { .. }), "{worker:?}");
    assert!(shifted(70).is_worse());
}

#[test]
fn what_is_gone_is_told() {
    let base = whole(Platform::Native).campaign();
    let mut lab = whole(Platform::Native);
    lab.trials.retain(|trial| (trial.part, trial.pace) != SATURATED);
    for trial in &mut lab.trials {
        if trial.method.0 == TRACER && trial.part == Part::Fidelity {
            trial.outcome = Outcome::Failed { why: "EPERM".into() };
        }
    }
    let gate = "overhead.throughput_pct>5".parse().unwrap();
    let comparison = compare(&base, &lab.campaign(), &[gate]).unwrap();
    let why = |method: &str, figure: &str| {
        let gone = comparison.gone.iter().find(|g| g.method.0 == method && g.figure == figure);
        gone.unwrap_or_else(|| panic!("{:?}", comparison.gone)).why.clone()
    };
    let why = [why(COUNT, "overhead.throughput_pct"), why(TRACER, "fidelity.r_m")];
    let [Reason::NoTrial { trials, .. }, Reason::AllFailed { first, .. }] = why else {
        panic!("{why:?}")
    };
    assert_eq!((trials.pace, &*first), (Some(Pace::Saturated), "EPERM"));
    assert!(comparison.notes.contains(&"4 trials of the new campaign failed".into()));
    // A gate whose figure has gone does not pass.
    assert!(!comparison.is_worse() && comparison.refused().count() == 2);
}

#[test]
fn what_was_measured_otherwise_is_not_compared() {
    let base = || whole(Platform::Counted);
    let refused = |change: fn(&mut Campaign)| {
        let mut other = base().campaign();
        change(&mut other);
        let Incomparable { field, base, new } =
            compare(&base().campaign(), &other, &[]).unwrap_err();
        format!("{field}: {base} | {new}")
    };
    assert_eq!(
        refused(|other| other.design.kernel = "7.3.0".into()),
        "design.kernel: \"6.12.0-test\" | \"7.3.0\""
    );
    assert_eq!(
        refused(|other| other.design.scenario.overhead.as_mut().unwrap().closed_loop.kicks = 7),
        "design.scenario.overhead.closed_loop.kicks: 1000 | 7"
    );
    assert_eq!(
        refused(|other| other.design.target.functions[1].name = "tun_get_user".into()),
        "design.target.functions.1.name: \"handle_rx\" | \"tun_get_user\""
    );
    assert_eq!(refused(|other| other.design.bpf_stats = true), "design.bpf_stats: false | true");
    assert_eq!(refused(|other| other.design.bpf_log = true), "design.bpf_log: false | true");
    let mut logging = base().campaign();
    logging.design.bpf_log = true;
    let twice = compare(&logging, &logging, &[]).unwrap_err();
    assert_eq!((twice.field.as_str(), twice.base.as_str()), ("design.bpf_log", "true"));
    assert_eq!(
        refused(|other| other.runs[0].platform = Platform::Native),
        "runs.platform: counted | native"
    );
    assert_eq!(refused(|other| other.runs[0].host.cpus = 8), "runs.host.cpus: 2 | 8");
    assert_eq!(refused(|other| other.trials.clear()), "runs.parts: [Overhead, Fidelity] | []");
    assert_eq!(
        refused(|other| {
            other.design.methods.truncate(2);
            other.design.methods[1].id.0 = "mine".into();
        }),
        "design.methods: bpf-fentry-count, ftrace-function, perf-kprobe-record-10, \
         perf-sample-999-callchain | mine"
    );
}

#[test]
fn another_processor_matters_where_time_is_real() {
    let pair = |platform| {
        let (base, mut new) = (whole(platform).campaign(), whole(platform).campaign());
        new.runs[0].host.cpu = "another CPU".into();
        compare(&base, &new, &[])
    };
    assert_eq!(pair(Platform::Native).unwrap_err().field, "runs.host.cpu");
    assert!(pair(Platform::Counted).is_ok());
}

#[test]
fn words_addresses_and_defaults_do_not_stand_in_the_way() {
    let base = whole(Platform::Counted).campaign();
    let mut new = whole(Platform::Counted).campaign();
    new.design.version = "0.2.0".into();
    new.design.scenario.summary = "better words".into();
    new.design.target.functions[0].addresses.start = 0xffff_ffff_c000_0000;
    new.design.methods[1].parameters.insert("slots".into(), 8.into());
    let mut other = base.clone();
    other.design.methods[1].parameters.insert("slots".into(), 4.into());
    let notes = compared(&other, &new).notes;
    assert_eq!(notes, ["slots of bpf-fentry-count was 4 in the base and is 8"]);
    assert!(compared(&base, &new).notes[0].contains("was null"));
    other.design.object = Some("5ead".into());
    assert!(
        compared(&base, &other).notes[0]
            .contains("kernel programs are of a file with SHA-256 5ead")
    );
}

#[test]
fn a_summary_made_again_compares_alike() {
    let campaign = whole(Platform::Counted).campaign();
    let mut again = campaign.clone();
    again.summary = summarize(&again.design, &again.runs, &again.trials, 1);
    assert_eq!(compared(&campaign, &again), compared(&campaign, &campaign));
}
