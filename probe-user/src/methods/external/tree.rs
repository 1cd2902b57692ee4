//! A program's processes, from its start to the end of the last one.
//!
//! They run in their own cgroup, which accounts for their CPU time. We are the subreaper, so
//! processes whose parents have ended become our children. Before we reap one, we read how much it
//! wrote: `/proc/PID/io` includes all its threads and all children that it reaped itself.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process_group,
    set_child_subreaper, waitid, waitpid,
};

use crate::{
    kernel::{affinity, cgroup::Cgroup, netns::Netns},
    sys::child::{self, ChildPlace},
};

/// How often a program is checked while it starts or ends.
const LOOK: Duration = Duration::from_millis(10);

/// System calls in which programs wait repeatedly for the next event.
///
/// Many programs only set a flag in their signal handler, and check it when such a wait was
/// interrupted. bpftrace's loop ends if `epoll_wait` returns so, or when it has something to print,
/// and otherwise never (`poll_perf_events` in src/bpftrace.cpp, 0.17). It misses a signal that
/// arrives between two waits, or after a wait has ended while it has not yet got a CPU.
const WAITS: [i64; 9] = [
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
];

/// How long a program that was asked to end may wait before we check whether it waits as if it had
/// not noticed.
const HEARS_WITHIN: Duration = Duration::from_secs(5);

/// Number of consecutive checks that must find it waiting. Work to end takes CPU time, or waits in
/// other calls.
const LOOKS: u32 = 20;

/// What a tree of processes wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// `wchar`: bytes passed to write(2), to any file.
    pub chars: u64,
    /// `write_bytes`: bytes made dirty on block devices, by any call.
    pub storage: u64,
}

/// How a program is started, and for whom.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// The CPUs that it may run on; empty for those of the calling thread.
    pub cpus: Vec<u32>,
    /// Set when the user asks to stop: then nothing is waited for any longer.
    pub interrupted: Option<Arc<AtomicBool>>,
}

impl Setting {
    fn check_interrupted(&self) -> Result<()> {
        match &self.interrupted {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }
}

/// A running program, and all processes that it started.
#[derive(Debug)]
pub struct Tree {
    program: String,
    // The child is reaped before its group is removed: see `drop`.
    child: Child,
    /// Whether it was reaped.
    reaped: bool,
    cgroup: Cgroup,
    /// Its output, both streams in order.
    said: File,
    written: Written,
    setting: Setting,
}

impl Tree {
    /// Starts `argv` in a new cgroup with this name; it is killed with the calling thread.
    ///
    /// # Errors
    /// There is no cgroup for it, or it cannot be started.
    pub fn start(
        argv: &[String],
        cgroup: &str,
        netns: Option<&Netns>,
        setting: Setting,
    ) -> Result<Self> {
        let [program, arguments @ ..] = argv else {
            return Err(Error::invalid("external program", "argv is empty", "Name a program"));
        };
        set_child_subreaper(Some(getpid()))
            .map_err(|e| Error::call("prctl(PR_SET_CHILD_SUBREAPER)", "us", e.into()))?;
        let cgroup = Cgroup::create(cgroup)?;
        let netns = netns.map(Netns::try_clone).transpose()?;
        let cpus = match &setting.cpus[..] {
            [] => None,
            cpus => Some(affinity::set(cpus)?),
        };
        let place = ChildPlace { cgroup: Some(cgroup.entrance()?), netns, cpus };
        let file = |e| Error::file("create", std::env::temp_dir(), e);
        let said = tempfile::tempfile().map_err(file)?;
        let [out, err] = [said.try_clone().map_err(file)?, said.try_clone().map_err(file)?];
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err);
        let child =
            child::start(command, place).map_err(|e| Error::call("execve", program.as_str(), e))?;
        let program = program.clone();
        let (reaped, written) = (false, Written::default());
        Ok(Self { program, child, reaped, cgroup, said, written, setting })
    }

    /// Starts another program with the same settings, outside any network namespace.
    ///
    /// # Errors
    /// As [`Tree::start`].
    pub fn beside(&self, argv: &[String], cgroup: &str) -> Result<Self> {
        Self::start(argv, cgroup, None, self.setting.clone())
    }

