//! Programs that serve a load: those of a switch, servers. They run in their own cgroup and end
//! with the thread that started them.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use probe_core::error::{Error, Result};
use rustix::process::Pid;

use crate::{
    kernel::{affinity, cgroup::Cgroup, netns::Netns, program},
    sys::child::{self, ChildPlace},
};

/// How much of a program's output is included in an error, in bytes.
const LAST_WORDS: usize = 2000;

/// The environment of a process group's programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confinement<'a> {
    /// Name of their cgroup, which comes from [`Run::object`].
    ///
    /// [`Run::object`]: crate::kernel::run::Run::object
    pub(crate) cgroup: &'a str,
    /// Their network namespace.
    pub(crate) netns: &'a Netns,
    /// The CPUs that they may run on.
    pub(crate) cpus: &'a [u32],
    /// The Debian package that brings them.
    pub(crate) package: &'static str,
}

/// The programs. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    members: Vec<Member>,
    cgroup: Cgroup,
    netns: OwnedFd,
    cpus: Vec<u32>,
    package: &'static str,
}

/// A running program.
#[derive(Debug)]
struct Member {
    name: String,
    child: Child,
    said: File,
}

impl ProcessGroup {
    /// A process group without programs.
    ///
    /// # Errors
    /// There is no cgroup v2.
    pub(crate) fn new(confinement: Confinement<'_>) -> Result<Self> {
        Ok(Self {
            members: Vec::new(),
            cgroup: Cgroup::create(confinement.cgroup)?,
            netns: confinement.netns.try_clone()?,
            cpus: confinement.cpus.to_vec(),
            package: confinement.package,
        })
    }

    /// Starts a program that runs until the process group is closed. It is killed when the calling
    /// thread ends.
    ///
    /// # Errors
    /// It is not installed, or cannot be started.
    pub(crate) fn start(&mut self, command: Command) -> Result<u32> {
        let member = self.spawn(command)?;
        let pid = member.child.id();
        self.members.push(member);
        Ok(pid)
    }

    /// Runs a program to its end and returns its output, both streams.
    ///
    /// # Errors
    /// It is not installed, cannot be started, or ends with an error; the error has its output.
    pub(crate) fn run(&self, command: Command) -> Result<String> {
        let mut member = self.spawn(command)?;
        let status = member.child.wait();
        let status = status.map_err(|e| Error::call("waitpid", member.name.as_str(), e))?;
        match status.success() {
            true => member.said(),
            false => Err(member.inconsistent(&format!("ended with {status}"))),
        }
    }

    /// Checks that all started programs are still running.
    ///
    /// # Errors
    /// One has ended; the error has its last output.
    pub(crate) fn check(&mut self) -> Result<()> {
        for member in &mut self.members {
            let status = member.child.try_wait();
            let status = status.map_err(|e| Error::call("waitpid", member.name.as_str(), e))?;
            if let Some(status) = status {
                return Err(member.inconsistent(&format!("ended by itself with {status}")));
            }
        }
        Ok(())
    }

    /// The output of the program that was started last, if it has ended; it is then removed from
    /// the process group.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub(crate) fn ended(&mut self) -> Result<Option<String>> {
        let Some(member) = self.members.last_mut() else { return Ok(None) };
        let status = member.child.try_wait();
        let status = status.map_err(|e| Error::call("waitpid", member.name.as_str(), e))?;
        let gone = status.and_then(|_| self.members.pop());
        gone.map(|member| member.said()).transpose()
    }

    /// Uses `tell` to ask the program that was started last to end, and waits until it has. Returns
    /// its output and the result of `tell`. `None` if there is no program.
    ///
    /// # Errors
    /// An error of `tell`, or it does not end within `limit`.
    pub(crate) fn finish<T>(
        &mut self,
        tell: impl FnOnce(Pid) -> Result<T>,
        limit: Duration,
    ) -> Result<Option<(String, T)>> {
        let Some(member) = self.members.last_mut() else { return Ok(None) };
        // Not reaped yet, so the number is still its own.
        let told = tell(Pid::from_child(&member.child))?;
        let began = Instant::now();
        loop {
            if let Some(said) = self.ended()? {
                return Ok(Some((said, told)));
            }
            if began.elapsed() > limit {
                let late = format!("has not ended within {limit:?}");
                return Err(self
                    .members
                    .last()
                    .map_or(Error::Interrupted, |m| m.inconsistent(&late)));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills all of them and waits until they have ended.
    ///
    /// # Errors
    /// One does not end.
    pub(crate) fn close(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let killed = self.cgroup.kill();
        for mut member in self.members.drain(..) {
            // Killed; if not, it must not be waited for.
            if killed.is_ok() {
                let _ = member.child.wait();
            }
        }
        killed.and_then(|()| self.cgroup.remove())
    }

    fn spawn(&self, mut command: Command) -> Result<Member> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = |e| Error::file("create", std::env::temp_dir(), e);
        let said = tempfile::tempfile().map_err(file)?;
        let [out, err] = [said.try_clone().map_err(file)?, said.try_clone().map_err(file)?];
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let netns = self.netns.try_clone();
        let place = ChildPlace {
            cgroup: Some(self.cgroup.entrance()?),
            netns: Some(netns.map_err(|e| Error::call("fcntl(F_DUPFD)", "a namespace", e))?),
            cpus: Some(affinity::set(&self.cpus)?),
        };
        let child = child::start(command, place).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => program::missing(&name, self.package),
            _ => Error::call("execve", name.as_str(), e),
        })?;
        Ok(Member { name, child, said })
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.cgroup.name().is_empty() {
            return;
        }
        if let Err(error) = self.end() {
            log::warn!("{error}");
        }
    }
}

impl Member {
    fn said(&self) -> Result<String> {
        let failed = |e| Error::file("read", format!("what {} printed", self.name), e);
        let length = self.said.metadata().map_err(failed)?.len();
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.said.read_exact_at(&mut bytes, 0).map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn inconsistent(&self, why: &str) -> Error {
        let said = self.said().unwrap_or_default();
        let from = said.ceil_char_boundary(said.len().saturating_sub(LAST_WORDS));
        let last = said.get(from..).unwrap_or(&said).trim();
        Error::Inconsistent(format!("{} {why}: {last}", self.name))
    }
}

/// A program on PATH or among the system's own, as a command.
///
/// # Errors
/// It is not installed.
pub(crate) fn command(name: &str, package: &str) -> Result<Command> {
    program::find(name).map(Command::new).ok_or_else(|| program::missing(name, package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_installed_names_its_package() {
        assert!(command("sh", "dash").is_ok());
        let refused = command("no-such-program", "some-package").unwrap_err().to_string();
        assert!(refused.ends_with("Install it: `apt install some-package`"), "{refused}");
    }
}
