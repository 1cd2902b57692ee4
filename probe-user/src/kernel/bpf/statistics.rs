//! The kernel's run-time statistics of BPF programs, which it keeps for all of them or for none.
//!
//! If they are on, the kernel reads the clock before and after each run (`bpf_prog_run` in
//! include/linux/filter.h, `__bpf_prog_enter_recur` in kernel/bpf/trampoline.c). So the times do
//! not include the path to the program, and each run costs two clock reads that a campaign without
//! statistics does not have.

use std::{
    fs,
    os::fd::{BorrowedFd, OwnedFd},
};

use probe_core::{
    error::{Error, Result},
    model::{observation::ProgramRuns, units::Nanos},
};

use crate::sys::bpf;

/// Keeps statistics on until it is dropped.
#[derive(Debug)]
pub struct Kept {
    _switch: OwnedFd,
}

/// Turns them on.
///
/// # Errors
/// The kernel is older than 5.8, or the user may not.
pub fn keep() -> Result<Kept> {
    let switch = bpf::enable_run_time_stats().map_err(|e| {
        let hint = match e.raw_os_error() {
            Some(libc::EINVAL) => Some("They need Linux 5.8 or newer; leave --bpf-stats out"),
            // capable(CAP_SYS_ADMIN), bpf_enable_stats() in kernel/bpf/syscall.c.
            Some(libc::EPERM) => {
                Some("They need CAP_SYS_ADMIN outside any user namespace; leave --bpf-stats out")
            }
            _ => None,
        };
        let error = Error::call("bpf(BPF_ENABLE_STATS)", "statistics of BPF programs", e);
        match hint {
            Some(text) => error.with_hint(text),
            None => error,
        }
    })?;
    Ok(Kept { _switch: switch })
}

/// Whether the administrator has turned them on permanently. What another process keeps on with
/// [`keep`] is not visible.
pub fn are_on() -> bool {
    fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|text| text.trim() == "1")
}

/// The statistics of `program`, called `name`; `None` if they were off, or it never ran.
pub(super) fn runs(program: BorrowedFd<'_>, name: String) -> Result<Option<ProgramRuns>> {
    let info = bpf::program_info(program)
        .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", &name, e))?;
    let (runs, time) = (info.runs, Nanos(info.run_time_ns));
    Ok((runs > 0).then_some(ProgramRuns { program: name, runs, time }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::call::Script;

    #[test]
    fn an_old_kernel_is_named() {
        let script = Script::install([-i64::from(libc::EINVAL)]);
        let error = keep().unwrap_err().to_string();
        drop(script);
        assert!(
            error.starts_with("bpf(BPF_ENABLE_STATS) on statistics of BPF programs"),
            "{error}"
        );
        assert!(error.contains("Linux 5.8"), "{error}");
    }
}
