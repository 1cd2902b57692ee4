//! See [`probe_ebpf::kprobe_multi_count`].

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_attach_cookie, macros::kprobe,
    programs::ProbeContext,
};

use crate::fentry_count::count;

// One hit at a time per CPU, for all functions together: `kprobe_multi_link_prog_run` does not
// migrate, and skips a hit while `bpf_prog_active` is set.
#[kprobe]
fn kprobe_multi_count(ctx: ProbeContext) -> u32 {
    // SAFETY: the context is the one that the kernel handed to this program.
    let first = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    count(first as u32);
    0
}
