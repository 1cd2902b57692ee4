//! See [`probe_ebpf::kprobe_count`].

use aya_ebpf::{macros::kprobe, programs::ProbeContext};

use crate::fentry_count::count;

// One hit at a time per CPU: a kprobe's handler runs with preemption off, and `trace_call_bpf`
// skips a hit that comes from an interrupt of a program (`bpf_prog_active`, one per CPU for all
// programs on kprobes, tracepoints and perf events).
#[kprobe]
fn kprobe_count(_: ProbeContext) -> u32 {
    count(0);
    // Nothing more: the perf event itself makes no record.
    0
}
