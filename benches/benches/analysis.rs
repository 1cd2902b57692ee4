//! How long it takes to turn trials into figures.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use probe_user::analysis::{
    bootstrap::{Sections, bca, within_run},
    correlation::{pearson, spearman},
    merge::{merge, parse_journal},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

/// Bins of a run of the paper's length: 200 s in bins of 0.5 s.
const BINS: usize = 400;

/// Blocks of the journal.
const BLOCKS: u32 = 10;

const METHODS: [&str; 4] = ["off", "bpf-fentry-count", "ftrace-function", "bpf-kprobe-count"];

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
        let mean = |at: &[usize]| at.iter().map(|&i| values[i]).sum::<f64>() / at.len() as f64;
        b.iter(|| bca(values.len(), mean, &mut Xoshiro256PlusPlus::seed_from_u64(3)));
    });
    let (x, y) = (noise(&mut rng, BINS), noise(&mut rng, BINS));
    let sections = Sections::new(BINS, &[0, 50, 100, 150, 200, 250, 300, 350]);
    group.sample_size(20).bench_function("r within one run of 400 bins", |b| {
        let pick = |v: &[f64], at: &[usize]| at.iter().map(|&i| v[i]).collect::<Vec<f64>>();
        let r = |at: &[usize]| pearson(&pick(&x, at), &pick(&y, at)).ok();
        b.iter(|| within_run(&sections, r, &mut Xoshiro256PlusPlus::seed_from_u64(4)));
    });
    group.finish();
}

fn campaign(criterion: &mut Criterion) {
    let text = journal();
    let mut group = criterion.benchmark_group("campaign");
    group.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("journal of 160 trials to figures", |b| {
        b.iter(|| {
            let campaign = merge(vec![parse_journal(&text).unwrap().lines]).unwrap();
            // A bench of failed trials would be a fast one.
            assert_eq!(campaign.summary.failed_trials, 0);
            assert!(campaign.summary.methods[1].fidelity.r_retained.known().is_some());
            campaign
        });
    });
    group.finish();
}

/// A journal with three toll trials and one fidelity trial per method and block.
fn journal() -> String {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut lines = vec![start()];
    for block in 0..BLOCKS {
        for method in METHODS {
            for pace in ["lockstep", "paced", "flat"] {
                lines.push(trial(&mut rng, block, ("toll", pace), method, 1));
            }
            lines.push(trial(&mut rng, block, ("fidelity", "flat"), method, BINS));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn start() -> Value {
    let method = |id: &str| {
        let (family, class, unit) = if id == "off" {
            ("control", "nothing", json!({ "kind": "nothing" }))
        } else {
            ("bpf", "exact", json!({ "kind": "calls", "factor": 1.0 }))
        };
        json!({
            "id": id, "family": family, "class": class, "unit": unit, "summary": "", "parameters": {},
        })
    };
    json!({ "start": {
        "schema_version": 1,
        "design": {
            "version": "0", "kernel": "0", "unavailable": [], "shared_target": false,
            "target": { "functions": [{ "name": "handle_tx", "module": "vhost_net" }] },
            "methods": METHODS.map(method),
            "scenario": {
                "name": "bench", "summary": "", "bin": "500ms", "settle": "1s", "load_cpus": 1,
                "guests": { "kind": "blast", "count": 1, "frame": 1514, "ring": 256, "batch": 64 },
                "toll": {
                    "lockstep": { "kicks": 1000 },
                    "paced": { "rate": "5kpps", "duration": "2s" },
                    "flat": { "duration": "2s" },
                },
                "fidelity": { "sections": [{ "hogs": 0, "duration": "200s" }] },
            },
        },
        "run": {
            "started": "2026-01-01T00:00:00Z", "command_line": [], "seed": 1,
            "parts": ["toll", "fidelity"], "platform": "native", "witness_checks": [],
            "host": {
                "cpu": "", "cpus": 2, "memory_kib": 1, "kernel_version": "",
                "kernel_command_line": "", "hypervisor": null,
            },
        },
    }})
}

fn trial(
    rng: &mut Xoshiro256PlusPlus,
    block: u32,
    (part, pace): (&str, &str),
    method: &str,
    bins: usize,
) -> Value {
    let calls: Vec<u64> = (0..bins).map(|_| rng.random_range(100..1000)).collect();
    let throughput: Vec<u64> =
        calls.iter().map(|calls| calls * 1514 + rng.random_range(0..200_000)).collect();
    let (fidelity, off) = (part == "fidelity", method == "off");
    let total: u64 = calls.iter().sum();
    let worker: u64 = rng.random_range(90_000_000..100_000_000);
    json!({ "trial": {
        "run": 0, "block": block, "position": 0, "part": part, "pace": pace, "method": method,
        "witnessed": fidelity, "started": "2026-01-01T00:00:00Z",
        "outcome": { "done": {
            "sent": { "kicks": total, "frames": 10_000, "bytes": 15_140_000 },
            "received": { "frames": 10_000, "bytes": 15_140_000 },
            "cpu": {
                "elapsed": 2_000_000_000_u64, "workers": [worker], "load": 1, "hogs": 0, "reader": 1,
                "after": 0, "system": 500_000_000, "cpus": 2, "sink_run_delay": 0,
            },
            "edges": (0..=bins as u64).map(|edge| edge * 500_000_000).collect::<Vec<_>>(),
            "edge_jitter": 0,
            "throughput": throughput,
            "witness": if fidelity {
                json!({ "functions": [{ "calls": calls }], "missed": { "kind": "exact", "n": 0 } })
            } else {
                Value::Null
            },
            "sections": [{ "first_bin": 0, "hogs": 0 }],
            "observation": {
                "recorded": [if off { None } else { Some(total) }],
                "lost": { "kind": "exact", "n": 0 }, "missed": { "kind": "exact", "n": 0 },
                "enabled": 2_000_000_000_u64, "running": 2_000_000_000_u64, "attached": [],
                "bytes_read": 0, "kernel_memory": 0, "details": {},
            },
            "series": if off { json!([]) } else {
                json!([{ "function": "handle_tx", "values": calls }])
            },
        }},
    }})
}

criterion_group!(benches, correlation, intervals, campaign);
criterion_main!(benches);
