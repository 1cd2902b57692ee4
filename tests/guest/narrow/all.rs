//! One campaign of all methods, which several tests look at: it takes minutes.

use std::{collections::BTreeSet, fs, process::Output, sync::OnceLock};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use super::watch::{Seen, Watch};
use crate::{
    cpus::Offline,
    tool::{Folder, said, tiny_run},
};

/// What came of it.
pub(crate) struct All {
    /// What was traced meanwhile, seen from outside.
    pub(super) seen: Seen,
    /// What it said, and its exit status.
    pub(crate) output: Output,
    /// Its `campaign.json`.
    pub(crate) campaign: Value,
}

impl All {
    pub(super) fn methods(&self) -> BTreeSet<&str> {
        let trials = self.campaign["trials"].as_array().into_iter().flatten();
        trials.filter_map(|trial| trial["method"].as_str()).collect()
    }
}

/// The campaign; it is run once, beside a CPU that is offline.
pub(crate) fn all_methods() -> Result<&'static All> {
    static ALL: OnceLock<Result<All>> = OnceLock::new();
    ALL.get_or_init(measure).as_ref().map_err(|error| anyhow!("{error:#}"))
}

fn measure() -> Result<All> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let offline = Offline::take(2)?;
    let watch = Watch::begin()?;
    let mut run = tiny_run(&folder, "all", &folder.path().join("out"))?;
    // Both parts; of the loads of the toll, which are the same to a method, one.
    let scenario = folder.path().join("tiny.toml");
    let text = fs::read_to_string(&scenario)?;
    let lines = text.lines().filter(|line| !line.starts_with("paced") && !line.starts_with("flat"));
    fs::write(&scenario, lines.collect::<Vec<_>>().join("\n"))?;
    let output = run.output()?;
    let seen = watch.end()?;
    drop(offline);
    let text = fs::read_to_string(folder.path().join("out/campaign.json"));
    let campaign = serde_json::from_str(&text.with_context(|| said(&output))?)?;
    Ok(All { seen, output, campaign })
}
