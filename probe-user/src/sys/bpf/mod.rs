//! The bpf(2) commands that aya does not support: programs on functions of modules and on many
//! functions at once, BTF by id, statistics of programs.
//!
//! Every command goes through [`super::call`].
//!
//! Attributes contain addresses. Each is of a slice or structure that a function here borrows until
//! its call has returned, and the kernel keeps none, so nothing here needs to be unsafe.

mod attr;
mod link;
pub mod maps;

use std::{
    ffi::CStr,
    io,
    mem::{offset_of, size_of},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{
    bpf_attach_type, bpf_btf_info, bpf_cmd, bpf_insn, bpf_prog_info, bpf_prog_type, bpf_stats_type,
};

use self::attr::{Attr, BtfLoad, ById, EnableStats, Info, ObjInfo, ProgLoad, bytes};
pub use self::link::{
    LinkInfo, link_event, link_exists, link_function, link_functions, link_info,
    link_raw_tracepoint,
};
use super::call::{self, Call};

/// A refusal, with the kernel's log; empty if it gave none.
#[derive(Debug)]
pub struct Refusal {
    /// The errno.
    pub error: io::Error,
    /// The verifier's output.
    pub log: String,
}

/// A program, ready for `BPF_PROG_LOAD`.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Its name for `bpftool`, truncated to 15 bytes.
    pub name: &'a str,
    /// Relocated instructions.
    pub instructions: &'a [bpf_insn],
    /// Its licence.
    pub license: &'a CStr,
    /// What it may attach to.
    pub kind: ProgramType<'a>,
    /// Types and lines of the program's own source, if the object brought them.
    pub source: Option<SourceInfo<'a>>,
}

/// What a program may attach to, which determines what the verifier allows.
#[derive(Debug, Clone, Copy)]
pub enum ProgramType<'a> {
    /// A function, at its entry (`BPF_TRACE_FENTRY`) or its exit (`BPF_TRACE_FEXIT`).
    Tracing {
        /// Which of the two.
        at: bpf_attach_type,
        /// The function.
        function: FunctionType<'a>,
    },
    /// A kprobe or kretprobe, through its perf event.
    Kprobe,
    /// Any number of functions, through one fprobe.
    KprobeMulti,
    /// A tracepoint, before its record is made.
    RawTracepoint,
    /// A tracepoint, with its record.
    Tracepoint,
    /// A perf event's overflow.
    PerfEvent,
}

impl<'a> ProgramType<'a> {
    fn program_type(self) -> bpf_prog_type {
        match self {
            Self::Tracing { .. } => bpf_prog_type::BPF_PROG_TYPE_TRACING,
            Self::Kprobe | Self::KprobeMulti => bpf_prog_type::BPF_PROG_TYPE_KPROBE,
            Self::RawTracepoint => bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT,
            Self::Tracepoint => bpf_prog_type::BPF_PROG_TYPE_TRACEPOINT,
            Self::PerfEvent => bpf_prog_type::BPF_PROG_TYPE_PERF_EVENT,
        }
    }

    /// Zero if the kernel does not require one.
    fn attach_type(self) -> u32 {
        match self {
            Self::Tracing { at, .. } => at as u32,
            Self::KprobeMulti => bpf_attach_type::BPF_TRACE_KPROBE_MULTI as u32,
            Self::Kprobe | Self::RawTracepoint | Self::Tracepoint | Self::PerfEvent => 0,
        }
    }

    fn function(self) -> Option<FunctionType<'a>> {
        match self {
            Self::Tracing { function, .. } => Some(function),
            _ => None,
        }
    }
}

/// A kernel function, as the verifier identifies it.
#[derive(Debug, Clone, Copy)]
pub struct FunctionType<'a> {
    /// The BTF of the module that has it; `None` for the kernel itself.
    pub module: Option<BorrowedFd<'a>>,
    /// Id of its FUNC type.
    pub id: u32,
}

/// Connects a program's instructions to its source, for the verifier's log and for `bpftool`.
#[derive(Debug, Clone, Copy)]
pub struct SourceInfo<'a> {
    /// The object's BTF.
    pub btf: BorrowedFd<'a>,
    /// Records of `struct bpf_func_info`.
    pub functions: Records<'a>,
    /// Records of `struct bpf_line_info`.
    pub lines: Records<'a>,
}

/// An array of records whose size the object's compiler chose.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    /// All of them.
    pub bytes: &'a [u8],
    /// Bytes of one.
    pub size: usize,
}

impl Records<'_> {
    fn count(self) -> u32 {
        length(self.bytes.len().checked_div(self.size).unwrap_or(0))
    }
}

