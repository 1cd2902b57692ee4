//! Finds the thread of a vhost device's worker.
//!
//! Since Linux 6.4 it is a thread of the process that owns the device (vhost_task). Before, and
//! since 6.17 if the `fork_from_owner_default` parameter is set so, it is a kernel thread. In both
//! cases its name is `vhost-` and the id of the thread that became owner. The workers of that
//! thread's other devices have the same name, so only a thread that did not exist before is the new
//! one.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use probe_core::error::{Error, Result};

use crate::kernel::host;

/// Devices become owned one at a time; otherwise two new workers could not be distinguished.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The hint if /proc does not show the worker.
const SEE_THEM: &str =
    "Run in the initial PID namespace, where kernel threads can be seen (a container: --pid=host)";

/// Runs `set_owner`, which starts one worker, and finds the worker's thread id.
///
/// # Errors
/// An error of `set_owner`. /proc cannot be read, or shows no worker or several: in its own PID
/// namespace a process does not see kernel threads.
pub(super) fn spawned_by(set_owner: impl FnOnce() -> Result<()>) -> Result<u32> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = workers()?;
    set_owner()?;
    let mut new = workers()?;
    new.retain(|tid, _| !before.contains_key(tid));
    only(&new, &format!("vhost-{}", rustix::thread::gettid()))
}

/// The workers of the devices that thread `owner` of process `process` opened, ordered by id.
///
/// # Errors
/// /proc cannot be read; there is none, or it is not visible.
pub(crate) fn of_owner(process: u32, owner: u32) -> Result<Vec<u32>> {
    let mut found = named_vhost(&Path::new("/proc").join(process.to_string()).join("task"))?;
    found.extend(named_vhost(Path::new("/proc"))?);
    let name = format!("vhost-{owner}");
    let tids: Vec<u32> =
        found.into_iter().filter(|(_, own)| *own == name).map(|(tid, _)| tid).collect();
    match tids.is_empty() {
        false => Ok(tids),
        true => Err(Error::unsupported(
            "the vhost worker",
            format!("neither a thread of process {process} nor a kernel thread is called {name}"),
            SEE_THEM,
        )),
    }
}

/// The only worker among `new`; if other processes started some meanwhile, the one called `name`.
fn only(new: &BTreeMap<u32, String>, name: &str) -> Result<u32> {
    let mut named = new.iter().filter(|(_, own)| new.len() == 1 || *own == name);
    let why = match (named.next(), named.next()) {
        (Some((tid, _)), None) => return Ok(*tid),
        (None, _) if new.is_empty() && !host::is_first_pid_namespace() => {
            "it is a kernel thread, and this PID namespace hides kernel threads".into()
        }
        _ => format!("not exactly one of the new threads {new:?} is called {name}"),
    };
    Err(Error::unsupported("the vhost worker", why, SEE_THEM))
}

/// All visible workers, with their names: threads of this process, and kernel threads.
fn workers() -> Result<BTreeMap<u32, String>> {
    let mut workers = named_vhost(Path::new("/proc/self/task"))?;
    workers.extend(named_vhost(Path::new("/proc"))?);
    Ok(workers)
}

fn named_vhost(folder: &Path) -> Result<BTreeMap<u32, String>> {
    let failed = |e: io::Error| Error::file("read", folder, e);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A thread that ended meanwhile is not ours.
        let Ok(name) = fs::read_to_string(entry.path().join("comm")) else { continue };
        if name.starts_with("vhost-") {
            found.insert(tid, name.trim_end().to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(list: &[(u32, &str)]) -> BTreeMap<u32, String> {
        list.iter().map(|&(tid, name)| (tid, name.to_owned())).collect()
    }

    #[test]
    fn a_lone_new_worker_is_ours_whatever_its_name() {
        // In a PID namespace the name has another number than gettid() returns.
        assert_eq!(only(&threads(&[(77, "vhost-4012")]), "vhost-12").unwrap(), 77);
    }

    #[test]
    fn among_several_the_name_decides() {
        let new = threads(&[(77, "vhost-4012"), (78, "vhost-12")]);
        assert_eq!(only(&new, "vhost-12").unwrap(), 78);
        only(&new, "vhost-13").unwrap_err();
        only(&threads(&[]), "vhost-12").unwrap_err();
    }

    #[test]
    fn a_thread_is_found_by_its_name() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let (mut thread, mut tid) = (None, 0);
        let found = spawned_by(|| {
            let worker = std::thread::Builder::new().name("vhost-0".into());
            thread = Some(worker.spawn(move || {
                tell.send(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()).unwrap();
                let _ = ended.recv();
            }));
            // By now it has its name.
            tid = told.recv().unwrap();
            Ok(())
        })
        .unwrap();
        drop(end);
        thread.unwrap().unwrap().join().unwrap();
        assert_eq!(found, tid);
    }
}
