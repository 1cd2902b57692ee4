//! How long it takes to compute figures from trials, and reports from figures.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use probe_core::{
    analysis::{
        bootstrap::{Sections, bca, within_run},
        correlation::{Coefficient, mean, pearson, spearman},
        figures::table::R_RETAINED,
        interval::ALPHA,
        journal::parse_journal,
        merge::{Source, merge},
        weighted::Weighted,
    },
    model::campaign::SCHEMA_VERSION,
    report::{html, results::named, tables::Dataset, text},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

/// Bins of a run of the paper's length: 200 s in bins of 0.5 s.
const BINS: usize = 400;

/// The content of a journal.
#[derive(Debug, Clone, Copy)]
struct Shape {
    blocks: u32,
    /// Number of methods, including the baseline.
    methods: usize,
    functions: usize,
    /// Number of sections of the schedule, of equal length.
    sections: usize,
    guests: usize,
}

/// A campaign of the default scenario.
const BLOCKS: Shape = Shape { blocks: 10, methods: 4, functions: 1, sections: 1, guests: 0 };

/// A campaign of 208 trials.
const MANY: Shape = Shape { blocks: 13, ..BLOCKS };

/// The paper's figure 8 once under each of four methods: each interval is resampled from the bins
/// of a run.
const ONE_RUN: Shape = Shape { blocks: 1, methods: 4, functions: 4, sections: 8, guests: 8 };

fn noise(rng: &mut Xoshiro256PlusPlus, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(100.0..200.0)).collect()
}

fn correlation(criterion: &mut Criterion) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (x, y) = (noise(&mut rng, BINS), noise(&mut rng, BINS));
    let mut group = criterion.benchmark_group("correlation");
    group.throughput(Throughput::Elements(BINS as u64));
    group.bench_function("pearson of 400 bins", |b| b.iter(|| pearson(black_box(&x), &y)));
    group.bench_function("spearman of 400 bins", |b| b.iter(|| spearman(black_box(&x), &y)));
    group.finish();
}

fn intervals(criterion: &mut Criterion) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let values = noise(&mut rng, 30);
    let mut group = criterion.benchmark_group("interval");
    group.bench_function("BCa of the mean of 30 blocks", |b| {
        b.iter(|| bca(&values, ALPHA, mean, &mut Xoshiro256PlusPlus::seed_from_u64(3)));
    });
    let (x, y) = (noise(&mut rng, BINS), noise(&mut rng, BINS));
    let sections = Sections::new(BINS, &[0, 50, 100, 150, 200, 250, 300, 350]);
    group.sample_size(20).bench_function("r within one run of 400 bins", |b| {
        let r = Weighted::new(Coefficient::Pearson, &x, &y).unwrap();
        b.iter(|| within_run(&sections, |at| r.at(at), &mut Xoshiro256PlusPlus::seed_from_u64(4)));
    });
    group.finish();
}

fn campaign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("campaign");
    group.sample_size(10);
    for (name, shape) in
        [("journal of 160 trials to figures", BLOCKS), ("one run of 4 methods", ONE_RUN)]
    {
        let text = journal(shape);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let campaign = merge(vec![parsed(&text)]).unwrap();
                // A bench of failed trials would be too fast.
                assert_eq!(campaign.summary.failed_trials, 0);
                assert!(
                    campaign.summary.methods[1].fidelity.figures.of(R_RETAINED).known().is_some()
                );
                assert_eq!(campaign.summary.sections.len(), shape.sections);
                campaign
            });
        });
    }
    group.finish();
}

fn report(criterion: &mut Criterion) {
    let campaign = merge(vec![parsed(&journal(MANY))]).unwrap();
    assert_eq!(campaign.trials.len(), 208);
    let results = named(vec![("bench".into(), campaign)]);
    let campaign = &results[0].campaign;
    let mut group = criterion.benchmark_group("report of 208 trials");
    group.sample_size(10);
    group.bench_function("text", |b| b.iter(|| text::render(black_box(campaign))));
    group.bench_function("html", |b| b.iter(|| html::render(black_box(campaign))));
    group.bench_function("bins as csv", |b| b.iter(|| Dataset::Bins.csv(&results).unwrap()));
    group
        .bench_function("bins as parquet", |b| b.iter(|| Dataset::Bins.parquet(&results).unwrap()));
    group.finish();
}

fn parsed(text: &str) -> Source {
    Source { name: "bench".into(), lines: parse_journal(text.as_bytes()).unwrap().lines }
}

