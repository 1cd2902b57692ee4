//! Result folders: creates them, and reads results from them.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use probe_core::{
    analysis::{
        self,
        merge::{self, Source, merge, refute_all, unread},
    },
    error::{Error, Result},
    model::campaign::{Campaign, SCHEMA_VERSION},
};
use probe_vm::protocol::{GUESTS, RESULTS};

use super::{
    input::{self, unreadable},
    journal::{CAMPAIGN, JOURNAL},
};

/// A campaign in a published result: packed by `xz`.
const PACKED: &str = "campaign.json.xz";

/// Creates the folder for a result: `out`, or one in `results/` named after the time, with a number
/// if another run created that one in the same second. An existing result is never overwritten.
///
/// # Errors
/// It cannot be created, cannot be written to, or contains a result already.
pub fn create(out: Option<&Path>) -> Result<PathBuf> {
    match out {
        Some(folder) => create_named(folder),
        None => create_new(Path::new("results"), &jiff::Zoned::now()),
    }
}

fn create_named(folder: &Path) -> Result<PathBuf> {
    let holds =
        |name| folder.join(name).try_exists().map_err(|e| Error::output("look into", folder, e));
    if holds(JOURNAL)? || holds(CAMPAIGN)? || holds(PACKED)? {
        return Err(Error::invalid(
            folder.display().to_string(),
            "the folder already has a result",
            "Name another folder with --out",
        ));
    }
    fs::create_dir_all(folder).map_err(|e| Error::output("create", folder, e))?;
    Ok(folder.to_owned())
}

fn create_new(results: &Path, now: &jiff::Zoned) -> Result<PathBuf> {
    /// Number of runs that can start in one second.
    const MOST: u32 = 1000;
    let time = now.strftime("%Y-%m-%dT%H-%M-%S").to_string();
    fs::create_dir_all(results).map_err(|e| Error::output("create", results, e))?;
    let mut folder = results.join(&time);
    for another in 2..=MOST {
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                folder = results.join(format!("{time}-{another}"));
            }
            made => {
                return made
                    .map(|()| folder.clone())
                    .map_err(|e| Error::output("create", folder, e));
            }
        }
    }
    Err(Error::invalid(
        results.display().to_string(),
        format!("there are already {MOST} results of {time}"),
        "Name a folder with --out",
    ))
}

/// Reads a result: a folder, a `campaign.json`, or a journal (also of a killed run), packed by `xz`
/// or not. The kind of a file is determined by its content, not by its name; `-` is standard input.
///
/// # Errors
/// It cannot be read, is not a result, or has another schema version.
pub fn read(path: &Path) -> Result<Campaign> {
    Stored::open(path)?.campaign()
}

/// The bytes of a result, read once: a pipe cannot be read again.
#[derive(Debug)]
pub struct Stored {
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Stored {
    /// Reads a file, standard input, or the result in a folder: its campaign, or its journal if it
    /// has none.
    ///
    /// # Errors
    /// It cannot be read, or the folder contains no result.
    pub fn open(path: &Path) -> Result<Self> {
        Self::file(file_of(path, [CAMPAIGN, JOURNAL, PACKED])?)
    }

    fn file(file: PathBuf) -> Result<Self> {
        let bytes = input::bytes(&file)?;
        Ok(Self { file, bytes })
    }

    /// The schema version, if the file is a `campaign.json` and not a journal.
    ///
    /// # Errors
    /// It begins like a campaign, but is not one.
    pub fn schema_version(&self) -> Result<Option<u32>> {
        #[derive(serde::Deserialize)]
        struct Versioned {
            schema_version: u32,
        }
        match serde_json::from_slice::<Versioned>(&self.bytes) {
            Ok(found) => Ok(Some(found.schema_version)),
            // It may be incomplete. A file that begins differently is a journal, or something for
            // which a campaign's error would be wrong.
            Err(error) if begins_as_campaign(&self.bytes) => {
                Err(not_a_result(&self.file, &error.to_string()))
            }
            Err(_) => Ok(None),
        }
    }

    /// The campaign, or the one made from the journal.
    ///
    /// # Errors
    /// It is not a result, or has another schema version.
    pub fn campaign(&self) -> Result<Campaign> {
        match self.schema_version()? {
            Some(version) => self.of_version(version),
            None => merge(vec![self.journal()?]),
        }
    }

    /// The journals: this one, or those from which the campaign was made.
    fn journals(&self) -> Result<Vec<Source>> {
        let Some(version) = self.schema_version()? else { return Ok(vec![self.journal()?]) };
        let name = self.file.display();
        let journals = analysis::journal::journals(self.of_version(version)?)
            .map_err(|e| not_a_result(&self.file, &e.to_string()))?;
        let named = |(lines, number)| Source { name: format!("{name}, run {number}"), lines };
        Ok(journals.into_iter().zip(1..).map(named).collect())
    }

    /// Reports "another version" instead of the first field that has changed.
    fn of_version(&self, theirs: u32) -> Result<Campaign> {
        if let Some(why) = unread(theirs) {
            let file = self.file.display().to_string();
            return Err(Error::invalid(file, why, "Use the tracetoll that wrote it"));
        }
        let refused = |e: serde_json::Error| not_a_result(&self.file, &e.to_string());
        let found = if theirs == SCHEMA_VERSION {
            let mut found: Campaign = serde_json::from_slice(&self.bytes).map_err(refused)?;
            let Campaign { design, runs, trials, .. } = &mut found;
            refute_all(design, runs, trials).map(|()| found)
        } else {
            merge::campaign(serde_json::from_slice(&self.bytes).map_err(refused)?)
        };
        found.map_err(|e| not_a_result(&self.file, &e.to_string()))
    }

    fn journal(&self) -> Result<Source> {
        self.begun()?.map_err(|why| {
            let file = self.file.display().to_string();
            Error::invalid(file, why, "Leave it out, or measure again")
        })
    }

    /// A journal, or why it has not even started.
    fn begun(&self) -> Result<std::result::Result<Source, &'static str>> {
        let parsed = analysis::journal::parse_journal(&self.bytes)
            .map_err(|e| not_a_result(&self.file, &e.to_string()))?;
        if parsed.lines.is_empty() {
            return Ok(Err(match parsed.cut {
                true => "the journal's first line is incomplete, as after a kill: it has no trial",
                false => "the journal is empty: its run ended before the first line",
            }));
        }
        let name = self.file.display().to_string();
        if parsed.cut {
            log::warn!(
                "{name}: the last line is incomplete, as after a kill; the lines before it \
                        are used"
            );
        }
        Ok(Ok(Source { name, lines: parsed.lines }))
    }
}

