//! Who owns what: every kernel object that a run makes carries the run's own tag, so that the leftovers of a killed
//! run can be told from the objects of a living one and from everybody else's.
//!
//! The tag is the process id. A run holds an exclusive lock on `/run/tracetoll/PID.lock` for as long as it lives;
//! the kernel drops the lock with the process, however that ends. An object whose lock can be taken has no owner.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Folder of the lock files.
const LOCKS: &str = "/run/tracetoll";

/// What the names of all our objects start with, whatever the kind's own rules for names.
pub const PREFIX: &str = "tracetoll";

/// A living run: the right to make kernel objects that carry its tag.
#[derive(Debug)]
pub struct Run {
    pid: u32,
    lock: PathBuf,
    _held: File,
}

impl Run {
    /// Starts the one run of this process.
    ///
    /// # Errors
    /// The lock's folder cannot be made or written (not root), or this process has a run already.
    pub fn start() -> Result<Self> {
        Self::start_in(Path::new(LOCKS))
    }

    fn start_in(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
        let pid = std::process::id();
        let lock = lock_path(folder, pid);
        loop {
            let held = File::create(&lock).map_err(|e| Error::file("create", &lock, e))?;
            match held.try_lock() {
                // A sweep that came between may have taken the file for a dead run's, and its name away.
                Ok(()) if names(&lock, &held) => return Ok(Self { pid, lock, _held: held }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if is_probed(&lock) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Untrue("this process has a run already".into()));
                }
                Err(TryLockError::Error(e)) => return Err(Error::file("lock", &lock, e)),
            }
        }
    }

    /// The tag: the process id.
    pub fn tag(&self) -> u32 {
        self.pid
    }

    /// Name for a tracefs instance or a network namespace: `tracetoll-PID-NAME`.
    pub fn object(&self, name: &str) -> String {
        object_of(self.pid, name)
    }

    /// Name for a group of probe events: `tracetoll_PID`.
    pub fn probe_group(&self) -> String {
        probe_group_of(self.pid)
    }

    /// Name for a network interface, `ttPID-NAME`: 15 characters at most (IFNAMSIZ), so at most 5 for `name`.
    pub fn interface(&self, name: &str) -> String {
        format!("tt{}-{name}", self.pid)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock);
    }
}

/// Name for a tracefs instance of process `pid`, which may be without a run, see [`probe_group_of`].
pub fn object_of(pid: u32, name: &str) -> String {
    format!("{PREFIX}-{pid}-{name}")
}

/// The group of the probe events of process `pid`, which may be without a run: as long as no lock says otherwise, its
/// objects are those of a living one until the process ends.
pub fn probe_group_of(pid: u32) -> String {
    format!("{PREFIX}_{pid}")
}

/// Whether `path` still names the open `file`.
fn names(path: &Path, file: &File) -> bool {
    let inode = |data: &fs::Metadata| (data.dev(), data.ino());
    matches!((fs::metadata(path), file.metadata()), (Ok(a), Ok(b)) if inode(&a) == inode(&b))
}

/// Whether the lock is held only by somebody who asks whether it is held: those take it shared.
fn is_probed(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock_shared().is_ok())
}

fn lock_path(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("{pid}.lock"))
}

/// The tag in the name of a tracefs instance, `tracetoll-PID-NAME`, or of a group of probe events, `tracetoll_PID`.
/// None for any other name.
pub fn tag_of(name: &str) -> Option<u32> {
    let digits = match name.strip_prefix("tracetoll-") {
        Some(rest) => rest.split_once('-').filter(|(_, name)| !name.is_empty())?.0,
        None => name.strip_prefix("tracetoll_")?,
    };
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Whether the run with this tag has ended.
pub fn is_dead(tag: u32) -> bool {
    is_dead_in(Path::new(LOCKS), tag)
}

fn is_dead_in(folder: &Path, tag: u32) -> bool {
    // No lock file: the run ended in order, or /run was emptied under a living one. Only then the pid decides.
    match File::open(lock_path(folder, tag)) {
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(_) => !Path::new(&format!("/proc/{tag}")).exists(),
    }
}

/// Removes the lock files of dead runs; call it after their objects are gone.
pub fn sweep_locks() {
    let Ok(entries) = fs::read_dir(LOCKS) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let tag =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if tag.is_some_and(is_dead) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_only_from_our_own_names() {
        assert_eq!(tag_of("tracetoll-41-function"), Some(41));
        assert_eq!(tag_of("tracetoll_41"), Some(41));
        for other in [
            "tap0",
            "tt2024",
            "tt41-tap0",
            "tracetoll",
            "tracetoll-41",
            "tracetoll-x-1",
            "tracetoll_41_x",
            "tracetoll-041-a",
            "tracetoll_+41",
            "tracetoll-41-",
        ] {
            assert_eq!(tag_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_run_is_alive_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::start_in(folder.path()).unwrap();
        assert!(!is_dead_in(folder.path(), run.tag()));
        assert!(Run::start_in(folder.path()).is_err());
        // The lock file of a killed run stays, unlocked.
        let stale = lock_path(folder.path(), u32::MAX);
        File::create(stale).unwrap();
        assert!(is_dead_in(folder.path(), u32::MAX));
        drop(run);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn interface_names_fit_even_the_largest_pid() {
        // PID_MAX_LIMIT is 2^22.
        assert!(format!("tt{}-{}", 1 << 22, "tap12").len() <= 15);
    }
}
