//! The pair of [`probe_ebpf::durations`] on a kprobe and a kretprobe.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id},
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use probe_ebpf::durations::IDLE;

use crate::durations::{enter, leave};

#[kprobe]
fn durations_kprobe(_: ProbeContext) -> u32 {
    enter(thread());
    0
}

#[kretprobe]
fn durations_kretprobe(_: RetProbeContext) -> u32 {
    leave(thread());
    0
}

#[inline(always)]
fn thread() -> u64 {
    match bpf_get_current_pid_tgid() & u64::from(u32::MAX) {
        // SAFETY: the helper takes no argument and only reads the CPU's number.
        0 => IDLE | u64::from(unsafe { bpf_get_smp_processor_id() }),
        thread => thread,
    }
}
