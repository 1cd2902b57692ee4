//! See [`probe_ebpf::fentry_timestamp`].

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::fentry, programs::FEntryContext};

#[fentry]
fn fentry_timestamp(_: FEntryContext) -> i32 {
    // SAFETY: the helper takes no argument and only reads the clock. To the compiler it is an
    // unknown function, so the call stays though nobody wants its result.
    unsafe { bpf_ktime_get_ns() };
    0
}
