//! Ends a client's test so that the client can still report.
//!
//! iperf3 leaves the signal's handler by longjmp and continues with its report, from wherever it
//! was (`sigend_handler` in src/main.c, 3.12). If that was the middle of malloc, the heap remains
//! in an intermediate state, and the next allocation ends in glibc's "malloc assertion failure in
//! sysmalloc" instead of a report. This is not rare: malloc has moved the heap's top but not yet
//! written its size when it first touches a new page, and signals are handled at the end of exactly
//! that page fault. If memory comes slowly, as in a VM full of hogs, a client spends much of its
//! time there.
//!
//! So the client is stopped repeatedly until that happens in a system call that malloc does not
//! make. The guests' own script does the same (`probe-vm/src/image/orders.sh`). Newer versions send
//! from separate threads, and a signal to a stopped process may go to any of them; their first
//! thread, for which the handler is meant, only waits and adds up, so they are signalled directly.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::kernel::clock;

/// System calls with which malloc gets and returns memory, or waits for another thread.
const OF_MALLOC: [i64; 7] = [
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
];

/// How often it is checked whether it has stopped, and how long it first runs before it is stopped
/// again.
const LOOK: Duration = Duration::from_millis(1);

/// The longest time that it runs before it is stopped again; if hogs have the CPU, it takes long
/// until it runs at all.
const RUNS: Duration = Duration::from_millis(64);

/// Sends SIGINT to a child of ours while its heap is intact, and returns when that was. If it does
/// not come to such a place within `limit`, or the kernel does not say where it is, the signal is
/// sent all the same.
///
/// # Errors
/// The errno of kill(2).
pub fn interrupt(client: Pid, limit: Duration) -> Result<Nanos> {
    let began = Instant::now();
    let in_time = || began.elapsed() < limit;
    let mut runs = LOOK;
    while is_single_threaded(client) && !stops_outside_of_malloc(client, in_time)? && in_time() {
        send(client, Signal::CONT)?;
        thread::sleep(runs);
        runs = RUNS.min(runs.saturating_mul(2));
    }
    let told = clock::now();
    send(client, Signal::INT)?;
    send(client, Signal::CONT)?;
    Ok(told)
}

fn is_single_threaded(client: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", client.as_raw_nonzero()));
    threads.is_ok_and(|threads| threads.count() == 1)
}

/// Stops it, and returns whether that was at a place from which it may jump away; also true if that
/// is unknown, or if it did not stop in time.
fn stops_outside_of_malloc(client: Pid, in_time: impl Fn() -> bool) -> Result<bool> {
    send(client, Signal::STOP)?;
    let path = format!("/proc/{}/syscall", client.as_raw_nonzero());
    while in_time() {
        // Not even root can read it if Yama forbids all tracing.
        let Ok(said) = fs::read_to_string(&path) else { break };
        if let Some(outside) = is_outside_of_malloc(&said) {
            return Ok(outside);
        }
        thread::sleep(LOOK);
    }
    log::debug!("process {} is told to end wherever it is", client.as_raw_nonzero());
    Ok(true)
}

/// Interprets `/proc/PID/syscall` (`proc_pid_syscall` in fs/proc/base.c); `None` while the process
/// is running.
fn is_outside_of_malloc(said: &str) -> Option<bool> {
    match said.trim_end() {
        "running" => None,
        // It has ended, and has no stack any more.
        "-1 0x0 0x0" => Some(true),
        // -1 means its own code, of which nothing is known.
        said => {
            let number = said.split(' ').next().and_then(|word| word.parse().ok());
            Some(number.is_some_and(|call: i64| call >= 0 && !OF_MALLOC.contains(&call)))
        }
    }
}

fn send(client: Pid, signal: Signal) -> Result<()> {
    kill_process(client, signal).map_err(|e| Error::call("kill", "an iperf3 client", e.into()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        process::{Child, Command, Stdio},
    };

    use super::*;

    const NO_HANG: Duration = Duration::from_secs(60);

    #[test]
    fn a_place_is_judged_by_its_system_call() {
        assert_eq!(is_outside_of_malloc("running\n"), None);
        assert_eq!(is_outside_of_malloc("-1 0x7ffd8d2a52b0 0x7f387246ad6b\n"), Some(false));
        assert_eq!(is_outside_of_malloc("-1 0x0 0x0\n"), Some(true));
        let at = |call: i64| is_outside_of_malloc(&format!("{call} 0x4 0x7ffd 0x10 0x0 0x1 0x2\n"));
        assert_eq!(at(libc::SYS_pselect6), Some(true));
        assert_eq!(at(libc::SYS_write), Some(true));
        assert_eq!(at(libc::SYS_brk), Some(false));
    }

    /// A shell that repeats `work`, and prints a message when it is asked to end.
    fn client(work: &str) -> Child {
        // A shell cannot catch a signal that was ignored at its start, as in the background of
        // another one.
        let script = format!("trap 'echo bye; exit' INT; echo up; while :; do {work}; done");
        let mut client = Command::new("env");
        client.args(["--default-signal=INT", "sh", "-c", &script]);
        let mut client = client.stdout(Stdio::piped()).spawn().unwrap();
        client.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        client
    }

    fn said(client: &mut Child) -> String {
        let mut said = String::new();
        client.stdout.as_mut().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    #[test]
    fn one_that_waits_is_told_where_it_waits() {
        let mut client = client("sleep 0.01");
        let began = clock::now();
        let told = interrupt(Pid::from_child(&client), NO_HANG).unwrap();
        assert!(began <= told && told <= clock::now());
        assert_eq!(said(&mut client), "bye\n");
        // Not reaped yet: signalling a process that has ended is not an error.
        interrupt(Pid::from_child(&client), NO_HANG).unwrap();
        assert!(client.wait().unwrap().success());
    }

    #[test]
    fn one_that_never_waits_is_told_in_the_end() {
        let mut client = client(":");
        interrupt(Pid::from_child(&client), Duration::from_millis(20)).unwrap();
        assert_eq!(said(&mut client), "bye\n");
        assert!(client.wait().unwrap().success());
    }
}
