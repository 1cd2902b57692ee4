//! See [`probe_ebpf::fentry_budget`].

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns},
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::{
    fentry_budget::{SETTLE, Slot},
    ring::Drawn,
};

use crate::shared::{self, Wake};

#[map]
static BUDGET_SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[fentry]
fn fentry_budget(_: FEntryContext) -> i32 {
    let Some(slot) = shared::slot(&BUDGET_SLOTS) else { return 0 };
    // SAFETY: the lookup returned a live slot, and only this program writes to it, on this CPU, one
    // hit at a time; user space only reads it while the program is attached, word by word.
    let slot = unsafe { &mut *slot };
    slot.calls += 1;
    let threshold = slot.threshold;
    // SAFETY: the helper takes no argument and only draws from this CPU's generator.
    let drawn = u64::from(unsafe { bpf_get_prandom_u32() }) < threshold;
    if drawn || slot.calls % SETTLE == 0 {
        // SAFETY: the helper takes no argument and only reads the clock.
        let at = unsafe { bpf_ktime_get_ns() };
        if drawn && !shared::write(Drawn { at, threshold }, Wake::Never) {
            slot.lose(threshold);
        }
        slot.settle(at, drawn);
    }
    0
}