/// A journal with three overhead trials and one fidelity trial per method and block.
fn journal(shape: Shape) -> String {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut lines = vec![start(shape)];
    for block in 0..shape.blocks {
        for method in 0..shape.methods {
            for pace in ["closed_loop", "paced", "saturated"] {
                lines.push(trial(&mut rng, (shape, block, method), ("overhead", pace), 1));
            }
            lines.push(trial(&mut rng, (shape, block, method), ("fidelity", "saturated"), BINS));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn id(method: usize) -> String {
    if method == 0 { "off".into() } else { format!("method-{method}") }
}

fn function(index: usize) -> String {
    if index == 0 { "handle_tx".into() } else { format!("function_{index}") }
}

fn start(shape: Shape) -> Value {
    let method = |method: usize| {
        let (family, class, unit) = if method == 0 {
            ("baseline", "nothing", json!({ "kind": "nothing" }))
        } else {
            ("bpf", "exact", json!({ "kind": "calls", "factor": 1.0 }))
        };
        json!({
            "id": id(method), "family": family, "class": class, "unit": unit, "summary": "",
            "parameters": {},
        })
    };
    let methods: Vec<Value> = (0..shape.methods).map(method).collect();
    let functions: Vec<Value> = (0..shape.functions)
        .map(|index| json!({ "name": function(index), "module": "vhost_net" }))
        .collect();
    let section = |hogs| json!({ "hogs": hogs, "duration": format!("{}s", 200 / shape.sections) });
    let sections: Vec<Value> = (0..shape.sections).map(section).collect();
    json!({ "start": {
        "schema_version": SCHEMA_VERSION,
        "design": {
            "version": "0", "kernel": "0", "unavailable": [], "shared_target": false,
            "target": { "functions": functions },
            "methods": methods,
            "scenario": {
                "name": "bench", "summary": "", "bin": "500ms", "settle": "1s", "load_cpus": 1,
                "guests": { "kind": "bridge", "count": shape.guests.max(1) },
                "overhead": {
                    "closed_loop": { "kicks": 1000 },
                    "paced": { "rate": "5kpps", "duration": "2s" },
                    "saturated": { "duration": "2s" },
                },
                "fidelity": { "sections": sections },
            },
        },
        "run": {
            "started": "2026-01-01T00:00:00Z", "command_line": [], "seed": 1,
            "parts": ["overhead", "fidelity"], "platform": "native", "reference_checks": [],
            "host": {
                "cpu": "", "cpus": 2, "memory_kib": 1, "kernel_version": "",
                "kernel_command_line": "", "hypervisor": null,
            },
        },
    }})
}

fn trial(
    rng: &mut Xoshiro256PlusPlus,
    (shape, block, method): (Shape, u32, usize),
    (part, pace): (&str, &str),
    bins: usize,
) -> Value {
    let calls: Vec<u64> = (0..bins).map(|_| rng.random_range(100..1000)).collect();
    let throughput: Vec<u64> =
        calls.iter().map(|calls| calls * 1514 + rng.random_range(0..200_000)).collect();
    let fidelity = part == "fidelity";
    let total: u64 = calls.iter().sum();
    let worker: u64 = rng.random_range(90_000_000..100_000_000);
    let sections: Vec<Value> = (0..if fidelity { shape.sections } else { 1 })
        .map(
            |hogs| json!({ "first_bin": hogs * bins / shape.sections, "hogs": hogs, "senders": 1 }),
        )
        .collect();
    let guest = |guest: usize| {
        let rtt: Vec<u64> = (0..bins).map(|_| rng.random_range(100..1000)).collect();
        json!({
            "name": format!("vm{guest}"), "throughput": throughput, "counted_at": "sink", "rtt_us": rtt,
        })
    };
    let guests: Vec<Value> = (0..if fidelity { shape.guests } else { 0 }).map(guest).collect();
    let seen = if method == 0 { 0 } else { shape.functions };
    let series: Vec<Value> = (0..if fidelity { seen } else { 0 })
        .map(|index| json!({ "function": function(index), "values": calls }))
        .collect();
    // The last item of a target is the frames.
    let recorded: Vec<Option<u64>> =
        (0..=shape.functions).map(|index| (index < seen).then_some(total)).collect();
    let with_reference = vec![json!({ "calls": calls }); shape.functions];
    json!({ "trial": {
        "run": 0, "block": block, "position": 0, "part": part, "pace": pace, "method": id(method),
        "with_reference": fidelity, "started": "2026-01-01T00:00:00Z",
        "outcome": { "done": {
            "sent": { "kicks": total, "frames": 10_000, "bytes": 15_140_000 },
            "received": { "frames": 10_000, "bytes": 15_140_000 },
            "refused": 0,
            "cpu": {
                "elapsed": 2_000_000_000_u64, "workers": [worker], "load": 1, "hogs": 0, "reader": 1,
                "after": 0, "system": 500_000_000, "cpus": 2, "sink_run_delay": 0,
            },
            "edges": (0..=bins as u64).map(|edge| edge * 500_000_000).collect::<Vec<_>>(),
            "edge_jitter": 0,
            "throughput": throughput,
            "frames": calls,
            "guests": guests,
            "reference": if fidelity {
                json!({ "functions": with_reference, "missed": { "kind": "exact", "n": 0 } })
            } else {
                Value::Null
            },
            "sections": sections,
            "observation": {
                "recorded": recorded,
                "lost": { "kind": "exact", "n": 0 }, "missed": { "kind": "exact", "n": 0 },
                "enabled": 2_000_000_000_u64, "running": 2_000_000_000_u64, "attached": [],
                "bytes_read": 0, "kernel_memory": 0, "details": {},
            },
            "series": series,
        }},
    }})
}

criterion_group!(benches, correlation, intervals, campaign, report);
criterion_main!(benches);
