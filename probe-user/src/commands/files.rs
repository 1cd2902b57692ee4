//! The files that are written at the end into a result folder, besides its journals.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use probe_core::{
    analysis::recommend,
    error::Result,
    model::{campaign::Campaign, trial::Part},
    report,
};
use serde::Serialize;

use crate::measure::{
    journal::{self, JOURNAL},
    output,
};

/// Name of the page in a result folder.
const PAGE: &str = "report.html";

/// What was written, as paths relative to the current folder.
#[derive(Debug, Serialize)]
pub(super) struct Files {
    /// `campaign.json`.
    #[serde(serialize_with = "shown")]
    campaign: PathBuf,
    /// `report.html`.
    #[serde(serialize_with = "shown")]
    report: PathBuf,
    /// The command that leads from this result to a decision; only in text.
    #[serde(skip)]
    choice: String,
}

impl Files {
    /// Writes both files, each completely or not at all, the result before the page that shows it.
    ///
    /// # Errors
    /// The system's error; files that were already written remain.
    pub(super) fn write(folder: &Path, campaign: &Campaign) -> Result<Self> {
        let result = journal::write_campaign(folder, campaign).map_err(|error| {
            let journal = folder.join(JOURNAL);
            if !journal.exists() {
                return error;
            }
            let journal = journal.display();
            error.with_hint(format!(
                "{journal} is complete. `tracetoll merge --out DIR {journal}` makes the result \
                 elsewhere"
            ))
        })?;
        let page = folder.join(PAGE);
        output::write_whole(&page, report::html::render(campaign)).map_err(|error| {
            error.with_hint(format!(
                "{} is complete. `tracetoll report {} --format html --out FILE` makes the page \
                 elsewhere",
                result.display(),
                folder.display()
            ))
        })?;
        let choice = choice(folder, campaign);
        Ok(Self { campaign: near(&result), report: near(&page), choice })
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "result: {}", self.campaign.display())?;
        writeln!(f, "report: {}", self.report.display())?;
        writeln!(f, "choose: {}", self.choice)
    }
}

/// A path as JSON, which cannot hold bytes that are not UTF-8.
fn shown<S: serde::Serializer>(path: &Path, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

/// The command that leads from a result to a decision, with the program as it was called.
fn choice(folder: &Path, campaign: &Campaign) -> String {
    let program = std::env::args_os().next().map_or_else(|| "tracetoll".into(), PathBuf::from);
    let program = match program.is_absolute() {
        // Never a bare name, which would be looked up in PATH.
        true => below_here(&program).map_or(program.clone(), |path| Path::new(".").join(path)),
        false => program,
    };
    let [program, folder] = [&*program, &*near(folder)]
        .map(|path| recommend::quoted(&path.to_string_lossy()).into_owned());
    let fidelity = campaign.runs.iter().any(|run| run.parts.contains(&Part::Fidelity));
    let limit = if fidelity { " --min-r-retained 0.95" } else { "" };
    format!("{program} recommend {folder} --need counts{limit}")
}

/// Relative to the current folder, if the path is below it.
fn near(path: &Path) -> PathBuf {
    below_here(path).unwrap_or_else(|| path.to_owned())
}

/// The part of a path below the current folder; a dot for the folder itself.
fn below_here(path: &Path) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let below = path.strip_prefix(here).ok()?;
    Some(if below.as_os_str().is_empty() { ".".into() } else { below.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use probe_core::{analysis::fixture::Lab, model::figure::Platform};

    use super::*;
    use crate::measure::{journal::CAMPAIGN, store};

    fn campaign() -> Campaign {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        lab.campaign()
    }

    #[test]
    fn result_and_page_are_written_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::write(folder.path(), &campaign()).unwrap();
        let told = files.to_string();
        assert!(told.contains("campaign.json\n") && told.contains("report.html\n"), "{told}");
        assert!(told.contains(&format!("recommend {} --need", folder.path().display())), "{told}");
        assert!(fs::read_to_string(files.report).unwrap().starts_with("<!DOCTYPE html>"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn a_page_that_cannot_be_written_leaves_the_result_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(PAGE)).unwrap();
        let error = Files::write(folder.path(), &campaign()).unwrap_err().to_string();
        assert!(error.contains(PAGE) && error.contains("campaign.json is complete"), "{error}");
        assert!(error.contains("--format html --out FILE"), "{error}");
        store::read(folder.path()).unwrap();
    }

    #[test]
    fn a_result_that_cannot_be_written_leads_to_its_journal_where_it_has_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(CAMPAIGN)).unwrap();
        let told = || Files::write(folder.path(), &campaign()).unwrap_err().to_string();
        assert!(told().contains("name another place with --out"), "{}", told());
        fs::write(folder.path().join(JOURNAL), "").unwrap();
        assert!(told().contains("`tracetoll merge --out DIR "), "{}", told());
    }

    #[test]
    fn a_path_below_the_current_folder_is_told_from_there() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(near(&here.join("results/a")), Path::new("results/a"));
        assert_eq!(near(Path::new("results/a")), Path::new("results/a"));
        assert_eq!(near(Path::new("/elsewhere")), Path::new("/elsewhere"));
    }
}
