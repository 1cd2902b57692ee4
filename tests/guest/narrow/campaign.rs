//! Campaigns of all methods, which several tests examine: they take minutes.

use std::{collections::BTreeSet, fs, process::Output, sync::OnceLock};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use super::watch::{Seen, Watch};
use crate::{
    cpus::Offline,
    tool::{Folder, said, tiny_run},
};

/// The methods of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Methods {
    /// Tracetoll's own methods.
    Own,
    /// External programs, which take as long as all others together.
    Programs,
}

/// The result of a campaign.
pub(crate) struct Measured {
    /// What was traced meanwhile, seen from outside.
    pub(super) seen: Seen,
    /// Its output and exit status.
    pub(crate) output: Output,
    /// Its `campaign.json`.
    pub(crate) campaign: Value,
}

impl Measured {
    pub(super) fn methods(&self) -> BTreeSet<&str> {
        let trials = self.campaign["trials"].as_array().into_iter().flatten();
        trials.filter_map(|trial| trial["method"].as_str()).collect()
    }
}

impl Methods {
    /// In the format of `--methods`.
    fn list(self) -> &'static str {
        match self {
            Self::Own => "ftrace,perf,bpf,capture",
            Self::Programs => "external",
        }
    }

    /// How many must be among them, including the baseline, for a test to prove much.
    pub(crate) fn at_least(self) -> usize {
        match self {
            Self::Own => 20,
            Self::Programs => 6,
        }
    }

    /// Their campaign; it is run once, with an offline CPU.
    pub(crate) fn measured(self) -> Result<&'static Measured> {
        static OWN: OnceLock<Result<Measured>> = OnceLock::new();
        static PROGRAMS: OnceLock<Result<Measured>> = OnceLock::new();
        let campaign = match self {
            Self::Own => &OWN,
            Self::Programs => &PROGRAMS,
        };
        let measured = campaign.get_or_init(|| measure(self.list()));
        measured.as_ref().map_err(|error| anyhow!("{error:#}"))
    }
}

fn measure(methods: &str) -> Result<Measured> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let offline = Offline::take(2)?;
    let watch = Watch::begin()?;
    let mut run = tiny_run(&folder, methods, &folder.path().join("out"))?;
    // Both parts, but only one of the overhead's loads, which are the same for a method.
    let scenario = folder.path().join("tiny.toml");
    let text = fs::read_to_string(&scenario)?;
    let lines =
        text.lines().filter(|line| !line.starts_with("paced") && !line.starts_with("saturated"));
    fs::write(&scenario, lines.collect::<Vec<_>>().join("\n"))?;
    let output = run.output()?;
    let seen = watch.end()?;
    drop(offline);
    let text = fs::read_to_string(folder.path().join("out/campaign.json"));
    let campaign = serde_json::from_str(&text.with_context(|| said(&output))?)?;
    Ok(Measured { seen, output, campaign })
}
