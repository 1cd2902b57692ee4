//! See [`probe_ebpf::fentry_count`].

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::fentry_count::Slot;

use crate::shared;

#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[fentry]
fn fentry_count(_: FEntryContext) -> i32 {
    if let Some(slot) = shared::slot(&SLOTS) {
        // SAFETY: the lookup returned a live slot, and only this program writes to it, on this CPU, one hit at a
        // time; user space reads it as one aligned word.
        unsafe { (*slot).calls += 1 };
    }
    0
}
