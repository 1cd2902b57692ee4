//! What killed runs left in the kernel.

use crate::{
    error::Result,
    kernel::{run, tracefs::Tracefs},
};

/// Removes the objects of dead runs and says which.
///
/// Only what tracefs holds outlives its maker. Perf events, BPF programs, links and maps are file descriptors, never
/// pinned; TAPs, bridge and cable live in network namespaces without a name: all of that dies with its process.
///
/// # Errors
/// An object of a dead run could not be removed.
pub fn sweep() -> Result<Vec<String>> {
    // A host without tracefs has nothing of ours in it.
    let removed = match Tracefs::find() {
        Ok(tracefs) => tracefs.sweep()?,
        Err(_) => Vec::new(),
    };
    run::sweep_locks();
    Ok(removed)
}
