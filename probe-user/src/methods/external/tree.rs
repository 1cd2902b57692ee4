//! A program's processes, from its start to the end of the last of them.
//!
//! They live in a cgroup of their own, which accounts for their CPU time. We are the subreaper, so
//! that processes whose parents have ended come to us, and each that we wait for is asked first how
//! much it wrote: `/proc/PID/io` holds what all its threads wrote and all children that it waited
//! for itself.

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

/// How often a program that starts or ends is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// System calls in which programs wait for what comes next, again and again.
///
/// Many only note a signal in its handler, and look at the note when such a wait was interrupted:
/// bpftrace's loop ends if `epoll_wait` says so, or when it has something to print, and else never
/// (`poll_perf_events` in src/bpftrace.cpp, 0.17). A signal that comes between two waits, or when
/// one is over and the program has yet to get a CPU, is lost on it.
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

/// How long a program that was told to end may wait before it is looked at whether it waits as if
/// it had not been told.
const HEARS_WITHIN: Duration = Duration::from_secs(5);

/// So many looks in a row find it waiting then. What it does to end takes CPU time, or waits in
/// other calls.
const LOOKS: u32 = 20;

/// What a tree wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// `wchar`: bytes passed to write(2), to whatever file.
    pub chars: u64,
    /// `write_bytes`: bytes that it made dirty on block devices, by whatever call.
    pub storage: u64,
}

/// Where a program is started, and on whose behalf.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// The CPUs that it may run on; empty for those of the calling thread.
    pub cpus: Vec<u32>,
    /// Set when the user asks for the end: nothing is waited for any longer.
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

/// A program that runs, and all that it started.
#[derive(Debug)]
pub struct Tree {
    program: String,
    // The child is waited for before its group is removed: see `drop`.
    child: Child,
    /// Whether it was waited for.
    reaped: bool,
    cgroup: Cgroup,
    /// What it prints, both streams in order.
    said: File,
    written: Written,
    setting: Setting,
}

impl Tree {
    /// Starts `argv` in a new cgroup of this name; it is killed with the calling thread.
    ///
    /// # Errors
    /// There is no cgroup to put it in, or it cannot be started.
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

    /// Starts another program in the same setting, outside of any network namespace.
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

    /// How much it has printed so far, in bytes.
    fn printed(&self) -> Result<u64> {
        let failed = |e| Error::file("stat", format!("what {} printed", self.program), e);
        Ok(self.said.metadata().map_err(failed)?.len())
    }

    /// Waits until `ready` says so of what it has printed and how long it has run.
    ///
    /// # Errors
    /// It has ended, or is not ready in time; the text says what it printed last. Or the user asked
    /// for the end.
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

    /// Waits until it has printed nothing new for as long as `quiet`, so that it gets to read what
    /// its buffers hold; at most until `limit`, as some never fall silent.
    ///
    /// # Errors
    /// It has ended, what it printed cannot be read, or the user asked for the end.
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

    /// Makes sure that it has not ended by itself.
    ///
    /// # Errors
    /// It has.
    pub fn check_alive(&mut self) -> Result<()> {
        if self.has_ended()? { Err(self.inconsistent("ended by itself")) } else { Ok(()) }
    }

    /// CPU time of all its processes, ended ones included.
    ///
    /// # Errors
    /// The account cannot be read.
    pub fn cpu(&self) -> Result<Nanos> {
        self.cgroup.cpu()
    }

    /// What those of its processes wrote that have ended.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Asks it to end, and waits until the last of its processes has. It is asked again if it goes
    /// on waiting as if nothing had been said.
    ///
    /// # Errors
    /// It does not end in time, or the user asked for the end; everything is killed then.
    pub fn stop(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        self.check_alive()?;
        self.tell(signal)?;
        let mut told = Told::now();
        self.await_end(limit, |tree| {
            if told.is_overlooked(tree.waits()) {
                log::info!("{} overlooked {signal:?}, and is sent it again", tree.program);
                tree.tell(signal)?;
                told = Told::now();
            }
            Ok(())
        })
    }

    /// Sends its group a signal. It is not waited for yet, so the number is still its own.
    fn tell(&self, signal: Signal) -> Result<()> {
        kill_process_group(Pid::from_child(&self.child), signal)
            .map_err(|e| Error::call("kill", self.program.as_str(), e.into()))
    }

    /// Whether the program itself is in one of [`WAITS`] (`proc_pid_syscall` in fs/proc/base.c). Of
    /// one that runs, or may not be looked at, nothing is known.
    fn waits(&self) -> bool {
        let said = fs::read_to_string(format!("/proc/{}/syscall", self.child.id()));
        let call = said.ok().and_then(|said| said.split(' ').next()?.parse().ok());
        call.is_some_and(|call: i64| WAITS.contains(&call))
    }

    /// Waits until the last of its processes has ended.
    ///
    /// # Errors
    /// It does not end in time, or the user asked for the end; everything is killed then.
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

    /// Kills what still runs, and removes the group that held it.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn close(mut self) -> Result<()> {
        self.end()?;
        self.cgroup.remove()
    }

    /// Whether the program itself has ended; it is not waited for.
    fn has_ended(&self) -> Result<bool> {
        if self.reaped {
            return Ok(true);
        }
        has_ended(Pid::from_child(&self.child))
    }

    /// Waits for the program, and for those of its processes that have come to us.
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

    /// Adds what an ended process wrote. A process that cannot be asked wrote what we do not know:
    /// its share is missing.
    fn note(&mut self, process: Pid) {
        let path = format!("/proc/{}/io", process.as_raw_nonzero());
        let text = fs::read_to_string(path).unwrap_or_default();
        let number =
            |key| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
        let Written { chars, storage } = &mut self.written;
        *chars = chars.saturating_add(number("wchar:").unwrap_or(0));
        *storage = storage.saturating_add(number("write_bytes:").unwrap_or(0));
    }

    /// An error that says what became of it and what it printed last.
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

/// That a program was told to end, and how often it was found waiting since.
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
    // The name, in parentheses, may hold anything; state and parent follow.
    let stat = read("stat");
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
    parent.and_then(|parent| parent.parse().ok()) == Some(us)
        && read("cgroup").lines().any(|line| line.split('/').any(|part| part == cgroup))
}
