//! Starts another program's process inside an environment prepared for it.
#![expect(unsafe_code, reason = "a closure between fork(2) and execve(2)")]

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command},
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Signal, getpid, getppid, set_parent_process_death_signal},
    thread::{CpuSet, LinkNameSpaceType, move_into_link_name_space, sched_setaffinity},
};

/// The environment of a child; by default that of the thread that starts it.
#[derive(Debug, Default)]
pub struct ChildPlace {
    /// `cgroup.procs` of its cgroup, open for writing.
    pub cgroup: Option<OwnedFd>,
    /// Its network namespace, unless it is ours.
    pub netns: Option<OwnedFd>,
    /// The CPUs that it may use, unless they are those of the thread that starts it.
    pub cpus: Option<CpuSet>,
}

/// Starts `command` in `place`, as the leader of a new process group.
///
/// It is killed when the calling **thread** ends, for whatever reason: call this from a thread that
/// outlives it. (The kernel ties `PR_SET_PDEATHSIG` to the thread.)
///
/// # Errors
/// The program cannot be started, or the kernel does not let it in.
pub fn start(command: Command, place: ChildPlace) -> io::Result<Child> {
    start_with(command, place, Vec::new())
}

/// The same, with descriptors that it inherits under the same numbers.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    mut command: Command,
    place: ChildPlace,
    inherited: Vec<OwnedFd>,
) -> io::Result<Child> {
    let parent = getpid();
    command.process_group(0);
    let enter = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // If the parent died before the line above, no signal would be sent.
        if getppid() != Some(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        if let Some(cgroup) = &place.cgroup {
            // "0" means the process that writes it.
            rustix::io::write(cgroup, b"0")?;
        }
        let netns: Option<BorrowedFd<'_>> = place.netns.as_ref().map(OwnedFd::as_fd);
        if let Some(netns) = netns {
            move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
        }
        if let Some(cpus) = &place.cpus {
            sched_setaffinity(None, cpus)?;
        }
        for fd in &inherited {
            fcntl_setfd(fd, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: between fork and execve, the child of a threaded process may only make
    // async-signal-safe calls. The closure only makes system calls by rustix, which wraps them
    // without locks or allocation, and builds an error from a number; the descriptors and the set
    // are its own, open in the child, or copied to it, by the fork.
    unsafe { command.pre_exec(enter) };
    command.spawn()
}
