//! How a client is told to end its test, so that it lives to tell of it.
//!
//! iperf3 leaves the signal's handler by longjmp and goes on to its report, from wherever it was
//! (`sigend_handler` in src/main.c, 3.12). If that was the middle of malloc, the heap stays as it
//! was there, and the next allocation ends in glibc's "malloc assertion failure in sysmalloc"
//! instead of a report. This is not as rare as it seems: malloc has moved the heap's top and not
//! yet written its size when it touches a new page first, and signals are looked for at the end of
//! just that page fault. Where memory comes slowly, as in a VM full of hogs, that is where a client
//! spends much of its time.
//!
//! So it is stopped until that happens in a system call that malloc does not make. The guests' own
//! script does the same (`probe-vm/src/image/orders.sh`). Newer versions send from threads of their
//! own, and a signal to a stopped process may go to any of them; there its first thread, which the
//! handler is for, only waits and adds up, and is told without further ado.

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

/// System calls by which malloc has the kernel give and take memory, or waits for another thread.
const OF_MALLOC: [i64; 7] = [
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
];

/// How often it is looked whether it has stopped, and how long it runs at first before it is
/// stopped again.
const LOOK: Duration = Duration::from_millis(1);

/// How long it runs at most before it is stopped again; where hogs have the CPU, it takes long
/// until it runs at all.
const RUNS: Duration = Duration::from_millis(64);

/// Sends a child of ours SIGINT while its heap is whole, and says when that was. If it comes to no
/// such place within `limit`, or the kernel does not tell where it is, it is sent all the same.
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

/// Stops it, and says whether that was in a place from which it may jump away; also if that cannot
/// be told, or not in time.
fn stops_outside_of_malloc(client: Pid, in_time: impl Fn() -> bool) -> Result<bool> {
    send(client, Signal::STOP)?;
    let path = format!("/proc/{}/syscall", client.as_raw_nonzero());
    while in_time() {
        // Not even root may read it where Yama forbids all tracing.
        let Ok(said) = fs::read_to_string(&path) else { break };
        if let Some(outside) = is_outside_of_malloc(&said) {
            return Ok(outside);
        }
        thread::sleep(LOOK);
    }
    log::debug!("process {} is told to end wherever it is", client.as_raw_nonzero());
    Ok(true)
}

/// What `/proc/PID/syscall` says of it (`proc_pid_syscall` in fs/proc/base.c); none while the
/// process still runs.
fn is_outside_of_malloc(said: &str) -> Option<bool> {
    match said.trim_end() {
        "running" => None,
        // It has ended, and has no stack any more.
        "-1 0x0 0x0" => Some(true),
        // -1 is for its own code, of which nothing is known.
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

    /// A shell that does `work` again and again, and says so when it is told to end.
    fn client(work: &str) -> Child {
        // A shell cannot catch what was ignored when it began, as in the background of another one.
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
        // Not waited for yet: to tell one that has ended is no error.
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
