//! See [`probe_ebpf::fentry_count`].

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::fentry_count::Slot;

use crate::shared;

/// For this program and others that count: each instance has its own map.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[fentry]
fn fentry_count(_: FEntryContext) -> i32 {
    count(0);
    0
}

/// Counts one hit in this CPU's slot of those that start at `first`.
///
/// For programs that the kernel runs one hit at a time on a CPU, without migration, and that are
/// the only writers of their slots, so a plain add is enough.
#[inline(always)]
pub(crate) fn count(first: u32) {
    if let Some(slot) = shared::slot_from(&SLOTS, first) {
        // SAFETY: the lookup returned a live slot, and only this program writes to it, on this CPU,
        // one hit at a time; user space reads it as one aligned word.
        let slot = unsafe { &mut *slot };
        slot.calls += 1;
        log!("call {} in this CPU's slot behind {}", slot.calls, first);
    }
}

/// Counts one hit in the slot at `index`, which belongs to the running thread.
///
/// For programs like those of [`count`]: the thread makes one hit at a time, and no other thread's
/// hits go here.
#[inline(always)]
pub(crate) fn count_at(index: u32) {
    if let Some(slot) = SLOTS.get_ptr_mut(index) {
        // SAFETY: as above, with one thread instead of one CPU.
        let slot = unsafe { &mut *slot };
        slot.calls += 1;
        log!("call {} in slot {}", slot.calls, index);
    }
}
