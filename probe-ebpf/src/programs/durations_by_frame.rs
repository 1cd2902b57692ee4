//! The pair of [`probe_ebpf::durations`] on a trampoline.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::durations::{enter, leave};

// The context is where the trampoline stores the function's arguments: an address in its own stack
// frame, the same for all programs of one call.

#[fentry]
fn durations_fentry(ctx: FEntryContext) -> i32 {
    enter(ctx.as_ptr().expose_provenance() as u64);
    0
}

#[fexit]
fn durations_fexit(ctx: FExitContext) -> i32 {
    leave(ctx.as_ptr().expose_provenance() as u64);
    0
}
