//! Shared by several programs: each instance of a program gets its own maps of these shapes.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::bpf_get_smp_processor_id,
    macros::map,
    maps::{Array, RingBuf},
};
use probe_ebpf::losses::Slot;

/// See [`probe_ebpf::losses`].
#[map]
static LOSSES: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// See [`probe_ebpf::ring`].
#[map]
static RING: RingBuf = RingBuf::with_byte_size(4096, 0);

/// The slot of this CPU. There is one per possible CPU number: `None` is only for the verifier.
#[inline(always)]
pub(crate) fn slot<T>(slots: &Array<T>) -> Option<*mut T> {
    slot_from(slots, 0)
}

/// The slot of this CPU among those that start at `first`.
#[inline(always)]
pub(crate) fn slot_from<T>(slots: &Array<T>, first: u32) -> Option<*mut T> {
    // SAFETY: the helper takes no argument and only reads the CPU's number.
    slots.get_ptr_mut(first.wrapping_add(unsafe { bpf_get_smp_processor_id() }))
}

/// Counts a call that could not be recorded.
#[inline(always)]
pub(crate) fn lose() {
    log!("no room for a record");
    if let Some(slot) = slot(&LOSSES) {
        // SAFETY: the lookup returned a live slot, and only this program writes to it, on this CPU,
        // one hit at a time; user space reads it as one aligned word.
        unsafe { (*slot).lost += 1 };
    }
}

/// When a record wakes a reader that waits for the ring.
pub(crate) enum Wake {
    /// Never: the reader comes by itself.
    Never,
    /// If the reader had read everything before it: the kernel's default.
    Adaptive,
    /// If at least this number of bytes waits, the record's own and the headers included.
    Waiting(u64),
}

/// Writes a record; returns false if the ring is full.
#[inline(always)]
pub(crate) fn write<T: 'static>(record: T, wake: Wake) -> bool {
    let Some(mut room) = RING.reserve::<T>(0) else { return false };
    room.write(record);
    let flags = match wake {
        Wake::Adaptive => 0,
        Wake::Waiting(bytes) if RING.query(u64::from(BPF_RB_AVAIL_DATA)) >= bytes => {
            BPF_RB_FORCE_WAKEUP
        }
        Wake::Never | Wake::Waiting(_) => BPF_RB_NO_WAKEUP,
    };
    room.submit(u64::from(flags));
    true
}
