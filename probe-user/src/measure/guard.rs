//! The guard of a process that creates kernel objects: if that process is killed, tracing stops.
//!
//! The guard is this program again, in its own process group. It sleeps in a read from a socket
//! whose other end only the guarded process holds. The kernel closes that end when the process has
//! ended, in whatever way, and after its last system call. Then the guard removes everything that
//! carries the process's tag, and ends. It holds the tag together with the process, so that until
//! then nobody takes the two for dead, and no other campaign starts.
//!
//! If both are killed (a whole control group, a container's first process), the next `tracetoll
//! run` or `tracetoll clean` does this.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, ErrorKind, Read as _, Write as _, stdin, stdout},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use probe_core::error::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::leftovers;
use crate::kernel::{owner::Owner, tag::Tag};

/// The first argument that makes this program a guard; the tag is the second. It is not a command
/// for users.
pub const WORD: &str = "guard-of";

/// This program, even if its file has been renamed.
const PROGRAM: &str = "/proc/self/exe";

/// Time limit for its start, which takes long on an emulated machine under load.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What it sends when only SIGKILL can end it any more.
const READY: [u8; 1] = *b"r";

/// A guard that watches this process until it is dropped, which must be after everything that is
/// created under it.
#[derive(Debug)]
pub struct Guard {
    /// `None` after it was released.
    line: Option<UnixStream>,
    child: Child,
}

impl Guard {
    /// Starts a guard for this process, which must be `tracetoll`: the guard is the same program.
    ///
    /// # Errors
    /// It cannot be started; or as [`Owner::own`].
    pub fn start() -> Result<Self> {
        let owner = Owner::own()?;
        Self::spawn(PROGRAM, owner.tag(), owner.share()?, READY_WITHIN)
    }

    fn spawn(program: &str, tag: Tag, held: OwnedFd, within: Duration) -> Result<Self> {
        let (ours, its) = UnixStream::pair().map_err(|e| refused("socketpair", e))?;
        let child = Command::new(program)
            .arg0("tracetoll")
            .args([WORD, &tag.to_string()])
            .stdin(OwnedFd::from(its))
            // Not to write to it, but to hold the tag.
            .stdout(held)
            .stderr(Stdio::null())
            // From the start: Ctrl-C and timeout(1) signal the whole process group of a run.
            .process_group(0)
            .spawn()
            .map_err(|e| refused("execve", e))?;
        let mut guard = Self { line: Some(ours), child };
        guard.await_ready(within)?;
        Ok(guard)
    }

    fn await_ready(&mut self, within: Duration) -> Result<()> {
        let Some(line) = &mut self.line else { return Ok(()) };
        let ready = line
            .set_read_timeout(Some(within))
            .and_then(|()| line.read_exact(&mut [0; READY.len()]));
        let Err(error) = ready else { return Ok(()) };
        // It has not started; this process ends normally and takes everything with it.
        let _ = self.child.kill();
        let status = self.child.wait().map_err(|e| refused("waitpid", e))?;
        let (why, hint) = match error.kind() {
            ErrorKind::WouldBlock => (
                format!("it was not ready within {} s", within.as_secs()),
                "Try again when this machine is less busy",
            ),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => (
                format!("it ended at its start, with {status}"),
                "Try again, and make sure that nothing kills it; `dmesg` shows whether the kernel \
                 did",
            ),
            _ => return Err(refused("read", error)),
        };
        Err(Error::unsupported(SUBJECT, why, hint))
    }

    /// Starts another guard if this one has been killed, and returns its exit status.
    ///
    /// # Errors
    /// As [`Guard::start`].
    pub fn renew(&mut self) -> Result<Option<ExitStatus>> {
        let ended = self.child.try_wait().map_err(|e| refused("waitpid", e))?;
        if ended.is_some() {
            *self = Self::start()?;
        }
        Ok(ended)
    }
}

/// The subject of errors.
const SUBJECT: &str = "the guard of this run";

/// The system's error, with what helps against it.
fn refused(call: &'static str, error: io::Error) -> Error {
    let hint = match error.raw_os_error() {
        // The only path involved is that of the program.
        Some(libc::ENOENT) => "Mount /proc: mount -t proc proc /proc",
        Some(libc::EAGAIN) => {
            "Stop some processes, or raise their limit (`ulimit -u`, pids.max of the control group)"
        }
        Some(libc::ENOMEM) => "Free some memory",
        Some(libc::EMFILE) => "Raise the limit of open files: ulimit -n 4096",
        Some(libc::ENFILE) => "Raise the host's limit of open files: sysctl fs.file-max",
        Some(libc::EACCES | libc::EPERM) => {
            "Allow tracetoll to start itself: a security module or a noexec mount forbids it"
        }
        _ => return Error::call(call, SUBJECT, error),
    };
    Error::call(call, SUBJECT, error).with_hint(hint)
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It checks whether anything is left, and ends.
        self.line.take();
        if let Err(error) = self.child.wait() {
            log::warn!("waiting for the guard: {error}");
        }
    }
}

/// The guard's main function, in its own process. `words` follow [`WORD`].
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
        return Err(Error::Inconsistent(format!("this is not the guard of {tag}")));
    }
    let line = stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    settle()?;
    await_end(line.into());
    leftovers::sweep_after(tag).map(drop)
}

/// Makes the guard hard to kill and easy to find.
fn settle() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(|e| Error::call("sigaction", "a guard", e))?;
    }
    // Neither is important enough to do without a guard.
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
            // A reset also means the end: of a process that had not yet read what the guard wrote.
            Ok(0) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(program: &str, within: Duration) -> String {
        let held = File::options().write(true).open("/dev/null").unwrap();
        let (tag, held) = (Tag::draw(), OwnedFd::from(held));
        Guard::spawn(program, tag, held, within).unwrap_err().to_string()
    }

    #[test]
    fn each_reason_not_to_start_has_its_hint() {
        assert_eq!(
            spawn("/no/proc/self/exe", READY_WITHIN),
            "execve on the guard of this run: No such file or directory (os error 2). Mount \
             /proc: mount -t proc proc /proc"
        );
        let ended = spawn("/bin/true", READY_WITHIN);
        assert!(ended.contains("it ended at its start, with exit status: 0. Try again"), "{ended}");
        let told = |errno| refused("execve", io::Error::from_raw_os_error(errno)).to_string();
        for (errno, hint) in [
            (libc::EAGAIN, ". Stop some processes, or raise"),
            (libc::ENOMEM, ". Free some memory"),
            (libc::EMFILE, ". Raise the limit of open files"),
            (libc::EACCES, ". Allow tracetoll to start itself"),
        ] {
            assert!(told(errno).contains(hint), "{}", told(errno));
        }
        assert!(told(libc::EIO).ends_with("(os error 5)"), "{}", told(libc::EIO));
    }

    #[test]
    fn one_that_is_not_ready_is_told_apart_from_one_that_ended() {
        // It runs forever, and sends nothing.
        let late = spawn("/usr/bin/yes", Duration::from_millis(100));
        assert!(late.contains("not ready within"), "{late}");
    }
}