    /// Everything that it has printed so far.
    ///
    /// # Errors
    /// It cannot be read back.
    pub fn said(&self) -> Result<String> {
        let failed = |e| Error::file("read", format!("what {} printed", self.program), e);
        let mut bytes = vec![0; usize::try_from(self.printed()?).unwrap_or(usize::MAX)];
        self.said.read_exact_at(&mut bytes, 0).map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Number of bytes printed so far.
    fn printed(&self) -> Result<u64> {
        let failed = |e| Error::file("stat", format!("what {} printed", self.program), e);
        Ok(self.said.metadata().map_err(failed)?.len())
    }

    /// Waits until `ready` returns true for its output and run time.
    ///
    /// # Errors
    /// It has ended, or is not ready in time; the error has its last output. Or the user asked to
    /// stop.
    pub fn await_ready(
        &mut self,
        limit: Duration,
        ready: impl Fn(&str, Duration) -> bool,
    ) -> Result<()> {
        let began = Instant::now();
        loop {
            self.setting.check_interrupted()?;
            self.check_alive()?;
            if ready(&self.said()?, began.elapsed()) {
                return Ok(());
            }
            if began.elapsed() > limit {
                return Err(self.inconsistent(&format!("was not ready within {limit:?}")));
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until it has printed nothing new for `quiet`, so that it can read what its buffers
    /// hold; at most for `limit`, since some programs never stop printing.
    ///
    /// # Errors
    /// It has ended, its output cannot be read, or the user asked to stop.
    pub fn await_quiet(&mut self, quiet: Duration, limit: Duration) -> Result<()> {
        let began = Instant::now();
        let (mut length, mut since) = (self.printed()?, Instant::now());
        while since.elapsed() < quiet && began.elapsed() < limit {
            thread::sleep(LOOK);
            self.setting.check_interrupted()?;
            self.check_alive()?;
            let now = self.printed()?;
            if now != length {
                (length, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Checks that it has not ended by itself.
    ///
    /// # Errors
    /// It has.
    pub fn check_alive(&mut self) -> Result<()> {
        if self.has_ended()? { Err(self.inconsistent("ended by itself")) } else { Ok(()) }
    }

    /// CPU time of all its processes, including ended ones.
    ///
    /// # Errors
    /// The account cannot be read.
    pub fn cpu(&self) -> Result<Nanos> {
        self.cgroup.cpu()
    }

    /// What its ended processes wrote.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Asks it to end, and waits until the last of its processes has. It is asked again if it
    /// continues to wait as if it had not noticed.
    ///
    /// # Errors
    /// It does not end in time, or the user asked to stop; everything is killed then.
    pub fn stop(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        self.check_alive()?;
        self.tell(signal)?;
        let mut told = Told::now();
        self.await_end(limit, |tree| {
            if told.is_overlooked(tree.waits()) {
                log::info!("{} did not react to {signal:?}, which is sent again", tree.program);
                tree.tell(signal)?;
                told = Told::now();
            }
            Ok(())
        })
    }

    /// Sends a signal to its group. It is not reaped yet, so the number is still its own.
    fn tell(&self, signal: Signal) -> Result<()> {
        kill_process_group(Pid::from_child(&self.child), signal)
            .map_err(|e| Error::call("kill", self.program.as_str(), e.into()))
    }

    /// Whether the program itself is in one of [`WAITS`] (`proc_pid_syscall` in fs/proc/base.c).
    /// Unknown, so false, if it is running or may not be inspected.
    fn waits(&self) -> bool {
        let said = fs::read_to_string(format!("/proc/{}/syscall", self.child.id()));
        let call = said.ok().and_then(|said| said.split(' ').next()?.parse().ok());
        call.is_some_and(|call: i64| WAITS.contains(&call))
    }

    /// Waits until the last of its processes has ended.
    ///
    /// # Errors
    /// It does not end in time, or the user asked to stop; everything is killed then.
    pub fn finish(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.await_end(limit, |_| Ok(()))
    }

    fn await_end(
        &mut self,
        limit: Duration,
        mut look: impl FnMut(&Self) -> Result<()>,
    ) -> Result<ExitStatus> {
        let began = Instant::now();
        while !self.has_ended()? || self.cgroup.is_populated()? {
            let late = match self.setting.check_interrupted() {
                Ok(()) if began.elapsed() > limit => {
                    Err(self.inconsistent(&format!("did not end within {limit:?}, and was killed")))
                }
                Ok(()) => look(self),
                interrupted => interrupted,
            };
            if let Err(error) = late {
                self.end()?;
                return Err(error);
            }
            thread::sleep(LOOK);
        }
        self.reap()
    }

    /// Kills what is still running, and removes its group.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn close(mut self) -> Result<()> {
        self.end()?;
        self.cgroup.remove()
    }

    /// Whether the program itself has ended, without reaping it.
    fn has_ended(&self) -> Result<bool> {
        if self.reaped {
            return Ok(true);
        }
        has_ended(Pid::from_child(&self.child))
    }

    /// Reaps the program, and those of its processes that became our children.
    fn reap(&mut self) -> Result<ExitStatus> {
        if !self.reaped {
            self.note(Pid::from_child(&self.child));
        }
        let failed = |e| Error::call("waitpid", "an external program", e);
        let status = self.child.wait().map_err(failed)?;
        self.reaped = true;
        for orphan in orphans(self.cgroup.name())? {
            if has_ended(orphan)? {
                self.note(orphan);
                waitpid(Some(orphan), WaitOptions::NOHANG).map_err(|e| failed(e.into()))?;
            }
        }
        Ok(status)
    }

    /// Adds what an ended process wrote. If it cannot be read, that share is missing.
    fn note(&mut self, process: Pid) {
        let path = format!("/proc/{}/io", process.as_raw_nonzero());
        let text = fs::read_to_string(path).unwrap_or_default();
        let number =
            |key| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
        let Written { chars, storage } = &mut self.written;
        *chars = chars.saturating_add(number("wchar:").unwrap_or(0));
        *storage = storage.saturating_add(number("write_bytes:").unwrap_or(0));
    }

    /// An error with what happened to it and its last output.
    pub fn inconsistent(&self, what: &str) -> Error {
        let said = self.said().unwrap_or_default();
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(4)..).unwrap_or_default().join(" / ");
        let said =
            if last.is_empty() { "it printed nothing".into() } else { format!("it said: {last}") };
        Error::Inconsistent(format!("{} {what}; {said}", self.program))
    }

    fn end(&mut self) -> Result<()> {
        if !self.reaped || self.cgroup.is_populated()? {
            self.cgroup.kill()?;
            self.reap()?;
        }
        Ok(())
    }
}

/// The time at which a program was asked to end, and how often it was found waiting since.
#[derive(Debug)]
struct Told {
    at: Instant,
    looks: u32,
}

impl Told {
    fn now() -> Self {
        Self { at: Instant::now(), looks: 0 }
    }

    fn is_overlooked(&mut self, waits: bool) -> bool {
        let late = waits && self.at.elapsed() >= HEARS_WITHIN;
        self.looks = if late { self.looks.saturating_add(1) } else { 0 };
        self.looks == LOOKS
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::warn!("{error}");
        }
    }
}

fn has_ended(process: Pid) -> Result<bool> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(process), look) {
        Ok(status) => Ok(status.is_some()),
        Err(e) => Err(Error::call("waitid", "an external program", e.into())),
    }
}

/// Our children that live, or lived, in this cgroup.
fn orphans(cgroup: &str) -> Result<Vec<Pid>> {
    let us = std::process::id();
    let entries = fs::read_dir("/proc").map_err(|e| Error::file("read", "/proc", e))?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|&pid| is_ours(pid, us, cgroup)).filter_map(Pid::from_raw).collect())
}

fn is_ours(pid: i32, us: u32, cgroup: &str) -> bool {
    let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    // The name, in parentheses, can contain anything; state and parent follow it.
    let stat = read("stat");
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
    parent.and_then(|parent| parent.parse().ok()) == Some(us)
        && read("cgroup").lines().any(|line| line.split('/').any(|part| part == cgroup))
}
