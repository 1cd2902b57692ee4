//! How often `recommend` and `compare` are wrong, through all that stands between a journal and a
//! verdict: the table of docs/src/explanation/recommending.md, in Markdown.
//!
//! `cargo run --release -p tracetoll-benches --example verdicts`; an argument replaces the 400
//! campaigns per number.

use probe_core::analysis::{
    compare::compare,
    fixture::drawn::{Drawn, Scatter},
};
use rand::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Simulated campaigns per number: the standard error is 0.011 at a rate of 0.05.
const CAMPAIGNS: u32 = 400;

const SCATTERS: [(&str, Scatter); 4] = [
    ("normal", Scatter::Even),
    ("levels", Scatter::Levels),
    ("log-normal", Scatter::Skewed),
    ("unlike", Scatter::Unlike),
];

fn main() {
    let told = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let times = told.unwrap_or(CAMPAIGNS);
    head("`recommend`: methods, blocks", &["r"]);
    for (methods, blocks) in [(3, 4), (3, 10), (9, 4), (9, 10), (40, 4), (40, 10)] {
        let drawn = |scatter| Drawn { methods, blocks, scatter };
        let costs = SCATTERS.map(|(_, scatter)| rates(drawn(scatter), times, false));
        let correlations = rates(drawn(Scatter::Even), times, true);
        println!("| {methods}, {blocks} | {} | {correlations} |", costs.join(" | "));
    }
    println!();
    head("`compare`: methods, blocks", &[]);
    for (methods, blocks) in [(4, 4), (4, 10), (9, 4)] {
        let worse = SCATTERS.map(|(_, scatter)| worse(Drawn { methods, blocks, scatter }, times));
        println!("| {methods}, {blocks} | {} |", worse.join(" | "));
    }
}

fn head(first: &str, last: &[&str]) {
    let heads = [&[first], &SCATTERS.map(|(name, _)| name)[..], last].concat();
    println!("| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
}

/// Shares of campaigns in which a method is called behind, and in which one is said to keep a
/// limit.
fn rates(drawn: Drawn, times: u32, with_fidelity: bool) -> String {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(31);
    let (mut behind, mut kept) = (0, 0);
    for _ in 0..times {
        let wrong = drawn.wrong(with_fidelity, &mut rng);
        behind += u32::from(wrong[0]);
        kept += u32::from(wrong[1]);
    }
    format!("{}, {}", share(behind, times), share(kept, times))
}

/// Share of comparisons of a campaign with another of the same in which anything is worse.
fn worse(drawn: Drawn, times: u32) -> String {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(37);
    let is_worse = |rng: &mut Xoshiro256PlusPlus| {
        let campaigns = [(); 2].map(|()| drawn.campaign(true, rng));
        compare(&campaigns[0], &campaigns[1], &[]).expect("they are comparable").is_worse()
    };
    share((0..times).map(|_| u32::from(is_worse(&mut rng))).sum(), times)
}

fn share(count: u32, times: u32) -> String {
    format!("{:.3}", f64::from(count) / f64::from(times))
}
