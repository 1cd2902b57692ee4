//! What killed runs left.

use std::{
    thread,
    time::{Duration, Instant},
};

use probe_core::error::Result;

use crate::kernel::{cgroup, folder, owner::Judge, swept::Swept, tag::Tag, tracefs::Tracefs};

/// How long the kernel may take to let go of what a process held that has just ended.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Removes the objects of those owners that are dead for sure, and says which it removed and which
/// it left.
///
/// What tracefs holds outlives its maker, and so do an external program's children and the folder
/// it writes to. Perf events, BPF programs, links and maps are file descriptors, never pinned;
/// TAPs, bridge and cable live in network namespaces without a name: all of that dies with its
/// process.
///
/// With `old`, what tracetoll 0.1 left is removed as well: the user says that none of its processes
/// lives.
pub fn sweep(old: bool) -> Swept {
    pass(&Judge::by_locks(old))
}

/// Removes what one owner left that has died at this moment.
///
/// # Errors
/// An object could not be removed in time.
pub fn sweep_after(dead: Tag) -> Result<Swept> {
    let judge = Judge::of_dead(dead);
    // First of all nothing is to be traced any more; what programs still hold goes in the passes
    // below.
    let mut first = Swept::default();
    if let Ok(tracefs) = Tracefs::find() {
        tracefs.sweep(&judge, &mut first);
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
    // Programs first: they may hold what tracefs is to let go of.
    cgroup::sweep(judge, &mut swept);
    folder::sweep(judge, &mut swept);
    // A host without tracefs has nothing of ours in it.
    if let Ok(tracefs) = Tracefs::find() {
        tracefs.sweep(judge, &mut swept);
    }
    swept
}
