//! Leaving the network namespace.
#![expect(unsafe_code, reason = "unshare(2), which is unsafe for flags other than this one")]

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread, and no other, into a new, empty network namespace.
///
/// # Errors
/// The errno of unshare(2): `EPERM` without `CAP_SYS_ADMIN`, `ENOSPC` beyond
/// `user.max_net_namespaces`.
pub fn unshare_network() -> io::Result<()> {
    // SAFETY: what makes unshare unsafe is CLONE_FILES: descriptors that one thread opens would be
    // unknown to others. NEWNET leaves the descriptor table shared; it changes only which network
    // the thread's later calls see.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(Into::into)
}
