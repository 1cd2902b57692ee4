//! The baseline against itself, in recorded blocks: how often chance looks like a cost.
//!
//! `tests/data/aa` says how the blocks were recorded. In each of them `off` and `off-again` could
//! have been the other way round, so each simulated campaign takes some blocks and exchanges the
//! two in half of them.

use rand::{RngExt as _, SeedableRng as _, seq::SliceRandom as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{
    correlation::mean,
    figures::{
        self, Definition,
        table::{KERNEL_NS_PER_EVENT, SYSTEM_CPU_PCT, THROUGHPUT_PCT, WORKER_CPU_PCT},
    },
    fixture::Lab,
    interval::holm,
};
use crate::model::{
    figure::Platform,
    figures::Figures,
    method::{Descriptor, MethodId},
    trial::{Measured, Pace, Part},
    units::Nanos,
};

const COUNTED: &str = include_str!("../../../tests/data/aa/counted.csv");
const WALL: &str = include_str!("../../../tests/data/aa/wall.csv");

const CAMPAIGNS: u32 = 1000;

/// The figures that compare a method with the baseline, and so could raise a false alarm.
const FIGURES: [&Definition; 4] =
    [KERNEL_NS_PER_EVENT, WORKER_CPU_PCT, SYSTEM_CPU_PCT, THROUGHPUT_PCT];

/// One trial, as a line of the data.
#[derive(Clone, Copy)]
struct Line {
    pace: Pace,
    again: bool,
    worker_ns: u64,
    kicks: u64,
    frames: u64,
    system_ns: u64,
    elapsed_ns: u64,
    cpus: usize,
    bytes: u64,
    bins_ns: u64,
}

/// Both trials of each pace.
type Block = Vec<Line>;

fn blocks(csv: &str) -> Vec<Block> {
    let mut blocks: std::collections::BTreeMap<(u64, u64), Block> = Default::default();
    for line in csv.lines().skip(1) {
        let words: Vec<&str> = line.split(',').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let pace = match words[2] {
            "lockstep" => Pace::ClosedLoop,
            "paced" => Pace::Paced,
            "flat" => Pace::Saturated,
            other => panic!("pace {other}"),
        };
        blocks.entry((number(0), number(1))).or_default().push(Line {
            pace,
            again: words[3] == MethodId::OFF_AGAIN,
            worker_ns: number(4),
            kicks: number(5),
            frames: number(6),
            system_ns: number(7),
            elapsed_ns: number(8),
            cpus: usize::try_from(number(9)).unwrap(),
            bytes: number(10),
            bins_ns: number(11),
        });
    }
    assert!(blocks.values().all(|block| block.len() == 6), "both trials of three paces each");
    blocks.into_values().collect()
}

impl Line {
    fn put(&self, measured: &mut Measured) {
        measured.sent.kicks = (self.pace == Pace::ClosedLoop).then_some(self.kicks);
        measured.sent.frames = self.frames;
        measured.cpu.workers = vec![Nanos(self.worker_ns)];
        measured.cpu.system = Nanos(self.system_ns);
        measured.cpu.elapsed = Nanos(self.elapsed_ns);
        measured.cpu.cpus = self.cpus;
        measured.throughput = vec![self.bytes];
        measured.edges = vec![Nanos(0), Nanos(self.bins_ns)];
    }
}

/// The overhead of `off-again` in a campaign of these blocks; `true` exchanges the two.
fn overhead_of(blocks: &[(&Block, bool)], platform: Platform) -> Figures {
    let mut lab = Lab::new();
    lab.run(platform);
    for (number, (block, exchanged)) in (0..).zip(blocks) {
        for line in *block {
            let id = if line.again == *exchanged { MethodId::OFF } else { MethodId::OFF_AGAIN };
            lab.done(number, (Part::Overhead, line.pace), id, |measured| line.put(measured));
        }
    }
    let again = Descriptor {
        id: MethodId(MethodId::OFF_AGAIN.into()),
        ..lab.method(MethodId::OFF).clone()
    };
    figures::overhead(&lab.trials(), &again, true, 1)
}

/// The `p` of each of [`FIGURES`].
fn p_values(overhead: &Figures) -> [f64; FIGURES.len()] {
    FIGURES.map(|row| overhead.of(row).known().unwrap_or_else(|| panic!("{}", row.name)).p.unwrap())
}

/// Share of campaigns of `n` blocks in which each figure seems to differ, and in which any does
/// after Holm.
fn alarms(all: &[Block], n: usize, platform: Platform) -> ([f64; FIGURES.len()], f64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut order: Vec<&Block> = all.iter().collect();
    let (mut single, mut any) = ([0_u32; FIGURES.len()], 0_u32);
    for _ in 0..CAMPAIGNS {
        order.shuffle(&mut rng);
        let drawn: Vec<_> = order[..n].iter().map(|block| (*block, rng.random())).collect();
        let p = p_values(&overhead_of(&drawn, platform));
        for (count, p) in single.iter_mut().zip(p) {
            *count += u32::from(p < 0.05);
        }
        any += u32::from(holm(&p).into_iter().any(|p| p < 0.05));
    }
    let share = |count: u32| f64::from(count) / f64::from(CAMPAIGNS);
    (single.map(share), share(any))
}

/// The nominal rate is 0.05, for each figure and for any of them after Holm. The draws share their
/// blocks, and the recorded values are not normally distributed, so a single figure may be further
/// off than all of them together.
#[test]
fn off_against_off_alarms_as_often_as_is_said() {
    let (mut figures, mut families) = (Vec::new(), Vec::new());
    for (clock, csv, platform) in
        [("counted", COUNTED, Platform::Counted), ("wall", WALL, Platform::Emulated)]
    {
        let all = blocks(csv);
        for n in [4, 10, 20] {
            let (single, any) = alarms(&all, n, platform);
            for (row, share) in FIGURES.iter().zip(single) {
                let name = row.name;
                println!("{clock}, {n} of {} blocks, {name}: {share:.3}", all.len());
                assert!(share <= 0.1, "{clock}, {n} blocks, {name}: {share}");
                figures.push(share);
            }
            println!("{clock}, {n} of {} blocks, any after Holm: {any:.3}", all.len());
            assert!(any <= 0.1, "{clock}, {n} blocks, any: {any}");
            families.push(any);
        }
    }
    let (figure, any) = (mean(&figures), mean(&families));
    println!("all of these: a figure {figure:.3}, any after Holm {any:.3}");
    assert!((0.02..0.06).contains(&figure) && any < 0.06, "a figure {figure}, any {any}");
}

/// The floors of `compare`: at least as far as the mean of a machine's blocks is off, which share
/// whatever sets that machine apart, and at most three times as much.
#[test]
fn two_runs_in_the_counted_clock_differ_as_is_said() {
    let all = blocks(COUNTED);
    let machines: Vec<&[Block]> = all.chunks(12).collect();
    assert_eq!(machines.len(), 3);
    for row in FIGURES {
        let apart = |blocks: &&[Block]| {
            let drawn: Vec<_> = blocks.iter().map(|block| (block, false)).collect();
            overhead_of(&drawn, Platform::Counted).of(row).known().unwrap().estimate.abs()
        };
        let apart = mean(&machines.iter().map(apart).collect::<Vec<_>>());
        let floor = row.unit.repeats(0.0);
        println!("{}: the mean of a machine's blocks is {apart:.4} off, floor {floor}", row.name);
        assert!(apart <= floor, "{}: {apart} {floor}", row.name);
    }
    let least = FIGURES.map(|row| row.unit.repeats(0.0));
    assert_eq!(least, [10.0, 0.2, 0.02, 0.2]);
}

/// What exchanging would hide: that the second of the two names costs something.
#[test]
fn as_they_were_recorded_all_blocks_show_no_difference() {
    for (csv, platform) in [(COUNTED, Platform::Counted), (WALL, Platform::Emulated)] {
        let all = blocks(csv);
        let drawn: Vec<_> = all.iter().map(|block| (block, false)).collect();
        let adjusted = holm(&p_values(&overhead_of(&drawn, platform)));
        assert!(adjusted.iter().all(|p| *p >= 0.05), "{platform:?}: {adjusted:?}");
    }
}

#[test]
fn a_twentieth_more_does_alarm() {
    let mut dear = blocks(COUNTED);
    for line in dear.iter_mut().flatten().filter(|line| line.again) {
        line.worker_ns += line.worker_ns / 20;
    }
    let drawn: Vec<_> = dear.iter().map(|block| (block, false)).collect();
    let [kernel, worker, ..] = p_values(&overhead_of(&drawn, Platform::Counted));
    assert!(kernel < 0.001 && worker < 0.001, "kernel {kernel}, worker {worker}");
}
