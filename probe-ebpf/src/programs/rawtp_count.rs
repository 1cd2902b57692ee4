//! See [`probe_ebpf::rawtp_count`].

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::fentry_count::count;

// One hit at a time per CPU: tracepoints call their probes without migration, and `__bpf_trace_run`
// skips a hit while the same program is running on the CPU (`prog->active`).
#[raw_tracepoint]
fn rawtp_count(_: RawTracePointContext) -> i32 {
    count(0);
    0
}
