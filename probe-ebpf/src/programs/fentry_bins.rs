//! See [`probe_ebpf::fentry_bins`].

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::bpf_ktime_get_ns,
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::fentry_bins::Slot;

use crate::shared;

#[map]
static BIN_SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static BINS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[fentry]
fn fentry_bins(_: FEntryContext) -> i32 {
    // SAFETY: the helper takes no argument and only reads the clock.
    let now = unsafe { bpf_ktime_get_ns() };
    let Some(slot) = shared::slot(&BIN_SLOTS) else { return 0 };
    // SAFETY: the lookup returned a live slot, which user space does not write to while the program
    // is attached.
    let Slot { start, width, row, last } = unsafe { slot.read() };
    // The kernel defines a division by zero (the result is zero); the compiler does not know that.
    let bin = now.wrapping_sub(start).checked_div(width).unwrap_or(0).min(last);
    if let Some(calls) = BINS.get_ptr_mut((row + bin) as u32) {
        // SAFETY: the lookup returned a live word of this CPU's row, which only this program
        // writes, one hit at a time.
        unsafe { *calls += 1 };
    }
    0
}
