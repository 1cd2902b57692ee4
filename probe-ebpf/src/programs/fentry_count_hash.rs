//! See [`probe_ebpf::fentry_count_hash`].

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_get_func_ip,
    macros::{fentry, map},
    maps::PerCpuHashMap,
    programs::FEntryContext,
};

use crate::shared;

#[map]
static HASHED_CALLS: PerCpuHashMap<u64, u64> = PerCpuHashMap::with_max_entries(1, 0);

#[fentry]
#[expect(clippy::needless_pass_by_value, reason = "the macro hands the context over so")]
fn fentry_count_hash(context: FEntryContext) -> i32 {
    // SAFETY: the context is the one that this hit came with.
    let function = unsafe { bpf_get_func_ip(context.as_ptr()) };
    if let Some(calls) = HASHED_CALLS.get_ptr_mut(function) {
        // SAFETY: the lookup returned this CPU's value, which only this program writes, one hit at
        // a time; nobody deletes from the map.
        unsafe { *calls += 1 };
    } else if HASHED_CALLS.insert(function, 1, 0).is_err() {
        shared::lose();
    }
    0
}
