//! The guard of a process that makes kernel objects: when that is killed, nothing traced goes on.
//!
//! The guard is this program again, in a session of its own. It sleeps in a read from a socket
//! whose other end its process alone holds: the kernel closes that when the process has ended,
//! however it ended, and after the last of its system calls. Then the guard removes what carries
//! its process's tag, and ends. It holds the tag with its process, so that until then nobody takes
//! the two for dead, and no other campaign begins.
//!
//! Who kills both (a whole control group, a container's first process) leaves it to the next
//! `tracetoll run` or `tracetoll clean`.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{ErrorKind, Read as _, Write as _, stdin, stdout},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::leftovers;
use crate::{
    error::{Error, Result},
    kernel::{owner::Owner, tag::Tag},
};

/// What makes this program a guard, as its first word; the tag is the second. No command that
/// people type.
pub const WORD: &str = "guard-of";

/// This program, even where its file has another name by now.
const PROGRAM: &str = "/proc/self/exe";

/// How long it may take to start: long on an emulated machine under load.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What it says when nothing can end it any more but SIGKILL.
const READY: [u8; 1] = *b"r";

/// A guard that watches over this process until it is dropped, which is after everything that is
/// made under it.
#[derive(Debug)]
pub struct Guard {
    /// None once it was let go.
    line: Option<UnixStream>,
    child: Child,
}

impl Guard {
    /// Has this process guarded. It must be `tracetoll`: the guard is the same program.
    ///
    /// # Errors
    /// It cannot be started; or as [`Owner::own`].
    pub fn start() -> Result<Self> {
        let owner = Owner::own()?;
        let failed = |e| {
            let error = Error::call("execve", format!("{PROGRAM}, to guard this run"), e);
            error.or_remedy("Mount /proc: mount -t proc proc /proc")
        };
        let (ours, its) = UnixStream::pair().map_err(failed)?;
        let child = Command::new(PROGRAM)
            .arg0("tracetoll")
            .args([WORD, &owner.tag().to_string()])
            .stdin(OwnedFd::from(its))
            // Not to write to: to hold the tag by.
            .stdout(owner.share()?)
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut guard = Self { line: Some(ours), child };
        guard.await_ready().map_err(failed)?;
        Ok(guard)
    }

    fn await_ready(&mut self) -> std::io::Result<()> {
        let Some(line) = &mut self.line else { return Ok(()) };
        line.set_read_timeout(Some(READY_WITHIN))?;
        line.read_exact(&mut [0; READY.len()])
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It looks whether anything is left, and ends.
        self.line.take();
        if let Err(error) = self.child.wait() {
            log::warn!("waiting for the guard: {error}");
        }
    }
}

/// The guard's life, in a process of its own. `words` follow [`WORD`].
pub fn live(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let tag = words.next().and_then(|word| Tag::parse(word.to_str()?));
    match tag.and_then(|tag| watch(tag).ok()) {
        Some(()) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

fn watch(tag: Tag) -> Result<()> {
    let failed = |e| Error::call("dup", "a guard's descriptors", e);
    let held = File::from(stdout().as_fd().try_clone_to_owned().map_err(failed)?);
    if !Owner::is_inherited(&held, tag) {
        return Err(Error::Untrue(format!("this is not the guard of {tag}")));
    }
    let line = stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    settle()?;
    await_end(line.into());
    leftovers::sweep_after(tag).map(drop)
}

/// Makes itself hard to end and easy to find.
fn settle() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(|e| Error::call("sigaction", "a guard", e))?;
    }
    rustix::process::setsid().map_err(|e| Error::call("setsid", "a guard", e.into()))?;
    // Neither matters enough to do without a guard.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = rustix::thread::set_name(c"tracetoll-guard");
    Ok(())
}

/// Returns when nobody holds the other end any more.
fn await_end(mut line: UnixStream) {
    if line.write_all(&READY).is_err() {
        return;
    }
    loop {
        match line.read(&mut [0; 1]) {
            // Nobody writes to it.
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A reset is an end as well: of one that had not read yet what the guard wrote.
            Ok(0) | Err(_) => return,
        }
    }
}
