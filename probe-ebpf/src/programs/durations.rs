//! See [`probe_ebpf::durations`].

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_F_MMAPABLE},
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{Array, HashMap},
};
use probe_ebpf::durations::{BUCKETS, Durations};

use crate::{fentry_count::count, shared};

/// The kernel takes all of its elements from a pool allocated with it: no hit allocates.
#[map]
static STARTS: HashMap<u64, u64> = HashMap::with_max_entries(1, 0);

#[map]
static DURATIONS: Array<Durations> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Counts a call that starts, and stores the time.
#[inline(always)]
pub(crate) fn enter(key: u64) {
    count(0);
    // SAFETY: the helper takes no argument.
    let now = unsafe { bpf_ktime_get_ns() };
    // If the map is full the exit finds nothing, and counts that.
    let _ = STARTS.insert(key, now, u64::from(BPF_ANY));
}

/// Takes the time of a call that ends.
#[inline(always)]
pub(crate) fn leave(key: u64) {
    // SAFETY: the helper takes no argument.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: an element that is removed meanwhile may be used for another key at once, and this
    // one is removed by a call's exit under the same key alone. A frame's has one exit. A thread's
    // exits run where the thread runs, as an idle task's do on its CPU; and one in an interrupt of
    // this program is skipped, as all programs on kprobes are while one runs on the CPU
    // (`bpf_prog_active`).
    let start = unsafe { STARTS.get(key) }.copied();
    let Some(durations) = shared::slot(&DURATIONS) else { return };
    let Some(start) = start else {
        // SAFETY: the lookup returned a live element; only this program writes to it, on this CPU,
        // one hit at a time.
        unsafe { (*durations).untimed += 1 };
        log!("an exit whose entry left no time");
        return;
    };
    // The kernel refuses if it would wait for its own lock. Then a call whose entry is missed would
    // be timed from the old start.
    let kept = STARTS.remove(key).is_err();
    // SAFETY: as above.
    let durations = unsafe { &mut *durations };
    durations.kept += u64::from(kept);
    durations.log2_ns[bucket(now.wrapping_sub(start))] += 1;
}

/// `ilog2`, with 0 for 0, in steps that the verifier can follow: it does not see that the usual
/// arithmetic stays below 64, and the compiler, which does, removes any other bound.
#[inline(always)]
fn bucket(mut duration: u64) -> usize {
    let mut bucket = 0;
    let mut step = BUCKETS / 2;
    while step > 0 {
        if duration >> step != 0 {
            duration >>= step;
            bucket += step;
        }
        step /= 2;
    }
    bucket
}
