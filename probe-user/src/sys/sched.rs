//! Scheduling policies.
#![expect(unsafe_code, reason = "sched_setscheduler(2), which rustix does not cover")]

use std::io;

/// Puts the calling thread into `SCHED_IDLE`: any normal task on its CPU preempts it when it wakes
/// up. Dropping it, on the same thread, makes the thread a normal one again.
#[derive(Debug)]
pub struct IdleClass(());

impl IdleClass {
    /// # Errors
    /// The errno of sched_setscheduler(2).
    pub fn enter() -> io::Result<Self> {
        set(libc::SCHED_IDLE).map(|()| Self(()))
    }
}

impl Drop for IdleClass {
    fn drop(&mut self) {
        // Fails only if RLIMIT_NICE forbids it, which does not apply to root.
        let _ = set(libc::SCHED_OTHER);
    }
}

fn set(policy: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the kernel only reads `parameters`, which outlives the call.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
