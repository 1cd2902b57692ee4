//! Unnamed network namespaces.
//!
//! Our namespaces are held only by a descriptor, not by a bind mount in `/run/netns`. When the
//! process ends, even by SIGKILL, the kernel removes the namespace with every bridge, veth and TAP
//! in it, so a later run has nothing to find and remove. While it exists, `nsenter
//! --net=/proc/PID/fd/FD` enters it from outside.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic, thread,
};

use probe_core::error::{Error, Result};
use rustix::{
    mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::sys::netns::unshare_network;

/// A network namespace: our own, or another process's.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
}

impl Netns {
    /// Creates a namespace that is empty apart from a loopback interface that is down. Interfaces
    /// in it do not use IPv6 unless configured, so that no neighbour or router solicitation is
    /// among the counted frames.
    ///
    /// # Errors
    /// Not root, or the limit `user.max_net_namespaces` is reached.
    pub fn new() -> Result<Self> {
        on_thread(|| {
            unshare_network()
                .map_err(|e| Error::call("unshare(CLONE_NEWNET)", "this thread", e))?;
            for scope in ["all", "default"] {
                disable_ipv6(scope)?;
            }
            let path = "/proc/thread-self/ns/net";
            let fd = File::open(path).map_err(|e| Error::file("open", path, e))?.into();
            Ok(Self { fd })
        })?
    }

    /// The namespace behind a descriptor.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Whether the two are the same namespace.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub fn is(&self, other: &Self) -> Result<bool> {
        let inode = |netns: &Self| {
            rustix::fs::fstat(&netns.fd)
                .map(|stat| (stat.st_dev, stat.st_ino))
                .map_err(|e| Error::call("fstat", "a network namespace", e.into()))
        };
        Ok(inode(self)? == inode(other)?)
    }

    /// Runs `work` on a separate thread in this namespace.
    ///
    /// Sockets, TAPs and mounts that it creates belong to the namespace permanently, wherever they
    /// are used later.
    ///
    /// # Errors
    /// The thread cannot enter the namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(|| {
            move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|e| Error::call("setns(CLONE_NEWNET)", "our namespace", e.into()))?;
            Ok(work())
        })?
    }

    /// A separate descriptor for the same namespace.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn try_clone(&self) -> Result<OwnedFd> {
        self.fd.try_clone().map_err(|e| Error::call("fcntl(F_DUPFD)", "our namespace", e))
    }

    /// The root of a sysfs with this namespace's `class/net`.
    ///
    /// The mount is attached nowhere (fsmount(2), Linux 5.2): nobody else sees it, and it ends with
    /// the descriptor.
    ///
    /// # Errors
    /// The kernel refuses to mount sysfs.
    pub fn sysfs(&self) -> Result<OwnedFd> {
        // fsopen records the caller's network namespace (sysfs_init_fs_context in
        // fs/sysfs/mount.c).
        self.run(detached_sysfs)?.map_err(|(call, e)| Error::call(call, "sysfs", e.into()))
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn detached_sysfs() -> std::result::Result<OwnedFd, (&'static str, rustix::io::Errno)> {
    let context = mount::fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| ("fsopen", e))?;
    mount::fsconfig_create(context.as_fd()).map_err(|e| ("fsconfig", e))?;
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, safe).map_err(|e| ("fsmount", e))
}

fn disable_ipv6(scope: &str) -> Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6");
    match fs::write(&path, "1") {
        // The kernel has no IPv6.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|e| Error::file("write", path, e)),
    }
}

/// A namespace is a property of a thread, so everything that enters one uses a thread that ends
/// afterwards.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)
            .map_err(|e| Error::call("clone", "a thread", e))?;
        Ok(worker.join().unwrap_or_else(|cause| panic::resume_unwind(cause)))
    })
}
