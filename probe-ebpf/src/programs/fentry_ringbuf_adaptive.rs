//! See [`probe_ebpf::fentry_ringbuf_adaptive`].

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::fentry, programs::FEntryContext};
use probe_ebpf::ring::Call;

use crate::shared::{self, Wake};

#[fentry]
fn fentry_ringbuf_adaptive(_: FEntryContext) -> i32 {
    // SAFETY: the helper takes no argument and only reads the clock.
    let at = unsafe { bpf_ktime_get_ns() };
    if !shared::write(Call { at }, Wake::Adaptive) {
        shared::lose();
    }
    0
}
