//! Results to compare later ones with. They are kept below `target/xtask`, not in the VMs that
//! measured them.

use crate::cargo;
use anyhow::{Context, Result, bail};
use probe_vm::store;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

const CAMPAIGN: &str = "campaign.json";

/// The folder in which criterion keeps its results.
pub(super) fn criterion_home() -> Result<PathBuf> {
    store::folder("criterion")
}

/// The name of a kept result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Baseline(String);

impl FromStr for Baseline {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let plain = !name.is_empty() && !name.starts_with('.') && name.chars().all(fits);
        if plain {
            Ok(Self(name.to_owned()))
        } else {
            Err("use letters, digits, -, _ and .".to_owned())
        }
    }
}

impl Baseline {
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    fn folder(&self) -> Result<PathBuf> {
        store::folder(&format!("baselines/{}", self.0))
    }

    pub(super) fn check(&self) -> Result<()> {
        if !self.folder()?.join(CAMPAIGN).exists() {
            bail!("there is no baseline {0}: make it with --save-baseline {0}", self.0);
        }
        Ok(())
    }

    /// Keeps the campaign in `out`.
    pub(super) fn keep(&self, out: &Path) -> Result<()> {
        let (from, to) = (out.join(CAMPAIGN), self.folder()?.join(CAMPAIGN));
        fs::copy(&from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        eprintln!("baseline {}: {}", self.0, to.display());
        Ok(())
    }

    /// Compares the campaign in `out` with the one that was kept, and prints it; returns the exit
    /// status of `tracetoll compare`.
    pub(super) fn compare(&self, tracetoll: &Path, out: &Path, gates: &[String]) -> Result<u8> {
        let mut command = Command::new(tracetoll);
        command.arg("compare").arg(self.folder()?).arg(out);
        command.args(gates.iter().flat_map(|gate| ["--fail-if", gate]));
        let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
        Ok(cargo::code(status))
    }
}

#[cfg(test)]
mod tests {
    use super::Baseline;

    #[test]
    fn a_name_is_that_of_a_folder() {
        for name in ["main", "v1.2", "before_it-all"] {
            assert_eq!(name.parse::<Baseline>().unwrap().name(), name);
        }
        for name in ["", ".", "..", "a/b", "a b"] {
            assert!(name.parse::<Baseline>().is_err(), "{name}");
        }
    }
}
