//! A control group (cgroup v2) for another program's processes. It holds all of them, whatever they
//! fork, and accounts for their CPU time, including threads and ended processes. It needs no
//! controller.
//!
//! The account of a running task is as old as its last tick or context switch, as everywhere in the
//! scheduler.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};

use super::{
    owner::{Fate, Judge},
    swept::Swept,
    tracefs,
};

/// Kills everything inside at once, since Linux 5.14.
const KILL: &str = "cgroup.kill";

/// Time that the kernel may take to release killed processes.
const KILLED_WITHIN: Duration = Duration::from_secs(30);

/// A cgroup of our own. [`Cgroup::close`] removes it and reports errors; dropping it kills its
/// processes and removes it.
#[derive(Debug)]
pub struct Cgroup {
    /// `None` after it was removed.
    folder: Option<PathBuf>,
}

impl Cgroup {
    /// Creates the cgroup `name`, which comes from [`Run::object`], below the one of this process.
    ///
    /// # Errors
    /// There is no cgroup v2, or we may not create groups in it.
    ///
    /// [`Run::object`]: super::run::Run::object
    pub fn create(name: &str) -> Result<Self> {
        let folder = own()?.join(name);
        fs::create_dir(&folder).map_err(|e| Error::file("create", &folder, e))?;
        let made = Self { folder: Some(folder) };
        for file in ["cpu.stat", KILL] {
            if !made.path(file).exists() {
                return Err(Error::unsupported(
                    "cgroup v2",
                    format!("its groups have no file {file}"),
                    "Use Linux 5.14 or later",
                ));
            }
        }
        Ok(made)
    }

    /// `cgroup.procs`, through which a process enters.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn entrance(&self) -> Result<OwnedFd> {
        let path = self.path("cgroup.procs");
        let file = File::options().write(true).open(&path);
        file.map(Into::into).map_err(|e| Error::file("open", path, e))
    }

    /// CPU time of everything that ever ran inside.
    ///
    /// # Errors
    /// The number cannot be read.
    pub fn cpu(&self) -> Result<Nanos> {
        self.number("cpu.stat", "usage_usec").map(|micros| Nanos(micros.saturating_mul(1000)))
    }

    /// Whether a process inside is alive; one that has ended and was not waited for does not count.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn is_populated(&self) -> Result<bool> {
        self.number("cgroup.events", "populated").map(|populated| populated > 0)
    }

    /// Its name, with which its path in `/proc/PID/cgroup` ends.
    pub fn name(&self) -> &str {
        self.folder.as_deref().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or("")
    }

    /// Kills everything inside, and waits until it is gone.
    ///
    /// # Errors
    /// The kernel refused, or a process does not end.
    pub fn kill(&self) -> Result<()> {
        let path = self.path(KILL);
        fs::write(&path, "1").map_err(|e| Error::file("write", path, e))?;
        let began = Instant::now();
        while self.is_populated()? {
            if began.elapsed() > KILLED_WITHIN {
                let why = format!("killed processes still exist after {KILLED_WITHIN:?}");
                return Err(Error::Inconsistent(format!("cgroup {}: {why}", self.name())));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Removes the group.
    ///
    /// # Errors
    /// The kernel refused: a process is inside (`EBUSY`).
    pub fn close(mut self) -> Result<()> {
        self.remove()
    }

    /// Like [`Cgroup::close`], for owners that cannot give it away.
    ///
    /// # Errors
    /// As there; it is not retried.
    pub fn remove(&mut self) -> Result<()> {
        self.folder.take().map_or(Ok(()), |folder| remove(&folder))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.as_deref().unwrap_or(Path::new("")).join(file)
    }

    /// The number after `key` in a flat keyed file.
    fn number(&self, file: &str, key: &str) -> Result<u64> {
        let path = self.path(file);
        let text = fs::read_to_string(&path).map_err(|e| Error::file("read", &path, e))?;
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
        found.ok_or_else(|| Error::malformed(path.display().to_string(), format!("no {key}")))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.folder.is_none() {
            return;
        }
        let gone = self.is_populated().and_then(|alive| if alive { self.kill() } else { Ok(()) });
        if let Err(error) = gone.and_then(|()| self.remove()) {
            log::warn!("{error}");
        }
    }
}

/// Removes the groups of dead owners, and kills the processes in them.
pub fn sweep(judge: &Judge, swept: &mut Swept) {
    // Without cgroup v2 there is nothing of ours. The dead owners may have been in another group
    // than this process.
    let found = match tracefs::mounted("cgroup2") {
        Ok(None) => return,
        Ok(Some(root)) => tagged(&root, judge),
        Err(error) => Err(error),
    };
    match found {
        Err(error) => swept.failed(error),
        Ok(found) => {
            for (folder, fate) in found {
                swept.settle(described(&folder), fate, || kill_and_remove(&folder));
            }
        }
    }
}

/// Its name, with the processes inside: they are killed with it.
fn described(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let process = |pid: &str| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{pid} ({})", comm.trim_end())
    };
    let inside: Vec<_> = pids.lines().map(process).collect();
    match inside.is_empty() {
        true => format!("cgroup {name}"),
        false => format!("cgroup {name} with processes {}", inside.join(", ")),
    }
}

fn kill_and_remove(folder: &Path) -> Result<()> {
    let left = Cgroup { folder: Some(folder.to_owned()) };
    if left.is_populated()? {
        left.kill()?;
    }
    left.close()
}

/// The groups below `folder` that are ours, with what to do with them and everything inside; inner
/// groups come first.
fn tagged(folder: &Path, judge: &Judge) -> Result<Vec<(PathBuf, Fate)>> {
    let mut found = Vec::new();
    for inner in groups_in(folder)? {
        match judge.fate(&inner.file_name().unwrap_or_default().to_string_lossy()) {
            Some(Fate::Dead) => {
                found.extend(with_inner(inner)?.into_iter().map(|group| (group, Fate::Dead)));
            }
            Some(left) => found.push((inner, left)),
            None => found.extend(tagged(&inner, judge)?),
        }
    }
    Ok(found)
}

/// `folder` and every group inside.
fn with_inner(folder: PathBuf) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for inner in groups_in(&folder)? {
        found.extend(with_inner(inner)?);
    }
    found.push(folder);
    Ok(found)
}