fn command<A: Attr>(command: bpf_cmd, attr: &mut A) -> io::Result<i64> {
    call::make(Call::Bpf { command: command as u32, attr: bytes(attr) })
}

fn command_fd<A: Attr>(command: bpf_cmd, attr: &mut A) -> io::Result<OwnedFd> {
    call::make_fd(Call::Bpf { command: command as u32, attr: bytes(attr) })
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr().expose_provenance() as u64
}

fn address_mut(slice: &mut [u8]) -> u64 {
    slice.as_mut_ptr().expose_provenance() as u64
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// The kernel refuses programs, type sections and logs long before 4 GiB.
fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Loads a program.
///
/// # Errors
/// The verifier's answer and its log.
pub fn load_program(program: &Program<'_>) -> Result<OwnedFd, Refusal> {
    with_log(|log| {
        let mut attr = prog_load(program, log);
        command_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
    })
}

fn prog_load(program: &Program<'_>, log: &mut [u8]) -> ProgLoad {
    let mut attr = ProgLoad {
        prog_type: program.kind.program_type() as u32,
        insn_cnt: length(program.instructions.len()),
        insns: address(program.instructions),
        license: address(program.license.to_bytes_with_nul()),
        log_level: u32::from(!log.is_empty()),
        log_size: length(log.len()),
        log_buf: if log.is_empty() { 0 } else { address_mut(log) },
        expected_attach_type: program.kind.attach_type(),
        ..ProgLoad::default()
    };
    if let Some(function) = program.kind.function() {
        attr.attach_btf_id = function.id;
        attr.attach_btf_obj_fd = function.module.map_or(0, number);
    }
    // The last byte stays NUL.
    let room = attr.prog_name.len() - 1;
    for (to, from) in attr.prog_name[..room].iter_mut().zip(program.name.bytes()) {
        *to = from;
    }
    if let Some(source) = program.source {
        attr.prog_btf_fd = number(source.btf);
        attr.func_info = address(source.functions.bytes);
        attr.func_info_cnt = source.functions.count();
        attr.func_info_rec_size = length(source.functions.size);
        attr.line_info = address(source.lines.bytes);
        attr.line_info_cnt = source.lines.count();
        attr.line_info_rec_size = length(source.lines.size);
    }
    attr
}

/// Loads an object's type information.
///
/// # Errors
/// The kernel's answer and its log.
pub fn load_btf(btf: &[u8]) -> Result<OwnedFd, Refusal> {
    with_log(|log| {
        let mut attr = BtfLoad {
            btf: address(btf),
            btf_size: length(btf.len()),
            btf_log_buf: if log.is_empty() { 0 } else { address_mut(log) },
            btf_log_size: length(log.len()),
            btf_log_level: u32::from(!log.is_empty()),
            ..BtfLoad::default()
        };
        command_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr)
    })
}

/// First tries without a log, which is cheaper; requests one only to explain a refusal.
fn with_log(mut load: impl FnMut(&mut [u8]) -> io::Result<OwnedFd>) -> Result<OwnedFd, Refusal> {
    // The verifier gives up with EAGAIN when a signal is pending (libbpf tries 5 times too).
    let mut tries = 5;
    let error = loop {
        match load(&mut []) {
            Ok(fd) => return Ok(fd),
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && tries > 1 => tries -= 1,
            Err(error) => break error,
        }
    };
    let mut log = vec![0; 64 << 10];
    loop {
        match load(&mut log) {
            // The cause of the first failure has disappeared.
            Ok(fd) => return Ok(fd),
            Err(full) if full.raw_os_error() == Some(libc::ENOSPC) && log.len() < 16 << 20 => {
                log.resize(log.len() * 4, 0);
            }
            Err(_) => break,
        }
    }
    let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
    Err(Refusal { error, log: String::from_utf8_lossy(text).trim_end().to_owned() })
}

