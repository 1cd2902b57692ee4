//! How often the intervals contain a known truth: the tables of docs/src/explanation/statistics.md,
//! in Markdown.
//!
//! `cargo run --release -p tracetoll-benches --example coverage`; it takes a few minutes.

use probe_core::analysis::{
    bootstrap::{Sections, within_run},
    correlation::{Coefficient, mean, pearson},
    estimate::mean_interval,
    interval::{Interval, ratio},
    stop,
    weighted::Weighted,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Simulated campaigns per number of a table over blocks: the standard error is 0.003.
const CAMPAIGNS: u32 = 4000;

/// Simulated runs per number of the table within one run.
const RUNS: u32 = 1500;

/// Simulated campaigns per number of the stop rule's table, whose intervals are computed again at
/// each block.
const STOPPED: u32 = 1000;

/// Numbers of blocks.
const BLOCKS: [usize; 7] = [2, 3, 5, 10, 15, 20, 30];

fn main() {
    let mut noise = Noise(Xoshiro256PlusPlus::seed_from_u64(1));
    let heads = BLOCKS.map(|n| format!("{n} blocks"));
    println!("| one value per block | {} |", heads.join(" | "));
    println!("|---|{}", "---|".repeat(BLOCKS.len()));
    row("normal", &mut noise, |noise| noise.normal(0.0, 1.0));
    row("log-normal, σ = 0.5", &mut noise, |noise| noise.normal(0.0, 0.5).exp());
    for (name, z, scatter) in [("0.69", 0.9, 0.3), ("0.83", 1.4, 0.55), ("0.95", 2.0, 0.4)] {
        let label = format!("r, mean {name}, z ~ N({z}, {scatter})");
        row(&label, &mut noise, |noise| noise.normal(z, scatter).tanh());
        // The method lowers z by 0.2 on average; both include the seed's own z.
        let lost = move |noise: &mut Noise| {
            let off = noise.normal(z, scatter);
            off.tanh() - (off - noise.normal(0.2, 0.15)).tanh()
        };
        row(&format!("difference of such r, mean {name}"), &mut noise, lost);
    }
    retained(&mut noise);
    println!("\n| r within one run | sections of 12 bins | of 24 | of 50 |\n|---|---|---|---|");
    for persistence in [0.0, 0.3, 0.5, 0.7] {
        let found = [12, 24, 50].map(|bins| in_run(&mut noise, bins, persistence));
        println!("| noise AR(1), φ = {persistence} | {} |", found.join(" | "));
    }
    println!("\n| half width at the stop, in standard deviations | 0.9 | 0.6 | 0.45 | 0.3 |");
    println!("|---|---|---|---|---|");
    stopped("normal", &mut noise, |noise| noise.normal(0.0, 1.0));
    stopped("log-normal, σ = 0.5", &mut noise, |noise| noise.normal(0.0, 0.5).exp());
}

/// Prints how often the interval at the stop contains the truth, and after how many blocks it
/// stops. The widths are shares of the blocks' scatter; there are at most 100 blocks.
fn stopped(label: &str, noise: &mut Noise, value: impl Fn(&mut Noise) -> f64) {
    let all: Vec<f64> = (0..1_000_000).map(|_| value(noise)).collect();
    let truth = mean(&all);
    let scatter = mean(&all.iter().map(|x| (x - truth).powi(2)).collect::<Vec<_>>()).sqrt();
    let cells = [0.9, 0.6, 0.45, 0.3].map(|width| {
        let mut blocks = 0;
        let held = covered(STOPPED, truth, |seed| {
            let mut values: Vec<f64> = (0..stop::LEAST_BLOCKS).map(|_| value(noise)).collect();
            while values.len() < 100
                && stop::half_width(&values, scatter, seed).is_none_or(|half| half > width)
            {
                values.push(value(noise));
            }
            blocks += values.len();
            mean_interval(&values, seed)
        });
        format!("{held} ({:.0})", blocks as f64 / f64::from(STOPPED))
    });
    println!("| {label} | {} |", cells.join(" | "));
}

/// Source of the simulated noise.
struct Noise(Xoshiro256PlusPlus);

impl Noise {
    /// Box and Muller's transform.
    fn normal(&mut self, mean: f64, sd: f64) -> f64 {
        let (u, angle): (f64, f64) = (1.0 - self.0.random::<f64>(), self.0.random());
        mean + sd * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// Prints how often the interval of the mean of `n` values contains the true mean.
fn row(label: &str, noise: &mut Noise, value: impl Fn(&mut Noise) -> f64) {
    let truth = mean(&(0..1_000_000).map(|_| value(noise)).collect::<Vec<_>>());
    let cells = BLOCKS.map(|n| {
        covered(CAMPAIGNS, truth, |seed| {
            mean_interval(&(0..n).map(|_| value(noise)).collect::<Vec<_>>(), seed)
        })
    });
    println!("| {label} | {} |", cells.join(" | "));
}

/// Prints how often Fieller's interval contains a ratio of means, below 15 blocks.
fn retained(noise: &mut Noise) {
    let cells = BLOCKS.map(|n| {
        if n >= 15 {
            return "".into();
        }
        covered(CAMPAIGNS, 0.8, |_| {
            let r_0: Vec<f64> = (0..n).map(|_| noise.normal(0.9, 0.05)).collect();
            let r_m: Vec<f64> = r_0.iter().map(|r_0| 0.8 * r_0 + noise.normal(0.0, 0.05)).collect();
            ratio(&r_m, &r_0)
        })
    });
    println!("| r_retained 0.8 (Fieller) | {} |", cells.join(" | "));
}

/// How often the interval from one run's bins contains the mean `r` of many runs: five sections
/// with different levels, with noise that depends on the preceding bin.
fn in_run(noise: &mut Noise, bins: usize, persistence: f64) -> String {
    let levels = [4.0, 2.0, 1.0, 2.0, 4.0];
    let mut run = || {
        let mut series = || {
            let mut state = noise.normal(0.0, 1.0);
            let fresh = f64::sqrt(1.0 - persistence * persistence);
            let bin = |bin: usize| {
                state = persistence * state + fresh * noise.normal(0.0, 1.0);
                levels[bin / bins] + state
            };
            (0..5 * bins).map(bin).collect::<Vec<f64>>()
        };
        (series(), series())
    };
    let r = |(x, y): (Vec<f64>, Vec<f64>)| pearson(&x, &y).unwrap_or(f64::NAN);
    let truth = mean(&(0..20_000).map(|_| r(run())).collect::<Vec<_>>());
    let firsts: Vec<usize> = (0..5).map(|section| section * bins).collect();
    let sections = Sections::new(5 * bins, &firsts);
    covered(RUNS, truth, |seed| {
        let (x, y) = run();
        let r = Weighted::new(Coefficient::Pearson, &x, &y).ok()?;
        within_run(&sections, |at| r.at(at), &mut Xoshiro256PlusPlus::seed_from_u64(seed))
    })
}

fn covered(times: u32, truth: f64, mut find: impl FnMut(u64) -> Option<Interval>) -> String {
    let holds = |found: Interval| (found.lo..=found.hi).contains(&truth);
    let covered = (0..times).filter(|&seed| find(seed.into()).is_some_and(holds)).count();
    format!("{:.3}", covered as f64 / f64::from(times))
}
