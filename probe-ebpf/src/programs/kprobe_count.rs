//! See [`probe_ebpf::kprobe_count`].

use aya_ebpf::{macros::kprobe, programs::ProbeContext};

use crate::fentry_count::count;

// One hit at a time per CPU: a kprobe's handler runs with preemption disabled, and `trace_call_bpf`
// skips a hit from an interrupt of a program (`bpf_prog_active`, one per CPU for all programs on
// kprobes, tracepoints and perf events).
#[kprobe]
fn kprobe_count(_: ProbeContext) -> u32 {
    count(0);
    // Return 0: the perf event itself writes no record.
    0
}
