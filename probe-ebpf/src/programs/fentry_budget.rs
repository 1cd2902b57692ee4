//! See [`probe_ebpf::fentry_budget`].

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns},
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::{
    fentry_budget::{LEAST, RATE_BITS, SCALE_BITS, SETTLE, Slot, WEIGHT_BITS},
    ring::Drawn,
};

use crate::shared;

#[map]
static BUDGET_SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[fentry]
fn fentry_budget(_: FEntryContext) -> i32 {
    let Some(slot) = shared::slot(&BUDGET_SLOTS) else { return 0 };
    // SAFETY: the lookup returned a live slot, and only this program writes to it, on this CPU, one hit at a time;
    // user space only reads it while the program is attached, word by word.
    let slot = unsafe { &mut *slot };
    slot.calls += 1;
    let threshold = slot.threshold;
    // SAFETY: the helper takes no argument and only draws from this CPU's generator.
    let drawn = u64::from(unsafe { bpf_get_prandom_u32() }) < threshold;
    if drawn || slot.calls % SETTLE == 0 {
        // SAFETY: the helper takes no argument and only reads the clock.
        let at = unsafe { bpf_ktime_get_ns() };
        if drawn && !shared::write(Drawn { at, threshold }) {
            lose(slot, threshold);
        }
        settle(slot, at, drawn);
    }
    0
}

/// The estimate needs the weight of what was drawn, written down or not.
#[inline(always)]
fn lose(slot: &mut Slot, threshold: u64) {
    let weight = (1_u64 << (32 + WEIGHT_BITS)).checked_div(threshold).unwrap_or(0);
    slot.lost += 1;
    slot.lost_weight += weight;
    slot.lost_squares += (weight * weight) >> (2 * WEIGHT_BITS);
}

/// Fills the bucket with what the time since the last time was worth, and takes out what the calls cost.
#[inline(always)]
fn settle(slot: &mut Slot, now: u64, recorded: bool) {
    /// More than an hour, which fills any bucket; and no product below reaches 2^64.
    const LONGEST: u64 = 1 << 42;
    let elapsed = now.wrapping_sub(slot.settled_at).min(LONGEST);
    let earned = (elapsed * slot.rate) >> RATE_BITS;
    let full = (slot.tokens + earned).min(slot.capacity);
    let calls = slot.calls - slot.settled;
    let record = if recorded { slot.record_price } else { 0 };
    let tokens = full.saturating_sub(calls * slot.call_price + record);
    slot.tokens = tokens;
    slot.threshold = ((tokens * slot.scale) >> SCALE_BITS).max(LEAST);
    slot.settled = slot.calls;
    slot.settled_at = now;
}
