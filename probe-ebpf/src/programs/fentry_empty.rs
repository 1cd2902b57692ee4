//! See [`probe_ebpf::fentry_empty`].

use aya_ebpf::{macros::fentry, programs::FEntryContext};

#[fentry]
fn fentry_empty(_: FEntryContext) -> i32 {
    0
}
