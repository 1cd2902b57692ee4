//! The only place that makes raw system calls; a script can replace them in tests of error paths.
//!
//! Only calls that set up tracing use this (`bpf`, `perf_event_open`, `ioctl`, socket options), not
//! the hot paths of the load. The script is part of every build and thread-local: nothing is
//! compiled differently for tests.
#![expect(
    unsafe_code,
    reason = "syscall(2) and ioctl(2) with the arguments that each variant states"
)]

use std::{
    cell::RefCell,
    collections::VecDeque,
    ffi::c_void,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// A system call, ready to be made.
#[derive(Debug)]
pub enum Call<'a> {
    /// `bpf(command, attr, sizeof attr)`: `attr` is the command's `union bpf_attr`, zero after its
    /// last field.
    Bpf {
        /// `BPF_PROG_LOAD`, …
        command: u32,
        /// The union's bytes, in and out.
        attr: &'a mut [u8],
    },
    /// `perf_event_open(attr, pid, cpu, group_fd, flags)`: `attr` starts with a filled-in `size`
    /// field.
    PerfEventOpen {
        /// `struct perf_event_attr`, `attr.size` bytes.
        attr: &'a [u8],
        /// Process, or -1 for all.
        pid: i32,
        /// CPU, or -1 for all.
        cpu: i32,
        /// The event that leads the group it joins.
        group: Option<BorrowedFd<'a>>,
        /// `PERF_FLAG_*`.
        flags: u64,
    },
    /// `ioctl(fd, request, value)` for requests whose argument is a plain number.
    IoctlValue {
        /// The file.
        fd: BorrowedFd<'a>,
        /// The request.
        request: u32,
        /// The argument.
        value: u64,
    },
    /// `ioctl(fd, request, pointer)` for requests that read or write a structure of
    /// `argument.len()` bytes.
    IoctlBytes {
        /// The file.
        fd: BorrowedFd<'a>,
        /// The request; the size in its bits 16 to 29 must be `argument.len()`, or the request is a
        /// legacy one.
        request: u32,
        /// The structure, in and out.
        argument: &'a mut [u8],
    },
    /// `setsockopt(fd, level, option, value, sizeof value)`.
    SetSockOpt {
        /// The socket.
        fd: BorrowedFd<'a>,
        /// `SOL_*`.
        level: i32,
        /// The option.
        option: i32,
        /// Its value.
        value: &'a [u8],
    },
    /// `getsockopt(fd, level, option, value, &sizeof value)`.
    GetSockOpt {
        /// The socket.
        fd: BorrowedFd<'a>,
        /// `SOL_*`.
        level: i32,
        /// The option.
        option: i32,
        /// Its value, out.
        value: &'a mut [u8],
    },
    /// `bind(fd, address, sizeof address)`.
    Bind {
        /// The socket.
        fd: BorrowedFd<'a>,
        /// `struct sockaddr_*`, whole.
        address: &'a [u8],
    },
}

thread_local! {
    static SCRIPT: RefCell<Option<VecDeque<i64>>> = const { RefCell::new(None) };
}

/// Until it is dropped, calls on this thread return these values in turn (a negative one is
/// `-errno`) and never reach the kernel. A call beyond the script's end fails with `ENOSYS`.
#[derive(Debug)]
pub struct Script(());

impl Script {
    /// Installs `answers`.
    #[must_use]
    pub fn install(answers: impl IntoIterator<Item = i64>) -> Self {
        SCRIPT.set(Some(answers.into_iter().collect()));
        Self(())
    }

    /// Number of answers not yet used.
    pub fn remaining(&self) -> usize {
        SCRIPT.with_borrow(|script| script.as_ref().map_or(0, VecDeque::len))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        SCRIPT.set(None);
    }
}

/// Makes `call`.
///
/// # Errors
/// The errno.
pub fn make(call: Call<'_>) -> io::Result<i64> {
    let scripted = SCRIPT.with_borrow_mut(|script| {
        script.as_mut().map(|answers| answers.pop_front().unwrap_or(-i64::from(libc::ENOSYS)))
    });
    match scripted {
        Some(answer) if answer < 0 => {
            Err(io::Error::from_raw_os_error(i32::try_from(-answer).unwrap_or(libc::EINVAL)))
        }
        Some(answer) => Ok(answer),
        None => make_real(call),
    }
}

/// Makes `call` and takes ownership of the returned file descriptor.
///
/// # Errors
/// The errno.
pub fn make_fd(call: Call<'_>) -> io::Result<OwnedFd> {
    let fd = make(call)?;
    let fd = i32::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the call succeeded and returns a new descriptor by its contract; nobody else has seen
    // the number, so this is its only owner. A script that answers a call with a number hands the
    // ownership over in the same way.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn make_real(call: Call<'_>) -> io::Result<i64> {
    // SAFETY: each variant carries its buffers as slices that live until the call returns, and
    // passes their true length where the call takes one. The kernel keeps no pointer to them. What
    // the structures point to in turn is the duty of whoever filled them in: the modules beside
    // this one.
    let answer = unsafe {
        match call {
            Call::Bpf { command, attr } => libc::syscall(
                libc::SYS_bpf,
                u64::from(command),
                attr.as_mut_ptr().cast::<c_void>(),
                attr.len(),
            ),
            Call::PerfEventOpen { attr, pid, cpu, group, flags } => libc::syscall(
                libc::SYS_perf_event_open,
                attr.as_ptr().cast::<c_void>(),
                i64::from(pid),
                i64::from(cpu),
                group.map_or(-1, |leader| i64::from(leader.as_raw_fd())),
                flags,
            ),
            Call::IoctlValue { fd, request, value } => {
                libc::ioctl(fd.as_raw_fd(), u64::from(request), value).into()
            }
            Call::IoctlBytes { fd, request, argument } => libc::ioctl(
                fd.as_raw_fd(),
                u64::from(request),
                argument.as_mut_ptr().cast::<c_void>(),
            )
            .into(),
            Call::SetSockOpt { fd, level, option, value } => libc::setsockopt(
                fd.as_raw_fd(),
                level,
                option,
                value.as_ptr().cast::<c_void>(),
                length(value),
            )
            .into(),
            Call::GetSockOpt { fd, level, option, value } => {
                let mut length = length(value);
                let value = value.as_mut_ptr().cast::<c_void>();
                libc::getsockopt(fd.as_raw_fd(), level, option, value, &raw mut length).into()
            }
            Call::Bind { fd, address } => {
                libc::bind(fd.as_raw_fd(), address.as_ptr().cast(), length(address)).into()
            }
        }
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// As a `socklen_t`; only that much of a longer buffer is used.
fn length(buffer: &[u8]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_answers_in_turn_and_ends_in_enosys() {
        let script = Script::install([7, -i64::from(libc::EPERM)]);
        let attr = [0_u8; 8];
        let (pid, cpu, group, flags) = (-1, 0, None, 0);
        let open = || make(Call::PerfEventOpen { attr: &attr, pid, cpu, group, flags });
        assert_eq!(open().unwrap(), 7);
        assert_eq!(open().unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(script.remaining(), 0);
        assert_eq!(open().unwrap_err().raw_os_error(), Some(libc::ENOSYS));
    }
}
