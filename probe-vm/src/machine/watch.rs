//! Watches a running guest: passes its output on, and decides how it ended.

use super::{Ending, Machine};
use crate::interrupt;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// Time limit of a boot. Two minutes would be long; this allows for other work on the machine.
const BOOTS_WITHIN: Duration = Duration::from_secs(300);

/// What a guest writes to the port of its exit status when its command begins.
const BOOTED: &str = "booted\n";

/// Waits until a guest ends, in whatever way; QEMU has ended when this returns.
pub(crate) fn watch(mut qemu: Child, machine: &Machine, dir: &Path) -> Result<Ending> {
    let cut_short = follow(&mut qemu, machine, dir);
    if !matches!(cut_short, Ok(None)) {
        qemu.kill()?;
        qemu.wait()?;
    }
    Ok(cut_short?.unwrap_or_else(|| ending(dir)))
}

/// Passes output on until QEMU ends by itself or must be ended.
fn follow(qemu: &mut Child, machine: &Machine, dir: &Path) -> Result<Option<Ending>> {
    let start = Instant::now();
    let deadline = machine.timeout.map(|limit| start + limit);
    let mut booted = false;
    let mut out = Follower::new(&machine.port(dir, "stdout"), machine.live)?;
    let mut err = Follower::new(&machine.port(dir, "stderr"), machine.live)?;
    loop {
        // Checked before the last look at the files, so that nothing is left unread.
        let ended = qemu.try_wait().context("cannot wait for QEMU")?.is_some();
        out.pass_on(&mut io::stdout())?;
        err.pass_on(&mut io::stderr())?;
        if ended {
            return Ok(None);
        }
        if interrupt::requested() {
            return Ok(Some(Ending::Interrupted));
        }
        if deadline.is_some_and(|at| Instant::now() > at) {
            return Ok(Some(Ending::TimedOut));
        }
        booted = booted || report(dir).starts_with(BOOTED);
        if !booted && start.elapsed() > BOOTS_WITHIN {
            return Ok(Some(Ending::NotBooted));
        }
        std::thread::sleep(POLL);
    }
}

/// How a guest ended by itself: its status is on a port that neither the kernel's messages nor the
/// command's output can reach.
fn ending(dir: &Path) -> Ending {
    let report = report(dir);
    let status = report.lines().last().and_then(|line| line.strip_prefix("exit "));
    if let Some(status) = status.and_then(|status| status.parse().ok()) {
        return Ending::Exit(status);
    }
    let console = fs::read(dir.join("console.log")).unwrap_or_default();
    if String::from_utf8_lossy(&console).contains("Kernel panic") {
        return Ending::Panic;
    }
    // QEMU itself may give up during boot, for example by a failed assertion.
    if report.starts_with(BOOTED) { Ending::Lost } else { Ending::NotBooted }
}

/// What the guest wrote to the port of its exit status.
fn report(dir: &Path) -> String {
    fs::read_to_string(dir.join("exit")).unwrap_or_default()
}

/// Passes on a file while it grows.
struct Follower {
    file: Option<File>,
}

impl Follower {
    /// Follows nothing unless `live`.
    fn new(path: &Path, live: bool) -> Result<Self> {
        if !live {
            return Ok(Self { file: None });
        }
        // QEMU may not have created it yet; both get the same file, whoever creates it.
        let file = File::options().create(true).append(true).read(true).open(path);
        Ok(Self { file: Some(file.with_context(|| format!("cannot open {}", path.display()))?) })
    }

    fn pass_on(&mut self, to: &mut impl Write) -> Result<()> {
        if let Some(file) = &mut self.file
            && io::copy(file, to)? > 0
        {
            to.flush()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_booted_and_gave_no_status_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let ended = |report: &str| {
            fs::write(dir.path().join("exit"), report).unwrap();
            ending(dir.path())
        };
        assert_eq!(ended("booted\nexit 3\n"), Ending::Exit(3));
        assert_eq!(ended("booted\n"), Ending::Lost);
        assert_eq!(ended(""), Ending::NotBooted);
    }
}
