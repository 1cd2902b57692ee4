//! One campaign at a time per kernel: methods attach to functions, not to devices, so two campaigns
//! would count each other's calls.
//!
//! The claim is a lock on the file with which owners hold their tags ([`Owner::locked`]), so
//! campaigns in all containers of this kernel see each other's claims. It ends with the process and
//! its guard.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt as _,
};

use probe_core::error::{Error, Result};
use rustix::fs::{major, minor};

use super::owner::Owner;

/// Where the kernel lists locks: `1: FLOCK  ADVISORY  WRITE 1234 00:0c:9 0 EOF` (fs/locks.c,
/// `lock_get_status`). Locks of processes outside this PID namespace are not listed.
const LOCKS: &str = "/proc/locks";

/// The claim, held until it is dropped.
#[derive(Debug)]
pub struct Claim {
    owner: &'static Owner,
}

impl Claim {
    /// Claims the kernel for a campaign of this process; `None` while another process has it.
    ///
    /// # Errors
    /// As [`Owner::own`], or the kernel has no such locks.
    pub fn try_take() -> Result<Option<Self>> {
        let owner = Owner::own()?;
        match owner.locked().try_lock() {
            Ok(()) => Ok(Some(Self { owner })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(Error::call("flock", "README of tracefs", e)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = self.owner.locked().unlock();
    }
}

/// Says that another process has the claim.
pub fn taken() -> String {
    format!("{} is already measuring, or trying methods, on this kernel", holder())
}

/// The process that has the claim, as far as that is known.
pub fn holder() -> String {
    let Ok(owner) = Owner::own() else { return "somebody".into() };
    let listed = fs::read_to_string(LOCKS).unwrap_or_default();
    match holder_of(owner.locked(), &listed) {
        Some(pid) => match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("process {pid} ({})", name.trim()),
            Err(_) => format!("the guard of process {pid}, which has just ended"),
        },
        None => "a process that is not visible from here (in another container)".into(),
    }
}

fn holder_of(file: &File, listed: &str) -> Option<u32> {
    let data = file.metadata().ok()?;
    let place = format!("{:02x}:{:02x}:{}", major(data.dev()), minor(data.dev()), data.ino());
    listed.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid) = (words.next()?, words.nth(2)?);
        (kind == "FLOCK" && words.next() == Some(&place)).then(|| pid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_among_the_kernels_locks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let listed = || fs::read_to_string(LOCKS).unwrap();
        let other = File::open(file.path()).unwrap();
        assert_eq!(holder_of(file.as_file(), &listed()), None);
        other.lock().unwrap();
        assert_eq!(holder_of(file.as_file(), &listed()), Some(std::process::id()));
        let waiting = "1: -> FLOCK  ADVISORY  WRITE 7 00:00:0 0 EOF\nnonsense\n";
        assert_eq!(holder_of(file.as_file(), waiting), None);
    }
}
