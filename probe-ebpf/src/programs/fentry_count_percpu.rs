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
    // Its one entry is always there, so the other arm exists for the verifier alone.
    if let Some(calls) = PERCPU_CALLS.get_ptr_mut(0) {
        // SAFETY: the lookup returned this CPU's value, which only this program writes, one hit at
        // a time.
        unsafe { *calls += 1 };
    }
    0
}
