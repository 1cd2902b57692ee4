//! The journal: one JSON line per thing that is known for good, written when it becomes known.
//!
//! A killed or failed campaign loses at most the trial that was running. `campaign.json` is made from it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::{
    error::{Error, Result},
    model::campaign::{Campaign, JournalLine},
};

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
    /// Opens `path` for appending: a file, or a device that takes bytes in order, such as a virtio port.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| Error::file("open", path, e))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes one line. A line that does not fit (a full disk) is taken back, so that those before it stay readable.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write(&mut self, line: &JournalLine) -> Result<()> {
        let mut text = serde_json::to_string(line)
            .map_err(|e| Error::malformed("journal line", e.to_string()))?;
        text.push('\n');
        let before = self.file.metadata().map(|data| data.len());
        self.file.write_all(text.as_bytes()).map_err(|error| {
            if let Ok(length) = before {
                // Fails on a device, which has no length to go back to; the reader drops a cut line.
                let _ = self.file.set_len(length);
            }
            unwritten(&self.path, error)
        })?;
        // A device refuses to sync, and needs none.
        let _ = self.file.sync_data();
        Ok(())
    }
}

/// What it means that a line could not be written.
fn unwritten(path: &Path, error: io::Error) -> Error {
    let full = error.kind() == io::ErrorKind::StorageFull;
    let error = Error::file("write", path, error);
    if full { error.with_remedy("Free some space; the trials before are kept") } else { error }
}

/// Writes `campaign.json` into `folder`, whole or not at all.
///
/// # Errors
/// What the system refused.
pub fn write_campaign(folder: &Path, campaign: &Campaign) -> Result<PathBuf> {
    let path = folder.join(CAMPAIGN);
    let text =
        serde_json::to_string(campaign).map_err(|e| Error::malformed("campaign", e.to_string()))?;
    write_whole(&path, text)?;
    Ok(path)
}

/// Writes a file, whole or not at all: until it is whole, what was there before stays. Devices and pipes are written to.
///
/// # Errors
/// What the system refused.
pub fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let refused = |error| Error::output("write", path, error);
    match fs::metadata(path) {
        // Before anything is written beside it: what stands beside `.` is nobody's business.
        Ok(there) if there.is_dir() => return Err(refused(Errno::ISDIR.into())),
        Ok(there) if !there.is_file() => return fs::write(path, content).map_err(refused),
        _ => {}
    }
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(".unfinished");
    let written = fs::write(&unfinished, content).and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        refused(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_until_the_new_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        fs::write(&path, "old").unwrap();
        // No space for the new: its place is taken.
        fs::create_dir(folder.path().join("report.html.unfinished")).unwrap();
        assert!(write_whole(&path, "new").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        fs::remove_dir(folder.path().join("report.html.unfinished")).unwrap();
        write_whole(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_folder_is_no_file_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for path in [inner.clone(), inner.join(".")] {
            let error = write_whole(&path, "text").unwrap_err().to_string();
            assert!(error.contains("A folder stands there"), "{error}");
        }
        let count = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!((count(folder.path()), count(&inner)), (1, 0));
    }

    #[test]
    fn a_full_disk_keeps_a_journal_and_nothing_else() {
        let full = || io::Error::from_raw_os_error(libc::ENOSPC);
        let told = unwritten(Path::new(JOURNAL), full()).to_string();
        assert!(told.ends_with("Free some space; the trials before are kept"), "{told}");
        let told = Error::file("write", "standard output", full()).to_string();
        assert!(told.ends_with(". Free some space"), "{told}");
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        write_whole(&path, "text").unwrap();
        assert!(!fs::metadata(&path).unwrap().is_file());
    }
}
