//! See [`probe_ebpf::fentry_ringbuf`].

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::fentry, programs::FEntryContext};
use probe_ebpf::ring::Call;

use crate::shared::{self, Wake};

#[fentry]
fn fentry_ringbuf(_: FEntryContext) -> i32 {
    // SAFETY: the helper takes no argument and only reads the clock.
    let at = unsafe { bpf_ktime_get_ns() };
    if !shared::write(Call { at }, Wake::Never) {
        shared::lose();
    }
    0
}
