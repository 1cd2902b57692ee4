//! Schedules that are drawn, and what is told of their degradations.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::tool::{Folder, succeed, tracetoll};

/// How much later one method's trial may be in what it does than another's, in seconds: two bins
/// of a busy machine.
const LATE: f64 = 0.2;

pub(super) fn one_load() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run = tracetoll(["run", "--scenario", "diagnose", "--time-scale", "0.1"])?;
    run.args(["--seed", "1", "--blocks", "2", "--methods", "bpf-fentry-count", "--out"]);
    run.arg(&out);
    succeed(run)?;
    let campaign: Value = serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    let of = |block: usize, method: &str| {
        let mut trials = campaign["trials"].as_array().into_iter().flatten();
        let found = trials.find(|trial| trial["block"] == block && trial["method"] == method);
        found.map(|trial| &trial["outcome"]["done"]).context("no trial")
    };
    let mut rates = Vec::new();
    for block in [0, 1] {
        let (off, method) = (of(block, "off")?, of(block, "bpf-fentry-count")?);
        ensure!(planned(off)? == planned(method)?, "block {block}: another schedule");
        for (a, b) in degradations(off)?.iter().zip(degradations(method)?) {
            for end in ["from_s", "to_s"] {
                let apart = number(&a[end])? - number(&b[end])?;
                ensure!(apart.abs() < LATE, "block {block}: {a} and {b}");
            }
        }
        rates.extend(rate_kept(off)?);
        rates.extend(rate_kept(method)?);
    }
    ensure!(planned(of(0, "off")?)? != planned(of(1, "off")?)?, "two blocks with one schedule");
    // A quarter less was offered.
    let kept = rates.iter().sum::<f64>() / rates.len() as f64;
    ensure!((0.6..0.95).contains(&kept), "{kept} of the frames arrived: {rates:?}");
    let summary = &campaign["summary"];
    ensure!(summary["sections"].is_null(), "{}", summary["sections"]);
    let figures = &summary["methods"][1]["fidelity"];
    for name in ["r_calls", "r_within_w", "detection_w", "detection", "longest_gap_s"] {
        ensure!(figures[name]["n"] == 2, "{name}: {}", figures[name]);
    }
    Ok(())
}

fn degradations(trial: &Value) -> Result<&Vec<Value>> {
    let all = trial["degradations"].as_array().context("no degradations")?;
    ensure!(all.len() == 4, "{} degradations", all.len());
    Ok(all)
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

/// What was to happen: sections and kinds of degradations.
fn planned(trial: &Value) -> Result<Vec<(Value, Value)>> {
    let sections = trial["sections"].as_array().context("no sections")?.iter();
    let sections = sections.map(|section| (section["first_bin"].clone(), section["name"].clone()));
    let worse = degradations(trial)?.iter();
    Ok(sections.chain(worse.map(|worse| (Value::Null, worse["kind"].clone()))).collect())
}

/// Of each degradation by rate: frames in its bins, as a part of those in as many bins before it.
fn rate_kept(trial: &Value) -> Result<Vec<f64>> {
    let frames: Vec<f64> =
        trial["frames"].as_array().context("no frames")?.iter().filter_map(Value::as_f64).collect();
    let mut kept = Vec::new();
    for worse in degradations(trial)?.iter().filter(|worse| worse["kind"] == "rate") {
        let first = (number(&worse["from_s"])? / 0.1).round() as usize;
        let sum = |from: usize| frames[from..from + 3].iter().sum::<f64>();
        kept.push(sum(first) / sum(first - 3));
    }
    Ok(kept)
}
