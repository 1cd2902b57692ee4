//! Why the kernel does not make a map, and what helps.

use std::io;

use aya::maps::MapError;
use probe_core::error::Error;

/// The privileges that an `EPERM` from bpf(2) calls for.
pub(super) const RIGHTS: &str =
    "Run as root (CAP_BPF and CAP_PERFMON), on a kernel that is not locked down";

pub(super) fn not_made(subject: String, error: MapError) -> Error {
    let source = match error {
        MapError::CreateError { io_error, .. } => io_error,
        other => io::Error::other(other),
    };
    let denied = source.raw_os_error() == Some(libc::EPERM);
    let error = Error::call("bpf(BPF_MAP_CREATE)", subject, source);
    if denied { error.with_hint(RIGHTS) } else { error }
}
