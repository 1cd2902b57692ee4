//! What killed runs left in the kernel.

use std::{fs, os::unix::fs::MetadataExt as _};

use crate::{
    error::{Error, Result},
    kernel::{cgroup, run, tracefs::Tracefs},
};

/// Removes the objects of dead runs and says which.
///
/// What tracefs holds outlives its maker, and so do an external program's children and the folder it writes to. Perf events, BPF programs, links and maps are file descriptors, never
/// pinned; TAPs, bridge and cable live in network namespaces without a name: all of that dies with its process.
///
/// # Errors
/// An object of a dead run could not be removed.
pub fn sweep() -> Result<Vec<String>> {
    // Programs first: they may hold what tracefs is to let go of.
    let mut removed = cgroup::sweep()?;
    removed.extend(folders()?);
    // A host without tracefs has nothing of ours in it.
    if let Ok(tracefs) = Tracefs::find() {
        removed.extend(tracefs.sweep()?);
    }
    run::sweep_locks();
    Ok(removed)
}

/// Removes the folders of dead runs' external programs.
fn folders() -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let temporary = std::env::temp_dir();
    let entries = fs::read_dir(&temporary).map_err(|e| Error::file("read", &temporary, e))?;
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        // Ours alone: anybody may make a folder of that name there.
        let own = entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == 0);
        if own && run::tag_of(&name).is_some_and(run::is_dead) {
            fs::remove_dir_all(&path).map_err(|e| Error::file("remove", &path, e))?;
            removed.push(format!("folder {}", path.display()));
        }
    }
    Ok(removed)
}
