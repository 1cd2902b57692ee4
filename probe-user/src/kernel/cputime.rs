//! CPU time in nanoseconds from the scheduler's own accounting, never from ticks.
//!
//! Both sources count without `kernel.sched_schedstats`: that switch adds the wake-up and wait
//! statistics, while the fields used here belong to `CONFIG_SCHED_INFO` (kernel/sched/stats.h),
//! which `CONFIG_SCHEDSTATS` selects.
//!
//! Limits: a thread's `run` includes its current slice only up to the last tick, so a thread's time
//! is exact only while it sleeps. A CPU's `run` grows only when a task leaves the CPU, so a task
//! that runs alone (a hog without competitors) is missing until it is switched out.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::fs;

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};

use super::reread::Reread;

/// What a thread or a CPU has spent since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Time on a CPU; for a CPU, time that tasks other than idle ran on it.
    pub run: Nanos,
    /// Time ready to run, but waiting for a CPU; for a CPU, of all its tasks.
    pub delay: Nanos,
}

impl Spent {
    /// The difference to `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { run: self.run.since(earlier.run), delay: self.delay.since(earlier.delay) }
    }
}

/// How often the calling thread has gone to sleep since it started, and so how often it was woken:
/// its voluntary context switches (`/proc/thread-self/status`).
///
/// # Errors
/// The file cannot be read, or has no such line.
pub fn sleeps() -> Result<u64> {
    const STATUS: &str = "/proc/thread-self/status";
    let text = fs::read_to_string(STATUS).map_err(|e| Error::file("read", STATUS, e))?;
    let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let count = count.and_then(|count| count.trim().parse().ok());
    count.ok_or_else(|| Error::malformed(STATUS, "no voluntary_ctxt_switches"))
}

/// CPU time of one thread; the file stays open.
#[derive(Debug)]
pub struct ThreadTime(Reread);

impl ThreadTime {
    /// Opens the account of `tid`: a thread of any process, or of the kernel.
    ///
    /// # Errors
    /// There is no such thread, or the kernel has no `CONFIG_SCHED_INFO`.
    pub fn of(tid: u32) -> Result<Self> {
        Reread::open(format!("/proc/{tid}/task/{tid}/schedstat")).map(Self)
    }

    /// What the thread has spent.
    ///
    /// # Errors
    /// The thread has ended (`ESRCH`).
    pub fn read(&mut self) -> Result<Spent> {
        self.0.parse(parse_thread)
    }
}

/// CPU time of every online CPU; the file stays open.
#[derive(Debug)]
pub struct SystemTime(Reread);

impl SystemTime {
    /// Opens the account of the system.
    ///
    /// # Errors
    /// The kernel has no `CONFIG_SCHEDSTATS`.
    pub fn open() -> Result<Self> {
        let opened = Reread::open("/proc/schedstat");
        opened.map(Self).map_err(|e| e.with_hint("Run a kernel with CONFIG_SCHEDSTATS"))
    }

    /// What each CPU has spent: `(number, spent)`.
    ///
    /// # Errors
    /// The file has an unknown version.
    pub fn read(&mut self) -> Result<Vec<(u32, Spent)>> {
        self.0.parse(parse_system)
    }
}

/// `/proc/PID/task/TID/schedstat`: ns on a CPU, ns waiting for one, number of slices.
pub(crate) fn parse_thread(text: &str) -> std::result::Result<Spent, String> {
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(Ok(run)), Some(Ok(delay)), Some(Ok(_slices)), None) => {
            Ok(Spent { run: Nanos(run), delay: Nanos(delay) })
        }
        _ => Err(format!("`{}` is not three numbers", text.trim_end())),
    }
}

/// `/proc/schedstat`, Documentation/scheduler/sched-stats.rst: the 7th number of a `cpuN` line is
/// `rq_cpu_time`, the 8th `run_delay`, both in ns (the document's "jiffies" is outdated). Versions
/// 16 and 17 changed only the `domain` lines.
fn parse_system(text: &str) -> std::result::Result<Vec<(u32, Spent)>, String> {
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix("version "));
    if !matches!(version, Some("15" | "16" | "17")) {
        return Err(format!("unknown version {}", version.unwrap_or("(none)")));
    }
    let cpus = lines.filter_map(|line| line.strip_prefix("cpu").map(|rest| (line, rest)));
    cpus.map(|(line, rest)| parse_cpu(rest).ok_or_else(|| format!("`{line}`"))).collect()
}

fn parse_cpu(rest: &str) -> Option<(u32, Spent)> {
    let mut fields = rest.split_ascii_whitespace();
    let cpu = fields.next()?.parse().ok()?;
    let counts = fields.map(str::parse).collect::<std::result::Result<Vec<u64>, _>>().ok()?;
    let [_, _, _, _, _, _, run, delay, _slices] = counts[..] else { return None };
    Some((cpu, Spent { run: Nanos(run), delay: Nanos(delay) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    // As Linux 6.1 prints it, with shortened domain lines.
    const V15: &str = "version 15\ntimestamp 4294893287\ncpu0 0 0 0 0 0 0 2183356017 305946217 \
                       1542\ndomain0 3 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 2535970174 81704349 \
                       733\ndomain0 3 0 0 0 0 0 0\n";

    // Linux 7.3.
    const V17: &str = "version 17\ntimestamp 4294893378\ncpu0 0 0 0 0 0 0 2986598856 701664707 \
                       1673\ndomain0 MC 3 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 1572446555 741206795 \
                       1330\ndomain0 MC 3 0 0 0 0 0 0\n";

    fn spent(run: u64, delay: u64) -> Spent {
        Spent { run: Nanos(run), delay: Nanos(delay) }
    }

    #[test]
    fn cpus_are_read_whatever_their_domains_look_like() {
        let v15 =
            vec![(0, spent(2_183_356_017, 305_946_217)), (1, spent(2_535_970_174, 81_704_349))];
        assert_eq!(parse_system(V15), Ok(v15));
        let v17 =
            vec![(0, spent(2_986_598_856, 701_664_707)), (1, spent(1_572_446_555, 741_206_795))];
        assert_eq!(parse_system(V17), Ok(v17));
    }

    #[test]
    fn an_unknown_version_and_a_short_line_are_refused() {
        assert!(parse_system(&V15.replace("version 15", "version 18")).is_err());
        assert!(parse_system(&V15.replace(" 1542", "")).unwrap_err().contains("cpu0"));
        assert!(parse_system("").is_err());
    }

    #[test]
    fn a_thread_is_three_numbers() {
        assert_eq!(parse_thread("771824 91342 12\n"), Ok(spent(771_824, 91_342)));
        for text in ["", "1 2", "1 2 3 4", "1 -2 3"] {
            assert!(parse_thread(text).is_err(), "{text}");
        }
    }

    #[test]
    fn this_thread_spends_time() {
        let tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        let mut time = ThreadTime::of(tid).unwrap();
        let first = time.read().unwrap();
        let mut sum = 0_u64;
        // A tick updates the figure.
        while time.read().unwrap().run == first.run {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(time.read().unwrap().since(first).run > Nanos(0));
    }
}
