//! A program's hold on a function.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use aya_obj::generated::bpf_attach_type;

use crate::{
    error::{Error, Result},
    sys::bpf,
};

/// An attached program: it runs for as long as this lives.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
    id: u32,
}

impl Link {
    /// Attaches `program` to the function that it was loaded for; `subject` names it in errors.
    ///
    /// # Errors
    /// The function cannot be patched, or something else holds it.
    pub fn attach(program: BorrowedFd<'_>, at: bpf_attach_type, subject: &str) -> Result<Self> {
        let fd = bpf::create_link(program, at).map_err(|e| refused(subject, e))?;
        let id = bpf::link_id(fd.as_fd())
            .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", subject, e))?;
        Ok(Self { fd, id })
    }

    /// Its id, as in `bpftool link show id`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Detaches the program, and makes sure of it.
    ///
    /// # Errors
    /// The link is still there: another process opened it.
    pub fn detach(self) -> Result<()> {
        let Self { fd, id } = self;
        // close(2) of a tracing link is its only detach, and cannot fail; what can is that it was not the last.
        drop(fd);
        match bpf::link_exists(id) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Error::Untrue(format!(
                "BPF link {id} is still attached after its release: another process holds it"
            ))),
            Err(e) => Err(Error::call("bpf(BPF_LINK_GET_FD_BY_ID)", format!("link {id}"), e)),
        }
    }
}

fn refused(subject: &str, source: io::Error) -> Error {
    // kernel/bpf/trampoline.c: how many programs a function can have, and what else may hold its entry.
    let remedy = match source.raw_os_error() {
        Some(libc::E2BIG) => "The function has as many BPF programs as it can; detach some",
        Some(libc::EBUSY) => {
            "Something else holds the function's entry (a live patch, or a BPF program that \
             replaces it): see `bpftool link`, and enabled_functions in tracefs"
        }
        Some(libc::EINVAL | libc::ENODEV) => {
            "The function's entry cannot be patched: it is not in available_filter_functions in \
             tracefs"
        }
        Some(libc::EPERM) => super::object::RIGHTS,
        _ => return Error::call("bpf(BPF_LINK_CREATE)", subject, source),
    };
    Error::call("bpf(BPF_LINK_CREATE)", subject, source).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::call::Script;
    use std::{fs::File, os::fd::IntoRawFd as _};

    /// Any file does where the kernel is scripted.
    fn file() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_link_that_outlives_its_release_is_an_error() {
        let gone = Script::install([-i64::from(libc::ENOENT)]);
        Link { fd: file(), id: 5 }.detach().unwrap();
        drop(gone);
        // The answer to "open link 5" is a descriptor, so the link is there.
        let held = Script::install([file().into_raw_fd().into()]);
        let error = Link { fd: file(), id: 5 }.detach().unwrap_err();
        drop(held);
        assert!(matches!(error, Error::Untrue(_)), "{error}");
    }

    #[test]
    fn a_refusal_says_what_would_help() {
        let script = Script::install([-i64::from(libc::EBUSY)]);
        let at = bpf_attach_type::BPF_TRACE_FENTRY;
        let error = Link::attach(file().as_fd(), at, "handle_tx").unwrap_err().to_string();
        drop(script);
        assert!(error.starts_with("bpf(BPF_LINK_CREATE) on handle_tx: "), "{error}");
        assert!(error.contains("enabled_functions"), "{error}");
    }
}
