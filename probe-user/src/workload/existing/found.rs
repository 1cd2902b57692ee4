//! Finds the virtual machines that already run here, from /proc. Everything of theirs is opened
//! only for reading.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use probe_core::error::{Error, Result};
use serde::Serialize;

use super::process;
use crate::kernel::tag;

/// A process with vhost-net devices, which is usually a virtual machine.
///
/// If a process has several devices, it is not visible from outside which worker serves which TAP:
/// neither worker nor descriptor refers to the other. So a guest is the process, with all its
/// workers and TAPs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// QEMU's `-name`, otherwise the process's name with its id.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// The process's name (`comm`).
    pub command: String,
    /// Number of open descriptors of /dev/vhost-net: one for each pair of queues.
    pub devices: usize,
    /// Thread ids of its vhost workers. A worker of another kind of vhost device (vsock, scsi) has
    /// the same name and is included; it never calls vhost-net.
    pub workers: Vec<u32>,
    /// Its TAPs.
    pub taps: Vec<FoundTap>,
}

/// A TAP that a process holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundTap {
    /// The interface's name, in its own network namespace.
    pub name: String,
    /// The process's descriptor of it.
    pub descriptor: i32,
}

/// The guests of this host, by process id, without our own.
///
/// # Errors
/// /proc cannot be read. A process that ends meanwhile is left out.
pub fn guests() -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (pid, workers) in owners(Path::new("/proc"))? {
        if pid != std::process::id() {
            found.extend(guest(pid, workers));
        }
    }
    Ok(found)
}

/// `None` if the process has no vhost-net device in use, or has ended.
fn guest(pid: u32, workers: BTreeSet<u32>) -> Option<Found> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let held = process::descriptors(&folder).ok()?;
    if held.devices == 0 {
        return None;
    }
    let command = process::command(&folder)?;
    // Not a `tracetoll doctor` that checks whether a device can be opened.
    if held.taps.is_empty() && command == tag::PREFIX {
        return None;
    }
    let tap = |(name, descriptor)| FoundTap { name, descriptor };
    let given = fs::read(folder.join("cmdline")).ok().and_then(|line| process::given_name(&line));
    Some(Found {
        name: format!("{} (pid {pid})", given.as_deref().unwrap_or(&command)),
        pid,
        command,
        devices: held.devices,
        workers: workers.into_iter().collect(),
        taps: held.taps.into_iter().map(tap).collect(),
    })
}

/// The workers, by the process that owns their devices.
///
/// Since Linux 6.4 a worker is a thread of the owner. Before, and since 6.17 if the module's
/// parameter `fork_from_owner_default` is set so, it is a kernel thread. In both cases its name is
/// `vhost-` and the id of the thread that became the owner (`vhost_worker_create` in
/// drivers/vhost/vhost.c).
fn owners(proc: &Path) -> Result<BTreeMap<u32, BTreeSet<u32>>> {
    let mut owners: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for pid in numbers(proc).map_err(|e| Error::file("read", proc, e))? {
        let folder = proc.join(pid.to_string());
        // A process that ended meanwhile has no threads.
        for tid in numbers(&folder.join("task")).unwrap_or_default() {
            let name = process::command(&folder.join(format!("task/{tid}")));
            let Some(parent) = name.as_deref().and_then(owner_in_name) else { continue };
            let owner = match process::is_of_kernel(&folder) {
                Some(false) => Some(pid),
                Some(true) => process::group_of(&proc.join(parent.to_string())),
                None => None,
            };
            if let Some(owner) = owner {
                owners.entry(owner).or_default().insert(tid);
            }
        }
    }
    Ok(owners)
}

fn owner_in_name(name: &str) -> Option<u32> {
    name.strip_prefix("vhost-")?.parse().ok()
}

fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread of /proc: process, thread, name, flags of the process.
    fn thread(proc: &Path, pid: u32, tid: u32, name: &str, flags: u32) {
        let folder = proc.join(pid.to_string());
        let task = folder.join(format!("task/{tid}"));
        fs::create_dir_all(&task).unwrap();
        fs::write(task.join("comm"), format!("{name}\n")).unwrap();
        fs::write(folder.join("stat"), format!("{pid} (a b) c) S 2 0 0 0 -1 {flags} 0 0\n"))
            .unwrap();
        fs::write(folder.join("status"), format!("Name:\tx\nTgid:\t{pid}\n")).unwrap();
    }

    #[test]
    fn workers_go_to_the_owner_on_old_and_new_kernels() {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path();
        // Since 6.4: a thread of the owner, started by one of its other threads.
        thread(proc, 100, 100, "qemu-system-x86", 0x40_0000);
        thread(proc, 100, 107, "vhost-103", 0x40_0000);
        // Before: a thread of the kernel, named after a thread of process 200.
        thread(proc, 200, 200, "qemu-system-x86", 0x40_0000);
        thread(proc, 203, 203, "CPU 0/KVM", 0x40_0000);
        fs::write(proc.join("203/status"), "Name:\tx\nTgid:\t200\n").unwrap();
        thread(proc, 210, 210, "vhost-203", 0x20_8040);
        // Its owner has ended.
        thread(proc, 211, 211, "vhost-999", 0x20_8040);
        thread(proc, 300, 300, "vhost-user", 0x40_0000);
        let owners = owners(proc).unwrap();
        let expected = [(100, BTreeSet::from([107])), (200, BTreeSet::from([210]))];
        assert_eq!(owners, BTreeMap::from(expected));
    }
}
