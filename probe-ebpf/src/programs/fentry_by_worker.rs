//! See [`probe_ebpf::fentry_by_worker`].

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{fentry, map},
    maps::HashMap,
    programs::FEntryContext,
};

use crate::fentry_count::{count, count_at};

#[map]
static WORKERS: HashMap<u32, u32> = HashMap::with_max_entries(1, 0);

#[fentry]
fn fentry_by_worker(_: FEntryContext) -> i32 {
    // The lower half is what user space calls a thread id.
    let thread = bpf_get_current_pid_tgid() as u32;
    // SAFETY: nobody writes to the map while the program is attached.
    match unsafe { WORKERS.get(thread) } {
        Some(&slot) => count_at(slot),
        None => count(0),
    }
    0
}
