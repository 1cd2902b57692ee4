//! Scheduling policies.
#![expect(unsafe_code, reason = "sched_setscheduler(2), which rustix does not cover")]

use std::io;

/// Makes the calling thread one that every thread of another policy preempts as soon as it wakes (`SCHED_IDLE`).
///
/// # Errors
/// The errno of sched_setscheduler(2).
pub fn yield_to_all() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the kernel only reads `parameters`, which outlives the call.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
