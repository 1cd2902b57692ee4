//! See [`probe_ebpf::fentry_by_worker`].

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{fentry, map},
    maps::Array,
    programs::FEntryContext,
};
use probe_ebpf::fentry_by_worker::{ENTRIES, PROBES, Worker};

use crate::fentry_count::{count, count_at};

#[map]
static WORKERS: Array<Worker> = Array::with_max_entries(ENTRIES + PROBES, 0);

#[fentry]
fn fentry_by_worker(_: FEntryContext) -> i32 {
    // The lower half is the thread id of user space.
    let thread = bpf_get_current_pid_tgid() as u32;
    let first = thread % ENTRIES;
    for place in first..first + PROBES {
        match WORKERS.get(place) {
            // The idle thread's id is also 0: it is not a worker.
            Some(worker) if worker.thread != 0 => {
                if worker.thread == thread {
                    count_at(worker.slot);
                    return 0;
                }
            }
            _ => break,
        }
    }
    count(0);
    0
}
