//! See [`probe_ebpf::fentry_count`].

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::bpf_get_smp_processor_id,
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::fentry_count::Slot;

#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[fentry]
fn fentry_count(_: FEntryContext) -> i32 {
    // SAFETY: the helper takes no argument and only reads the CPU's number.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    // There is a slot for each number a CPU can have, so the other arm exists for the verifier alone.
    if let Some(slot) = SLOTS.get_ptr_mut(cpu) {
        // SAFETY: the lookup returned a live slot, and only this program writes to it, on this CPU, one hit at a
        // time; user space reads it as one aligned word.
        unsafe { (*slot).calls += 1 };
    }
    0
}
