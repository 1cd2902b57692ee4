//! See [`probe_ebpf::fentry_perfbuf`].

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_F_CURRENT_CPU,
    helpers::{bpf_ktime_get_ns, bpf_perf_event_output},
    macros::{fentry, map},
    maps::PerfEventArray,
    programs::FEntryContext,
};
use probe_ebpf::ring::Call;

use crate::shared;

#[map]
static PERF_EVENTS: PerfEventArray<Call> = PerfEventArray::new(0);

#[fentry]
#[expect(clippy::needless_pass_by_value, reason = "the macro hands the context over so")]
fn fentry_perfbuf(context: FEntryContext) -> i32 {
    // SAFETY: the helper takes no argument and only reads the clock.
    let mut call = Call { at: unsafe { bpf_ktime_get_ns() } };
    let events = (&raw const PERF_EVENTS).cast_mut().cast();
    let record = (&raw mut call).cast();
    // SAFETY: the context is the one that this hit came with, the map is one of perf events, and
    // the helper copies the record before it returns. (aya's own wrapper drops the error, and with
    // it the loss.)
    let refused = unsafe {
        bpf_perf_event_output(
            context.as_ptr(),
            events,
            BPF_F_CURRENT_CPU,
            record,
            size_of::<Call>() as u64,
        )
    };
    if refused != 0 {
        shared::lose();
    }
    0
}
