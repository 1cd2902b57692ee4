//! Perf events that only serve to run a BPF program: a kprobe, a tracepoint.
//!
//! The kernel runs the program on every CPU, whichever one the event was opened for, and whether or
//! not the event is enabled (kernel/trace/trace_kprobe.c, `kprobe_perf_func`;
//! include/trace/perf.h). So one event on one CPU is enough, and it stays disabled, so that nothing
//! else happens at a hit. The kprobe is armed from the opening of the event to the closing of its
//! last descriptor.

use std::{io, os::fd::OwnedFd};

use aya_obj::generated::{
    PERF_FLAG_FD_CLOEXEC, perf_event_attr, perf_type_id::PERF_TYPE_TRACEPOINT,
};

use super::{
    call::{self, Call},
    perf::attr,
};

/// Opens a kprobe at `address`, with the PMU of type `pmu`; `config` has the bit that makes it a
/// kretprobe. `cpu` is any online CPU.
///
/// # Errors
/// The errno: `EINVAL` or `EILSEQ` if no probe can be set there.
pub fn kprobe(pmu: u32, config: u64, address: u64, cpu: u32) -> io::Result<OwnedFd> {
    open(&probe(pmu, config, address), cpu)
}

/// Opens the tracepoint with this id in tracefs. `cpu` is any online CPU.
///
/// # Errors
/// The errno: `ENOENT` if there is none.
pub fn tracepoint(id: u64, cpu: u32) -> io::Result<OwnedFd> {
    open(&probe(PERF_TYPE_TRACEPOINT as u32, id, 0), cpu)
}

/// A kprobe without a name (`kprobe_func`) is placed at the address: names are not unique.
fn probe(kind: u32, config: u64, address: u64) -> perf_event_attr {
    let mut attr = attr::event(kind, config);
    attr.set_disabled(1);
    attr.__bindgen_anon_4.kprobe_addr = address;
    attr
}

fn open(attr: &perf_event_attr, cpu: u32) -> io::Result<OwnedFd> {
    call::make_fd(Call::PerfEventOpen {
        attr: attr::bytes(attr),
        pid: -1,
        cpu: i32::try_from(cpu).unwrap_or(i32::MAX),
        group: None,
        flags: PERF_FLAG_FD_CLOEXEC.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attr_is_laid_out_as_the_kernels() {
        let attr = probe(8, 1, 0xffff_ffff_c010_0010);
        let attr = attr::bytes(&attr);
        let word = |at: usize| u64::from_ne_bytes(attr[at..at + 8].try_into().unwrap());
        assert_eq!((word(0), word(8), word(40)), (8 | 112 << 32, 1, 1));
        assert_eq!((word(56), word(64)), (0, 0xffff_ffff_c010_0010));
    }
}
