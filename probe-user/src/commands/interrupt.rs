//! How users and systems ask a command to end.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use probe_core::error::{Error, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

use crate::cli::Status;

/// A signal this soon after the first is the same request: timeout(1) signals its child and then
/// its group, and a shell tells its jobs about the end of the terminal, as the kernel does too.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// A flag that SIGINT, SIGTERM and SIGHUP set. A second SIGINT or SIGTERM ends the process at once
/// and leaves the rest to its guard; a terminal closes only once. A signal that the caller ignored,
/// as nohup(1) does, remains ignored.
///
/// # Errors
/// The handlers cannot be set.
pub fn on_interrupt() -> Result<Arc<AtomicBool>> {
    let failed = |e| Error::call("sigaction", "the process", e);
    let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    let heard =
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = Signals::new(heard).map_err(failed)?;
    let flag = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&flag);
    let listen = move || {
        let mut first = None;
        for signal in signals.forever() {
            let first = *first.get_or_insert_with(Instant::now);
            if asked.swap(true, Ordering::Relaxed) && insists(signal, first.elapsed()) {
                low_level::exit(Status::Interrupted.number().into());
            }
        }
    };
    thread::Builder::new().name("tracetoll-asked".into()).spawn(listen).map_err(failed)?;
    Ok(flag)
}

/// Whether another signal, this long after the first, is a new request.
fn insists(signal: i32, after: Duration) -> bool {
    signal != SIGHUP && after > SAME_REQUEST
}

/// The ignored signals, as bits (`SigIgn` in proc_pid_status(5)).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_again_later_insists() {
        assert!(!insists(SIGINT, Duration::from_millis(20)));
        assert!(!insists(SIGTERM, SAME_REQUEST));
        assert!(
            insists(SIGINT, Duration::from_secs(2)) && insists(SIGTERM, Duration::from_secs(2))
        );
        assert!(!insists(SIGHUP, Duration::from_secs(2)));
    }

    #[test]
    fn ignored_signals_are_bits_from_one() {
        let mask = ignored("Name:\tx\nSigBlk:\tffff\nSigIgn:\t0000000000001001\nSigCgt:\t0\n");
        assert_eq!(mask >> (SIGHUP - 1) & 1, 1);
        assert_eq!(mask >> (SIGINT - 1) & 1, 0);
        assert_eq!(ignored("SigIgn:\tx"), 0);
    }
}