/// The groups directly below; empty if it has been removed meanwhile.
fn groups_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|e| Error::file("read", folder, e))?,
    };
    let folders = entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(folders.map(|entry| entry.path()).collect())
}

/// A process that has just ended may hold its group for a moment longer.
fn remove(folder: &Path) -> Result<()> {
    let began = Instant::now();
    loop {
        match fs::remove_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && began.elapsed().as_secs() < 5 => {
                thread::sleep(Duration::from_millis(5));
            }
            other => return other.map_err(|e| Error::file("remove", folder, e)),
        }
    }
}

/// The folder of the cgroup that we are in.
fn own() -> Result<PathBuf> {
    const MEMBERSHIP: &str = "/proc/self/cgroup";
    let unsupported = |why: &str| {
        Error::unsupported(
            "cgroup v2",
            why,
            "Mount it: `mount -t cgroup2 none /sys/fs/cgroup` (CONFIG_CGROUPS)",
        )
    };
    let root = tracefs::mounted("cgroup2")?.ok_or_else(|| unsupported("it is not mounted"))?;
    let text = fs::read_to_string(MEMBERSHIP).map_err(|e| Error::file("read", MEMBERSHIP, e))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"));
    path.map(|path| root.join(path)).ok_or_else(|| unsupported("this process is in none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::tag::Tag;

    #[test]
    fn groups_of_the_dead_are_found_wherever_they_are() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let dead = ["a/b/tracetoll-k3f9x2b-external", "tracetoll-k3f9x2b-report"];
        for path in dead.iter().chain(&["tracetoll-a0a0a0a-external/x", "c", "tracetoll-x"]) {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::create_dir_all(at("tracetoll-k3f9x2b-report/x/y")).unwrap();
        fs::write(at("c/tracetoll-k3f9x2b-file"), "").unwrap();
        let judge = Judge::of_dead(Tag::parse("k3f9x2b").unwrap());
        let found = tagged(root.path(), &judge).unwrap();
        assert!(found.iter().all(|(_, fate)| *fate == Fate::Dead));
        let mut found: Vec<_> = found.into_iter().map(|(folder, _)| folder).collect();
        // Folders come in any order, but inner groups come first.
        for folder in &found {
            assert!(fs::remove_dir(folder).is_ok(), "{found:?}");
        }
        found.sort();
        let inner = ["tracetoll-k3f9x2b-report/x", "tracetoll-k3f9x2b-report/x/y"];
        assert_eq!(found, [dead[0], dead[1], inner[0], inner[1]].map(at));
        assert!(tagged(&at("gone"), &judge).unwrap().is_empty());
    }
}