/// The smallest BTF id above `id`; `None` after the last.
///
/// # Errors
/// Any errno but `ENOENT`, which is the answer "none".
pub fn next_btf(id: u32) -> io::Result<Option<u32>> {
    let mut attr = ById { id, ..ById::default() };
    match command(bpf_cmd::BPF_BTF_GET_NEXT_ID, &mut attr) {
        Ok(_) => Ok(Some(attr.next_id)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a BTF by its id.
///
/// # Errors
/// The errno; `ENOENT` if it disappeared since its id was read.
pub fn open_btf(id: u32) -> io::Result<OwnedFd> {
    let mut attr = ById { id, ..ById::default() };
    command_fd(bpf_cmd::BPF_BTF_GET_FD_BY_ID, &mut attr)
}

/// Name of the kernel part that a BTF describes (`vmlinux`, `vhost_net`); `None` for the BTF of a
/// program.
///
/// # Errors
/// The errno.
pub fn kernel_btf_name(btf: BorrowedFd<'_>) -> io::Result<Option<String>> {
    // MODULE_NAME_LEN is 64 - sizeof(long) in every kernel so far.
    let mut name = [0_u8; 64];
    let mut info = bpf_btf_info::zero();
    info.name = address_mut(&mut name);
    info.name_len = length(name.len());
    object_info(btf, &mut info)?;
    let text = CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy();
    Ok((info.kernel_btf != 0).then(|| text.into_owned()))
}

/// The kernel's information about a loaded program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Its id, as in `bpftool prog show id`.
    pub id: u32,
    /// Number of runs while the kernel kept statistics; zero if it never did.
    pub runs: u64,
    /// Total ns of these runs.
    pub run_time_ns: u64,
    /// Hits at which it did not run because it was already running on that CPU. `None` if the
    /// kernel does not report it.
    pub recursion_misses: Option<u64>,
    /// Instructions that the verifier walked. `None` if the kernel does not report it.
    pub verified_instructions: Option<u32>,
}

/// Reads a program's information.
///
/// # Errors
/// The errno.
pub fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    let mut info = bpf_prog_info::zero();
    let filled = object_info(program, &mut info)?;
    let has = |end: usize| filled >= end;
    Ok(ProgramInfo {
        id: info.id,
        runs: info.run_cnt,
        run_time_ns: info.run_time_ns,
        recursion_misses: has(offset_of!(bpf_prog_info, recursion_misses) + 8)
            .then_some(info.recursion_misses),
        verified_instructions: has(offset_of!(bpf_prog_info, verified_insns) + 4)
            .then_some(info.verified_insns),
    })
}

/// Makes the kernel time each run of every BPF program while the descriptor is open.
///
/// # Errors
/// The errno; `EINVAL` before Linux 5.8.
pub fn enable_run_time_stats() -> io::Result<OwnedFd> {
    let mut attr = EnableStats { kind: bpf_stats_type::BPF_STATS_RUN_TIME as u32 };
    command_fd(bpf_cmd::BPF_ENABLE_STATS, &mut attr)
}

/// Lets the kernel fill in `info`; returns how many bytes of it this kernel supports.
fn object_info<T: Info>(fd: BorrowedFd<'_>, info: &mut T) -> io::Result<usize> {
    let mut attr = ObjInfo {
        bpf_fd: number(fd),
        info_len: length(size_of::<T>()),
        info: std::ptr::from_mut(info).expose_provenance() as u64,
    };
    command(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(attr.info_len as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::call::Script;

    fn program() -> Program<'static> {
        Program {
            name: "a_name_that_is_far_too_long",
            instructions: &[],
            license: c"GPL",
            kind: ProgramType::Tracing {
                at: bpf_attach_type::BPF_TRACE_FENTRY,
                function: FunctionType { module: None, id: 7 },
            },
            source: None,
        }
    }

    #[test]
    fn a_program_name_is_cut_before_its_nul() {
        assert_eq!(&prog_load(&program(), &mut []).prog_name, b"a_name_that_is_\0");
    }

    #[test]
    fn only_programs_on_typed_functions_name_one() {
        let attr = prog_load(&program(), &mut []);
        assert_eq!((attr.prog_type, attr.expected_attach_type, attr.attach_btf_id), (26, 24, 7));
        let multi = Program { kind: ProgramType::KprobeMulti, ..program() };
        let attr = prog_load(&multi, &mut []);
        assert_eq!((attr.prog_type, attr.expected_attach_type, attr.attach_btf_id), (2, 42, 0));
    }

    #[test]
    fn a_refused_program_is_tried_again_for_its_log_until_the_log_fits() {
        let errno = |n: i32| -i64::from(n);
        let script =
            Script::install([libc::EAGAIN, libc::EINVAL, libc::ENOSPC, libc::EINVAL].map(errno));
        let refusal = load_program(&program()).unwrap_err();
        assert_eq!(refusal.error.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(script.remaining(), 0);
    }

    #[test]
    fn enoent_ends_the_list_of_btf_and_nothing_else_does() {
        let script = Script::install([-i64::from(libc::ENOENT), -i64::from(libc::EPERM)]);
        assert_eq!(next_btf(3).unwrap(), None);
        assert_eq!(next_btf(3).unwrap_err().raw_os_error(), Some(libc::EPERM));
        drop(script);
    }
}
