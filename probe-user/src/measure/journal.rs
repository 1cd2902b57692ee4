//! The journal: one JSON line per fact that is final, written as soon as it is known.
//!
//! A killed or failed campaign loses at most the trial that was running. `campaign.json` is made
//! from it.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use probe_core::{
    error::{self, Error, Result},
    model::campaign::{Campaign, JournalLine},
};

use super::output;

/// Name of the journal in a result folder.
pub const JOURNAL: &str = "journal.jsonl";

/// Name of the result in a result folder.
pub const CAMPAIGN: &str = "campaign.json";

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens `path` for appending: a file, or a device that takes bytes in order, such as a virtio
    /// port. A file is locked until this is dropped, so that no other run writes between its lines.
    ///
    /// # Errors
    /// It cannot be opened for writing, is not empty, or another run writes to it.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| Error::file("open", path, e).or_hint(ELSEWHERE))?;
        let there = file.metadata().map_err(|e| Error::file("read", path, e))?;
        if there.is_file() {
            if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
                return Err(taken(path, "another run writes its journal there"));
            }
            if there.len() > 0 {
                return Err(taken(path, "the file is not empty"));
            }
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Checks, before anything is started, that [`Journal::open`] would not refuse `path` because
    /// of its content.
    ///
    /// # Errors
    /// It is not empty.
    pub fn check(path: &Path) -> Result<()> {
        match fs::metadata(path) {
            Ok(there) if there.is_file() && there.len() > 0 => {
                Err(taken(path, "the file is not empty"))
            }
            _ => Ok(()),
        }
    }

    /// Writes one line. A line that does not fit (a full disk) is removed again, so that those
    /// before it remain readable.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write(&mut self, line: &JournalLine) -> Result<()> {
        let mut text = serde_json::to_string(line)
            .map_err(|e| Error::malformed("journal line", e.to_string()))?;
        text.push('\n');
        let before = self.file.metadata().map(|data| data.len());
        let written = self.file.write_all(text.as_bytes()).and_then(|()| settled(&self.file));
        written.map_err(|error| {
            if let Ok(length) = before {
                // Fails on a device, which has no length to go back to; the reader ignores an
                // incomplete line.
                let _ = self.file.set_len(length);
            }
            unwritten(&self.path, error)
        })
    }
}

const ELSEWHERE: &str = "Name another file with --journal";

fn taken(path: &Path, why: &str) -> Error {
    Error::invalid(format!("journal {}", path.display()), why, ELSEWHERE)
}

/// Some file systems report only now that there is no room. A device cannot sync, and need not.
fn settled(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if error::room(&error).is_some() => Err(error),
        _ => Ok(()),
    }
}

/// The error for a line that could not be written.
fn unwritten(path: &Path, error: io::Error) -> Error {
    let room = error::room(&error);
    let error = Error::file("write", path, error);
    match room {
        Some(room) => {
            let path = path.display();
            error.with_hint(format!(
                "{room}. The earlier trials are kept: `tracetoll merge --out DIR {path}` makes \
                 their result elsewhere"
            ))
        }
        None => error,
    }
}

/// Writes `campaign.json` into `folder`, completely or not at all.
///
/// # Errors
/// What the system refused.
pub fn write_campaign(folder: &Path, campaign: &Campaign) -> Result<PathBuf> {
    let path = folder.join(CAMPAIGN);
    let text =
        serde_json::to_string(campaign).map_err(|e| Error::malformed("campaign", e.to_string()))?;
    output::write_whole(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use probe_core::{analysis::fixture::Lab, model::figure::Platform};

    use super::*;

    #[test]
    fn a_full_disk_keeps_a_journal_and_nothing_else() {
        let full = || io::Error::from_raw_os_error(libc::ENOSPC);
        let told = unwritten(Path::new(JOURNAL), full()).to_string();
        let kept = ". Free some space. The earlier trials are kept: `tracetoll merge --out DIR \
                    journal.jsonl` makes their result elsewhere";
        assert!(told.ends_with(kept), "{told}");
        let told = Error::file("write", "standard output", full()).to_string();
        assert!(told.ends_with(". Free some space"), "{told}");
    }

    #[test]
    fn a_journal_is_one_runs_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(JOURNAL);
        let first = Journal::open(&path).unwrap();
        let told = || Journal::open(&path).unwrap_err().to_string();
        assert!(told().contains("another run writes"), "{}", told());
        drop(first);
        Journal::check(&path).unwrap();
        drop(Journal::open(&path).unwrap());
        fs::write(&path, "a line\n").unwrap();
        assert!(told().contains("is not empty. Name another file"), "{}", told());
        Journal::check(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a line\n");
        for device in ["/dev/null", "/dev/full"] {
            Journal::check(Path::new(device)).unwrap();
            Journal::open(Path::new(device)).unwrap();
        }
    }

    #[test]
    fn a_line_that_does_not_fit_on_a_device_is_told() {
        let mut full = Journal::open(Path::new("/dev/full")).unwrap();
        let line = Lab::new().run(Platform::Counted).journal().remove(0);
        let told = full.write(&line).unwrap_err().to_string();
        assert!(told.contains("The earlier trials are kept"), "{told}");
    }
}
