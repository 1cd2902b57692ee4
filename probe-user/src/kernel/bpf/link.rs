//! A program's attachment to a place in the kernel.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use aya_obj::generated::bpf_attach_type;
use probe_core::error::{Error, Result};
use rustix::thread::MembarrierCommand;

use crate::{
    kernel::bpf::refusal::RIGHTS,
    sys::bpf::{self, LinkInfo},
};

/// An attached program: it runs for as long as this lives.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
    id: u32,
}

impl Link {
    /// Attaches a tracing program to the function for which it was loaded; `subject` names it in
    /// errors.
    ///
    /// # Errors
    /// The function cannot be patched, or something else holds it.
    pub fn function(program: BorrowedFd<'_>, at: bpf_attach_type, subject: &str) -> Result<Self> {
        Self::made(CREATE, bpf::link_function(program, at), subject, function_hint)
    }

    /// Attaches a program to a perf event, which the link then keeps open.
    ///
    /// # Errors
    /// The kernel has no links to perf events, or rejects the pair.
    pub fn event(program: BorrowedFd<'_>, event: BorrowedFd<'_>, subject: &str) -> Result<Self> {
        Self::made(CREATE, bpf::link_event(program, event), subject, |errno| match errno {
            libc::EINVAL => Some("Links of BPF programs to perf events need Linux 5.15 or newer"),
            // kernel/trace/bpf_trace.c, BPF_TRACE_MAX_PROGS.
            libc::E2BIG => Some("The event has the maximum number of BPF programs; detach some"),
            _ => None,
        })
    }

    /// Attaches a program to the entries of many functions at once: each by its address, with the
    /// cookie that the program reads there.
    ///
    /// # Errors
    /// The kernel has no fprobes, or one of the addresses is not that of a traceable function.
    pub fn functions(
        program: BorrowedFd<'_>,
        addresses: &[u64],
        cookies: &[u64],
        subject: &str,
    ) -> Result<Self> {
        match bpf::link_functions(program, addresses, cookies) {
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => Err(Error::unsupported(
                "kprobe_multi",
                "this kernel has no fprobes",
                "Use a kernel built with CONFIG_FPROBE=y, 5.18 or newer",
            )),
            link => Self::made(CREATE, link, subject, function_hint),
        }
    }

    /// Attaches a program to the tracepoint `name`.
    ///
    /// # Errors
    /// There is no tracepoint of this name.
    pub fn raw_tracepoint(program: BorrowedFd<'_>, name: &str) -> Result<Self> {
        let text = CString::new(name).map_err(|e| Error::malformed(name, e.to_string()))?;
        let call = "bpf(BPF_RAW_TRACEPOINT_OPEN)";
        Self::made(call, bpf::link_raw_tracepoint(program, &text), name, |errno| {
            (errno == libc::ENOENT).then_some(
                "It must be a tracepoint's own name, as in available_events in tracefs; events \
                 made of another tracepoint (syscalls, probes) have none",
            )
        })
    }

    fn made(
        call: &'static str,
        link: io::Result<OwnedFd>,
        subject: &str,
        hint: impl Fn(i32) -> Option<&'static str>,
    ) -> Result<Self> {
        let fd = link.map_err(|e| refused(call, subject, e, hint))?;
        let info = bpf::link_info(fd.as_fd())
            .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", subject, e))?;
        Ok(Self { fd, id: info.id })
    }

    /// The kernel's information about the link.
    ///
    /// # Errors
    /// The kernel gives no information about its own link.
    pub fn info(&self) -> Result<LinkInfo> {
        bpf::link_info(self.fd.as_fd())
            .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", format!("link {}", self.id), e))
    }

    /// Its id, as in `bpftool link show id`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Detaches the program and checks that it is detached.
    ///
    /// # Errors
    /// The link still exists: another process opened it.
    pub fn detach(self) -> Result<()> {
        let Self { fd, id } = self;
        // close(2) detaches a link and cannot fail; but it may not have been the last descriptor.
        drop(fd);
        match bpf::link_exists(id) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Error::Inconsistent(format!(
                "BPF link {id} is still attached after it was released: another process holds it"
            ))),
            Err(e) => Err(Error::call("bpf(BPF_LINK_GET_FD_BY_ID)", format!("link {id}"), e)),
        }
    }
}

/// Waits until the programs that were running when their links were closed have ended, by waiting
/// for a grace period of RCU, in whose readers the kernel runs them. Closing a link does not wait.
///
/// Not covered, on a preemptible kernel: a task that was preempted in a trampoline before its
/// program started. Readers of what programs wrote check that it is complete.
///
/// # Errors
/// The kernel refuses: it was built without membarrier(2), or runs with `nohz_full`.
pub fn await_programs() -> Result<()> {
    // kernel/sched/membarrier.c: `synchronize_rcu`.
    rustix::thread::membarrier(MembarrierCommand::Global)
        .map_err(|e| Error::call("membarrier(MEMBARRIER_CMD_GLOBAL)", "running programs", e.into()))
}

const CREATE: &str = "bpf(BPF_LINK_CREATE)";

fn refused(
    call: &'static str,
    subject: &str,
    source: io::Error,
    hint: impl Fn(i32) -> Option<&'static str>,
) -> Error {
    let found = match source.raw_os_error() {
        Some(libc::EPERM) => Some(RIGHTS),
        Some(errno) => hint(errno),
        None => None,
    };
    let error = Error::call(call, subject, source);
    match found {
        Some(text) => error.with_hint(text),
        None => error,
    }
}

/// kernel/bpf/trampoline.c: how many programs a function can have, and what else may hold its
/// entry.
fn function_hint(errno: i32) -> Option<&'static str> {
    match errno {
        libc::E2BIG => Some("The function has the maximum number of BPF programs; detach some"),
        libc::EBUSY => Some(
            "Something else holds the function's entry (a live patch, or a BPF program that \
             replaces it): see `bpftool link`, and enabled_functions in tracefs",
        ),
        // ENOENT: kernel/trace/fprobe.c, for an address that ftrace does not know.
        libc::EINVAL | libc::ENODEV | libc::ENOENT => Some(
            "The function's entry cannot be patched: it is not in available_filter_functions in \
             tracefs",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::call::Script;
    use std::{fs::File, os::fd::IntoRawFd as _};

    /// Any file works if the kernel is scripted.
    fn file() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_link_that_outlives_its_release_is_an_error() {
        let gone = Script::install([-i64::from(libc::ENOENT)]);
        Link { fd: file(), id: 5 }.detach().unwrap();
        drop(gone);
        // The answer to "open link 5" is a descriptor, so the link exists.
        let held = Script::install([file().into_raw_fd().into()]);
        let error = Link { fd: file(), id: 5 }.detach().unwrap_err();
        drop(held);
        assert!(matches!(error, Error::Inconsistent(_)), "{error}");
    }

    #[test]
    fn a_refusal_says_what_would_help() {
        let script = Script::install([-i64::from(libc::EBUSY)]);
        let at = bpf_attach_type::BPF_TRACE_FENTRY;
        let error = Link::function(file().as_fd(), at, "handle_tx").unwrap_err().to_string();
        drop(script);
        assert!(error.starts_with("bpf(BPF_LINK_CREATE) on handle_tx: "), "{error}");
        assert!(error.contains("enabled_functions"), "{error}");
    }
}
