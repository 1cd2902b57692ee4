//! What killed runs left.

use std::{
    thread,
    time::{Duration, Instant},
};

use probe_core::error::Result;

use crate::kernel::{
    cgroup, folder, owner::Judge, swept::Swept, tag::Tag, tracefs::Tracefs, traces,
};

/// Time that the kernel may take to release what a process held that has just ended.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Removes the objects of owners that are certainly dead, and returns what it removed and what it
/// left.
///
/// Objects in tracefs outlive the process that created them; so do an external program's children
/// and the folder that it writes to. Perf events, BPF programs, links and maps are file
/// descriptors, never pinned; TAPs, bridge and cable are in unnamed network namespaces. All of
/// those end with their process.
///
/// With `old`, what tracetoll 0.1 left is also removed: the user asserts that none of its processes
/// is alive.
pub fn sweep(old: bool) -> Swept {
    pass(&Judge::by_locks(old))
}

/// Removes what one owner left that has just died.
///
/// # Errors
/// An object could not be removed in time.
pub fn sweep_after(dead: Tag) -> Result<Swept> {
    let judge = Judge::of_dead(dead);
    // Stop tracing first; what programs still hold is removed in the passes below.
    let mut first = Swept::default();
    if let Ok(tracefs) = Tracefs::find() {
        traces::sweep(&tracefs, &judge, &mut first);
    }
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let mut swept = pass(&judge).outcome();
        if swept.is_ok() || began.elapsed() > GONE_WITHIN {
            if let Ok(swept) = &mut swept {
                swept.removed.splice(0..0, first.removed);
            }
            return swept;
        }
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(50));
    }
}

fn pass(judge: &Judge) -> Swept {
    let mut swept = Swept::default();
    // Programs first: they may hold objects in tracefs.
    cgroup::sweep(judge, &mut swept);
    folder::sweep(judge, &mut swept);
    // A host without tracefs has nothing of ours in it.
    if let Ok(tracefs) = Tracefs::find() {
        traces::sweep(&tracefs, judge, &mut swept);
    }
    swept
}
