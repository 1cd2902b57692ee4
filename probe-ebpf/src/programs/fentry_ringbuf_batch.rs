//! See [`probe_ebpf::fentry_ringbuf_batch`].

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::bpf_ktime_get_ns,
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::{fentry_ringbuf_batch::Slot, ring::Call};

use crate::shared::{self, Wake};

#[map]
static BATCH_SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[fentry]
fn fentry_ringbuf_batch(_: FEntryContext) -> i32 {
    let Some(slot) = shared::slot(&BATCH_SLOTS) else { return 0 };
    // SAFETY: the lookup returned a live slot, and only this program writes to it, on this CPU, one
    // hit at a time; user space only reads it while the program is attached, word by word.
    let slot = unsafe { &mut *slot };
    // SAFETY: the helper takes no argument and only reads the clock.
    let at = unsafe { bpf_ktime_get_ns() };
    if !shared::write(Call { at }, Wake::Waiting(slot.wake_bytes)) {
        slot.lost += 1;
    }
    0
}
