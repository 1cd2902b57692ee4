//! Perf events that exist only to carry a BPF program: a kprobe, a tracepoint.
//!
//! The kernel runs the program on every CPU, whichever one the event was opened for, and whether or
//! not the event is enabled (kernel/trace/trace_kprobe.c, `kprobe_perf_func`;
//! include/trace/perf.h): so one event on one CPU is enough, and it stays disabled, so that nothing
//! else is done at a hit. The kprobe is armed from the opening of the event to the closing of its
//! last descriptor.

use std::{io, os::fd::OwnedFd};

use super::call::{self, Call};

/// `PERF_TYPE_TRACEPOINT`.
const TRACEPOINT: u32 = 2;
/// `PERF_FLAG_FD_CLOEXEC`.
const CLOEXEC: u64 = 1 << 3;

/// Opens a kprobe at `address`, by the PMU of type `pmu`; `config` has the bit that makes it a
/// kretprobe. `cpu` is any that is online.
///
/// # Errors
/// The errno: `EINVAL` or `EILSEQ` where no probe can stand there.
pub fn kprobe(pmu: u32, config: u64, address: u64, cpu: u32) -> io::Result<OwnedFd> {
    open(&attr(pmu, config, address), cpu)
}

/// Opens the tracepoint with this id in tracefs. `cpu` is any that is online.
///
/// # Errors
/// The errno: `ENOENT` where there is none.
pub fn tracepoint(id: u64, cpu: u32) -> io::Result<OwnedFd> {
    open(&attr(TRACEPOINT, id, 0), cpu)
}

/// `struct perf_event_attr` as of `PERF_ATTR_SIZE_VER5`. A kprobe without a name (`kprobe_func`, at
/// 56) is one at the address (`kprobe_addr`, at 64): names are not unique.
fn attr(kind: u32, config: u64, address: u64) -> [u8; 112] {
    const DISABLED: u64 = 1;
    let mut attr = [0; 112];
    let mut put = |at: usize, bytes: &[u8]| attr[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &kind.to_ne_bytes());
    put(4, &112_u32.to_ne_bytes());
    put(8, &config.to_ne_bytes());
    put(40, &DISABLED.to_ne_bytes());
    put(64, &address.to_ne_bytes());
    attr
}

fn open(attr: &[u8], cpu: u32) -> io::Result<OwnedFd> {
    let cpu = i32::try_from(cpu).unwrap_or(i32::MAX);
    call::make_fd(Call::PerfEventOpen { attr, pid: -1, cpu, group: None, flags: CLOEXEC })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attr_is_laid_out_as_the_kernels() {
        let attr = attr(8, 1, 0xffff_ffff_c010_0010);
        let word = |at: usize| u64::from_ne_bytes(attr[at..at + 8].try_into().unwrap());
        assert_eq!((word(0), word(8), word(40)), (8 | 112 << 32, 1, 1));
        assert_eq!((word(56), word(64)), (0, 0xffff_ffff_c010_0010));
    }
}