/// Whether it begins with the first field of `campaign.json`.
fn begins_as_campaign(bytes: &[u8]) -> bool {
    let inner = bytes.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inner.is_some_and(|inner| inner.starts_with(b"\"schema_version\""))
}

/// Reads the journals of a result: a file, the one in a folder, those of a campaign's VMs in its
/// folder, or those from which a `campaign.json` was made.
///
/// # Errors
/// One cannot be read, a complete line is not a journal line, or a campaign contradicts itself or
/// has another schema version.
pub fn read_journals(path: &Path) -> Result<Vec<Source>> {
    let guests = path.join(GUESTS);
    if guests.is_dir() && !path.join(JOURNAL).exists() {
        return read_guests(&guests);
    }
    Stored::file(file_of(path, [JOURNAL, CAMPAIGN, PACKED])?)?.journals()
}

/// The journals in the folder of a campaign's VMs.
fn read_guests(guests: &Path) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    for guest in fs::read_dir(guests).map_err(|e| unreadable(guests, e))? {
        files.push(guest.map_err(|e| unreadable(guests, e))?.path().join(RESULTS));
    }
    files.sort();
    journals(files)
}

/// The journals of a campaign in VMs, without those of VMs that ended before their first line was
/// complete.
///
/// # Errors
/// One cannot be read, a complete line is not a journal line, or there is none.
pub fn journals(files: Vec<PathBuf>) -> Result<Vec<Source>> {
    let mut journals = Vec::new();
    // A journal that cannot be looked up is kept, so that reading it reports the error.
    for file in files.into_iter().filter(|file| file.try_exists().unwrap_or(true)) {
        let stored = Stored::file(file)?;
        match stored.begun()? {
            Ok(journal) => journals.push(journal),
            Err(why) => log::warn!("{}: {why}; it is left out", stored.file.display()),
        }
    }
    if journals.is_empty() {
        return Err(Error::invalid(
            "the VMs",
            format!("none has a {RESULTS} with a complete line"),
            "Leave this campaign out, or measure again",
        ));
    }
    Ok(journals)
}

/// The file itself or, for a folder, the first of these files in it.
///
/// # Errors
/// The folder contains none of them, or cannot be searched.
fn file_of(path: &Path, names: [&str; 3]) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    for file in names.map(|name| path.join(name)) {
        if file.try_exists().map_err(|e| unreadable(&file, e))? {
            return Ok(file);
        }
    }
    Err(Error::invalid(
        path.display().to_string(),
        "the folder has no result",
        format!("Name a folder with {CAMPAIGN} or {JOURNAL}, as `tracetoll run --out` makes it"),
    ))
}

fn not_a_result(file: &Path, why: &str) -> Error {
    Error::invalid(
        file.display().to_string(),
        format!("not a result of tracetoll: {why}"),
        "Name a campaign.json or journal.jsonl that tracetoll wrote",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn runs_of_one_second_have_a_folder_each() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results");
        let now = jiff::Zoned::now();
        let made: BTreeSet<_> = std::thread::scope(|threads| {
            let run = || create_new(&results, &now).unwrap();
            let runs: Vec<_> = (0..8).map(|_| threads.spawn(run)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert_eq!(made.len(), 8);
        assert!(made.iter().all(|folder| folder.is_dir()));
    }

    #[test]
    fn a_campaign_of_vms_without_a_journal_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let guests = folder.path().join(GUESTS);
        let told = || read_journals(folder.path()).unwrap_err().to_string();
        let none = "the VMs: none has a results.jsonl with a complete line";
        fs::create_dir(&guests).unwrap();
        assert!(told().starts_with(none), "{}", told());
        // A VM that did not even start, and one that was killed at once.
        fs::create_dir_all(guests.join("1")).unwrap();
        fs::create_dir_all(guests.join("2")).unwrap();
        fs::write(guests.join("2").join(RESULTS), "").unwrap();
        assert!(told().starts_with(none), "{}", told());
        fs::create_dir_all(guests.join("3").join(RESULTS)).unwrap();
        assert!(told().contains("3/results.jsonl: Is a directory"), "{}", told());
    }

    #[test]
    fn a_file_in_the_way_of_results_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results");
        fs::write(&results, "").unwrap();
        let told = create_new(&results, &jiff::Zoned::now()).unwrap_err().to_string();
        assert!(told.contains("name a folder with --out"), "{told}");
    }
}
