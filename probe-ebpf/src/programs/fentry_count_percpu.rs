//! See [`probe_ebpf::fentry_count_percpu`].

use aya_ebpf::{
    macros::{fentry, map},
    maps::PerCpuArray,
    programs::FEntryContext,
};

#[map]
static PERCPU_CALLS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

#[fentry]
fn fentry_count_percpu(_: FEntryContext) -> i32 {
    // Its only entry always exists; the other arm is only for the verifier.
    if let Some(calls) = PERCPU_CALLS.get_ptr_mut(0) {
        // SAFETY: the lookup returned this CPU's value, which only this program writes, one hit at
        // a time.
        unsafe { *calls += 1 };
    }
    0
}
