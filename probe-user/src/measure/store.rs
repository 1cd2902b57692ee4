//! Result folders: where they are made, and what can be read from them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::journal::{CAMPAIGN, JOURNAL};
use crate::{
    analysis::{
        self,
        merge::{Source, merge},
    },
    error::{Error, Result},
    model::campaign::{Campaign, SCHEMA_VERSION},
};

/// Where `cargo xtask run` has a folder per VM (xtask/src/run/plan.rs), and the journal in each.
const GUESTS: &str = "guests";
const GUEST_JOURNAL: &str = "results.jsonl";

/// Makes the folder for a result: `out`, or `results/` with the time. An existing result is never written over.
///
/// # Errors
/// It cannot be made, cannot be written, or holds a result already.
pub fn create(out: Option<&Path>) -> Result<PathBuf> {
    let folder = match out {
        Some(folder) => folder.to_owned(),
        None => {
            let now = jiff::Zoned::now().strftime("%Y-%m-%dT%H-%M-%S").to_string();
            Path::new("results").join(now)
        }
    };
    let holds =
        |name| folder.join(name).try_exists().map_err(|e| Error::output("look into", &folder, e));
    if holds(JOURNAL)? || holds(CAMPAIGN)? {
        return Err(Error::invalid(
            folder.display().to_string(),
            "the folder holds a result already",
            "Name another folder with --out",
        ));
    }
    fs::create_dir_all(&folder).map_err(|e| Error::output("create", &folder, e))?;
    Ok(folder)
}

/// Reads a result: a folder, a `campaign.json`, or a journal (that of a killed run too).
///
/// # Errors
/// It cannot be read, is no result, or has another schema version.
pub fn read(path: &Path) -> Result<Campaign> {
    let file = file_of(path, [CAMPAIGN, JOURNAL])?;
    if has_extension(&file, "jsonl") {
        return merge(vec![read_journal(&file)?]);
    }
    read_campaign(&file)
}

fn read_campaign(file: &Path) -> Result<Campaign> {
    let text = fs::read(file).map_err(|e| unreadable(file, e))?;
    check_version(file, &text)?;
    let mut campaign: Campaign =
        serde_json::from_slice(&text).map_err(|e| not_a_result(file, &e.to_string()))?;
    analysis::summary::complete(&mut campaign);
    Ok(campaign)
}

/// The schema version of a result, where it says so itself: a `campaign.json`, not a journal.
///
/// # Errors
/// It cannot be read, or is no result.
pub fn schema_version(path: &Path) -> Result<Option<u32>> {
    let file = file_of(path, [CAMPAIGN, JOURNAL])?;
    if has_extension(&file, "jsonl") {
        return Ok(None);
    }
    let text = fs::read(&file).map_err(|e| unreadable(&file, e))?;
    version(&file, &text).map(Some)
}

/// Reads the journals of a result: a file, the one in a folder, those of the VMs of `cargo xtask run` in its folder, or those
/// that a `campaign.json` was made of.
///
/// # Errors
/// One cannot be read, a line that is whole is no journal line, or a campaign contradicts itself or has another schema version.
pub fn read_journals(path: &Path) -> Result<Vec<Source>> {
    let guests = path.join(GUESTS);
    if guests.is_dir() && !path.join(JOURNAL).exists() {
        return read_guests(&guests);
    }
    let file = file_of(path, [JOURNAL, CAMPAIGN])?;
    // A journal may be called anything: `tracetoll run --journal`.
    let is_campaign = |text: Vec<u8>| version(&file, &text).is_ok();
    if !fs::read(&file).is_ok_and(is_campaign) {
        return Ok(vec![read_journal(&file)?]);
    }
    let campaign = read_campaign(&file)?;
    let journals =
        analysis::journal::journals(campaign).map_err(|e| not_a_result(&file, &e.to_string()))?;
    let named =
        |(lines, number)| Source { name: format!("{}, run {number}", file.display()), lines };
    Ok(journals.into_iter().zip(1..).map(named).collect())
}

/// The journals of a campaign in VMs. That of a VM that ended before its first line was whole is left out.
fn read_guests(guests: &Path) -> Result<Vec<Source>> {
    let entries = fs::read_dir(guests).map_err(|e| unreadable(guests, e))?;
    let files = entries.flatten().map(|guest| guest.path().join(GUEST_JOURNAL));
    // One that may not be looked for is not left out, but refused when it is read.
    let mut files: Vec<_> = files.filter(|file| file.try_exists().unwrap_or(true)).collect();
    files.sort();
    let mut journals = Vec::new();
    for file in files {
        match begun(&file)? {
            Ok(journal) => journals.push(journal),
            Err(why) => log::warn!("{}: {why}; it is left out", file.display()),
        }
    }
    Ok(journals)
}

fn read_journal(file: &Path) -> Result<Source> {
    begun(file)?.map_err(|why| {
        Error::invalid(file.display().to_string(), why, "Leave it out, or measure again")
    })
}

/// A journal, or why it has not even begun.
fn begun(file: &Path) -> Result<std::result::Result<Source, &'static str>> {
    let text = fs::read(file).map_err(|e| unreadable(file, e))?;
    let parsed =
        analysis::journal::parse_journal(&text).map_err(|e| not_a_result(file, &e.to_string()))?;
    if parsed.lines.is_empty() {
        return Ok(Err(match parsed.cut {
            true => "the journal's first line is cut, as by a kill: it holds no trial",
            false => "the journal is empty: its run ended before it began",
        }));
    }
    if parsed.cut {
        log::warn!(
            "{}: the last line is cut, as by a kill; the lines before it are used",
            file.display()
        );
    }
    Ok(Ok(Source { name: file.display().to_string(), lines: parsed.lines }))
}

/// The file itself, or of a folder the first of these that it holds.
///
/// # Errors
/// The folder holds none of them, or may not be looked into.
fn file_of(path: &Path, names: [&str; 2]) -> Result<PathBuf> {
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
        "the folder holds no result",
        format!("Name a folder with {CAMPAIGN} or {JOURNAL}, as `tracetoll run --out` makes it"),
    ))
}

fn has_extension(file: &Path, wanted: &str) -> bool {
    file.extension().is_some_and(|extension| extension == wanted)
}

fn version(file: &Path, text: &[u8]) -> Result<u32> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema_version: u32,
    }
    let found: Versioned =
        serde_json::from_slice(text).map_err(|e| not_a_result(file, &e.to_string()))?;
    Ok(found.schema_version)
}

/// Says "another version" instead of naming the first field that has changed.
fn check_version(file: &Path, text: &[u8]) -> Result<()> {
    let (theirs, ours) = (version(file, text)?, SCHEMA_VERSION);
    if theirs == ours {
        return Ok(());
    }
    Err(Error::invalid(
        file.display().to_string(),
        format!("schema version {theirs}; this tracetoll reads version {ours}"),
        "Use the tracetoll that wrote it",
    ))
}

fn unreadable(file: &Path, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "Have its owner let you read it (chmod a+rX), or name another result".into()
        }
        _ => format!(
            "Name a folder with {CAMPAIGN} or {JOURNAL}, or one of these files, as `tracetoll run --out` makes them"
        ),
    };
    Error::file("read", file, error).with_remedy(remedy)
}

fn not_a_result(file: &Path, why: &str) -> Error {
    Error::invalid(
        file.display().to_string(),
        format!("not a result of tracetoll: {why}"),
        "Name a campaign.json or journal.jsonl that tracetoll wrote",
    )
}
