//! Links: they attach a loaded program to a place in the kernel. Closing the last descriptor of a
//! link detaches the program.

use std::{
    ffi::CStr,
    io,
    mem::size_of,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_link_type, bpf_perf_event_type};

use super::{
    address,
    attr::{self, ById, Info as _, LinkCreate, LinkCreateMulti, RawTracepointOpen},
    command_fd, length, number, object_info,
};

/// Attaches a tracing program to the function it was loaded for.
///
/// # Errors
/// The errno: `EBUSY` if something else holds the function's entry, `E2BIG` if it has too many
/// programs.
pub fn link_function(program: BorrowedFd<'_>, at: bpf_attach_type) -> io::Result<OwnedFd> {
    let mut attr =
        LinkCreate { prog_fd: number(program), attach_type: at as u32, ..LinkCreate::default() };
    command_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Attaches a program to a perf event: a kprobe's, a tracepoint's, or one that overflows. The link
/// keeps the event open.
///
/// # Errors
/// The errno: `EINVAL` if the event is of another kind than the program, or the kernel is older
/// than 5.15.
pub fn link_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate {
        prog_fd: number(program),
        target_fd: number(event),
        attach_type: bpf_attach_type::BPF_PERF_EVENT as u32,
        ..LinkCreate::default()
    };
    command_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Attaches a program to the entries of all `functions`, by address; each with the cookie that the
/// program can then read.
///
/// # Errors
/// The errno: `EOPNOTSUPP` if the kernel has no fprobes.
///
/// # Panics
/// The number of cookies differs from that of functions.
pub fn link_functions(
    program: BorrowedFd<'_>,
    functions: &[u64],
    cookies: &[u64],
) -> io::Result<OwnedFd> {
    assert_eq!(functions.len(), cookies.len());
    let mut attr = LinkCreateMulti {
        link: LinkCreate {
            prog_fd: number(program),
            attach_type: bpf_attach_type::BPF_TRACE_KPROBE_MULTI as u32,
            ..LinkCreate::default()
        },
        cnt: length(functions.len()),
        addrs: address(functions),
        cookies: address(cookies),
        ..LinkCreateMulti::default()
    };
    command_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Attaches a program to the tracepoint `name`, which has no group here: tracepoints are symbols of
/// the kernel.
///
/// # Errors
/// The errno: `ENOENT` if there is no such tracepoint.
pub fn link_raw_tracepoint(program: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let mut attr = RawTracepointOpen {
        name: address(name.to_bytes_with_nul()),
        prog_fd: number(program),
        padding: 0,
    };
    command_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Whether a link with this id exists.
///
/// # Errors
/// Any errno but `ENOENT`, which is the answer "no".
pub fn link_exists(id: u32) -> io::Result<bool> {
    let mut attr = ById { id, ..ById::default() };
    match command_fd(bpf_cmd::BPF_LINK_GET_FD_BY_ID, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The kernel's information about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its id, as in `bpftool link show id`.
    pub id: u32,
    /// Whether this kernel counts the hits at which programs on kprobes, fprobes and tracepoints
    /// did not run. It started to with the release (6.7) that added the probes' own misses to this
    /// structure, so the structure's length shows it.
    pub counts_skips: bool,
    /// Kprobes and fprobes: hits that the probe itself missed, before any program. `None` if the
    /// kernel does not report it.
    pub missed: Option<u64>,
}

/// Reads a link's information.
///
/// # Errors
/// The errno.
pub fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    let mut info = attr::LinkInfo::zero();
    let filled = object_info(link.as_fd(), &mut info)?;
    Ok(understood(&info, filled))
}

fn understood(info: &attr::LinkInfo, filled: usize) -> LinkInfo {
    const MULTI: u32 = bpf_link_type::BPF_LINK_TYPE_KPROBE_MULTI as u32;
    const PERF_EVENT: u32 = bpf_link_type::BPF_LINK_TYPE_PERF_EVENT as u32;
    const KPROBES: [u64; 2] = [
        bpf_perf_event_type::BPF_PERF_EVENT_KPROBE as u64,
        bpf_perf_event_type::BPF_PERF_EVENT_KRETPROBE as u64,
    ];
    let counts_skips = filled >= size_of::<attr::LinkInfo>();
    let event = info.rest[attr::LinkInfo::PERF_EVENT_TYPE] & u64::from(u32::MAX);
    let missed = match info.kind {
        MULTI => Some(info.rest[attr::LinkInfo::KPROBE_MULTI_MISSED]),
        PERF_EVENT if KPROBES.contains(&event) => {
            Some(info.rest[attr::LinkInfo::PERF_EVENT_MISSED])
        }
        _ => None,
    };
    LinkInfo { id: info.id, counts_skips, missed: missed.filter(|_| counts_skips) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: u32, rest: [u64; 5]) -> attr::LinkInfo {
        attr::LinkInfo { kind, id: 9, prog_id: 1, padding: 0, rest }
    }

    #[test]
    fn misses_are_read_only_where_the_kernel_wrote_them() {
        let all = size_of::<attr::LinkInfo>();
        let missed = |kind, rest, filled| understood(&info(kind, rest), filled).missed;
        // A kprobe, a kretprobe, a tracepoint; the upper half of the type is padding.
        assert_eq!(missed(7, [3 | 1 << 40, 0, 0, 0, 5], all), Some(5));
        assert_eq!(missed(7, [4, 0, 0, 0, 5], all), Some(5));
        assert_eq!(missed(7, [5, 0, 0, 0, 5], all), None);
        assert_eq!(missed(8, [0, 0, 6, 0, 0], all), Some(6));
        assert_eq!(missed(2, [0, 0, 6, 0, 5], all), None);
        // Linux 6.1 and 6.6 have shorter structures.
        for filled in [40, 48] {
            assert_eq!(missed(8, [0, 0, 6, 0, 0], filled), None);
            assert!(!understood(&info(8, [0; 5]), filled).counts_skips);
        }
    }
}
