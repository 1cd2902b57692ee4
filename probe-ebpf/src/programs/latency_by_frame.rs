//! The pair of [`probe_ebpf::latency`] on a trampoline.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::latency::{enter, leave};

// The context is where the trampoline keeps the function's arguments: an address in its own frame
// on the stack, the same for all programs of one call.

#[fentry]
fn latency_fentry(ctx: FEntryContext) -> i32 {
    enter(ctx.as_ptr().expose_provenance() as u64);
    0
}

#[fexit]
fn latency_fexit(ctx: FExitContext) -> i32 {
    leave(ctx.as_ptr().expose_provenance() as u64);
    0
}
