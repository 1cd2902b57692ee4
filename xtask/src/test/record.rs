//! The record of the full lane's last passing run, `xtask/full-lane.json`: what ran where, and its
//! result.

use super::guest::Tried;
use super::lanes::Share;
use crate::paths;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

pub(super) fn file() -> PathBuf {
    paths::root().join("xtask/full-lane.json")
}

/// The source that was tested, according to git.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestedCommit {
    commit: String,
    /// Whether files other than the record differ from the commit.
    changed: bool,
}

impl TestedCommit {
    pub(super) fn now() -> Result<Self> {
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        let others = ["status", "--porcelain", "--", ".", ":!xtask/full-lane.json"];
        Ok(Self { commit, changed: !git(&others)?.is_empty() })
    }
}

/// Writes the record of a run in which nothing failed. `fuzz` is the fuzzer's output.
pub(super) fn write(
    source: &TestedCommit,
    stages: &[(String, f64)],
    machines: &[(Share, Tried)],
    fuzz: &str,
) -> Result<()> {
    if *source != TestedCommit::now()? {
        bail!("the source was changed while it was tested: nothing is recorded");
    }
    let all = stages.iter().map(|(_, seconds)| seconds).sum::<f64>();
    let stages: serde_json::Map<String, Value> =
        stages.iter().map(|(name, seconds)| (name.clone(), json!(seconds.round()))).collect();
    let record = json!({
        "commit": source.commit,
        "changed": source.changed,
        "date": jiff::Zoned::now().strftime("%Y-%m-%d").to_string(),
        "cpus": std::thread::available_parallelism()?.get(),
        "minutes": (all / 60.0).round(),
        "stages_s": stages,
        "machines": machines.iter().map(told).collect::<Result<Vec<_>>>()?,
        "fuzz": fuzz.lines().collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&record)? + "\n";
    fs::write(file(), text).with_context(|| format!("cannot write {}", file().display()))
}

fn told((share, tried): &(Share, Tried)) -> Result<Value> {
    let said = fs::read_to_string(tried.outcome.dir.join("stdout"))?;
    let with = |word: &str| said.lines().rev().find(|line| line.starts_with(word));
    let result = with("test result: ").context("a machine's tests have no result")?;
    let mut told = json!({
        "series": share.series,
        "kind": share.kind.name(),
        "modules": share.modules,
        "tries": tried.tries,
        "result": result,
    });
    if let Some(figures) = with("soak: ") {
        told["figures"] = figures.into();
    }
    Ok(told)
}

fn git(words: &[&str]) -> Result<String> {
    let out = Command::new("git").args(words).current_dir(paths::root()).output();
    let out = out.context("cannot run git")?;
    if !out.status.success() {
        bail!("git {}: {}", words.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}
