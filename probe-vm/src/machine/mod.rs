//! A QEMU guest with a stock Debian kernel that runs one command.
//!
//! A [`Machine`] says what to boot and run; [`Machine::run`] boots it and returns the [`Outcome`].
//! Each run has its own folder (see [`store`]) and shares nothing else, so any number of them can
//! run side by side. If QEMU emulates (TCG), no privileges are needed.

mod accel;
mod guest;
mod pool;
mod qemu;
mod tools;
mod watch;

pub use accel::AccelArg;
pub use pool::{carried, run_all};
pub use tools::Tools;
pub(crate) use tools::busybox;

use crate::kernels::Kernel;
use crate::protocol::{ClockName, RESULTS};
use crate::store;
use crate::tell::tell;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What the guest's clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Real time.
    Wall,
    /// Instructions: one takes 2^shift ns (QEMU's -icount), so that a run can be reproduced.
    Counted {
        /// 0 for costs, 2 for experiments in which the guest's time must pass.
        shift: u8,
    },
}

impl Clock {
    fn name(self) -> ClockName {
        match self {
            Self::Wall => ClockName::Wall,
            Self::Counted { .. } => ClockName::Counted,
        }
    }
}

/// Where the guest's programs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Boot {
    /// The machine's own root, read-only over 9p below an overlay; it has every program of the
    /// host.
    #[value(name = "9p")]
    NineP,
    /// A self-contained initramfs: busybox and the given files. Reproducible runs need this one.
    Initramfs,
}

impl Boot {
    fn as_str(self) -> &'static str {
        match self {
            Self::NineP => "9p",
            Self::Initramfs => "initramfs",
        }
    }
}

/// One guest and its command.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The kernel that it boots.
    pub kernel: Kernel,
    /// Its processors.
    pub cpus: u32,
    /// As QEMU's `-m` takes it: `2G`.
    pub memory: String,
    /// What its clock counts.
    pub clock: Clock,
    /// Seed of the guest's random numbers; `None` leaves them random.
    pub seed: Option<u64>,
    /// Where its programs come from.
    pub boot: Boot,
    /// Emulates an AMD processor with SVM, so that KVM works inside the guest.
    pub nested: bool,
    /// More kernel arguments.
    pub append: Option<String>,
    /// Pages of 2 MiB that the guest's kernel reserves at boot.
    pub huge_pages: u64,
    /// Files for a self-contained guest: (here, there).
    pub files: Vec<(PathBuf, String)>,
    /// A folder that the guest can write to, under the same path (9p), and where its result lines
    /// go.
    pub results: Option<PathBuf>,
    /// Environment variables of the command.
    pub env: Vec<(String, String)>,
    /// The command with its arguments.
    pub command: Vec<OsString>,
    /// Connects the console to the terminal, and runs the command on the console.
    pub shell: bool,
    /// Passes the command's output on while it runs.
    pub live: bool,
    /// Time limit of the guest, including its boot.
    pub timeout: Option<Duration>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The command ended with this status; 128 + n for signal n.
    Exit(u8),
    /// The guest's kernel panicked.
    Panic,
    /// The guest ended without giving a status.
    Lost,
    /// The command did not start in any of the tries.
    NotBooted,
    /// The command took longer than the time limit.
    TimedOut,
    /// Ctrl-C ended it.
    Interrupted,
}

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The run's folder: `console.log`, `stdout`, `stderr`.
    pub dir: PathBuf,
    /// The lines that the guest wrote to [`crate::protocol::RESULTS_PORT`].
    pub lines: PathBuf,
}

impl Machine {
    /// Two CPUs, 2 GiB, real time, the machine's own root.
    pub fn new(kernel: Kernel, command: Vec<OsString>) -> Self {
        Self {
            kernel,
            cpus: 2,
            memory: "2G".to_owned(),
            clock: Clock::Wall,
            seed: None,
            boot: Boot::NineP,
            nested: false,
            append: None,
            huge_pages: 0,
            files: Vec::new(),
            results: None,
            env: Vec::new(),
            command,
            shell: false,
            live: true,
            timeout: Some(Duration::from_secs(3600)),
        }
    }

    /// Boots the guest and waits for its end.
    ///
    /// Sometimes QEMU loses the timer interrupts of an emulated processor during boot and the guest
    /// hangs ("timer wakeup didn't happen"), or QEMU fails one of its own assertions
    /// (`iotlb_to_section`), or the guest's clock runs at the wrong speed (stage2.sh). The command
    /// has not started then, and the guest is booted again. A guest that dies is an [`Ending`], not
    /// an error.
    pub fn run(&self, tools: &Tools) -> Result<Outcome> {
        const TRIES: u32 = 3;
        let kvm = self.takes_kvm(tools)?;
        let mut outcome = self.boot(tools, kvm)?;
        for _ in 1..TRIES {
            if outcome.ending != Ending::NotBooted {
                break;
            }
            tell(format_args!("a guest did not boot, see {}; trying again", outcome.dir.display()));
            outcome = self.boot(tools, kvm)?;
        }
        Ok(outcome)
    }

    /// Boots it once, with KVM or emulated.
    fn boot(&self, tools: &Tools, kvm: bool) -> Result<Outcome> {
        let dir = folder()?;
        guest::write(self, &dir.join("initramfs"), tools)?;
        if self.live {
            let console = dir.join("console.log");
            tell(format_args!(
                "guest: Linux {}; console: {}",
                self.kernel.version,
                console.display()
            ));
        }
        let mut command = qemu::command(tools.arch(), self, &dir, kvm);
        command.stderr(fs::File::create(dir.join("qemu.log"))?);
        let terminal = rustix::termios::tcgetattr(std::io::stdin()).ok().filter(|_| self.shell);
        if !self.shell {
            // In its own process group QEMU does not get the terminal's Ctrl-C: we end it.
            command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        }
        let qemu = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let ending = watch::watch(qemu, self, &dir);
        if let Some(settings) = terminal {
            let when = rustix::termios::OptionalActions::Now;
            rustix::termios::tcsetattr(std::io::stdin(), when, &settings)?;
        }
        fs::remove_file(dir.join("initramfs"))?;
        Ok(Outcome { ending: ending?, lines: self.port(&dir, "results"), dir })
    }

    /// The file of its result lines, if it is known before the run.
    pub fn lines(&self) -> Option<PathBuf> {
        self.results.as_deref().map(|dir| self.port(dir, "results"))
    }

    /// The file behind one of the guest's ports.
    fn port(&self, dir: &Path, port: &str) -> PathBuf {
        match port {
            "results" => self.results.as_deref().unwrap_or(dir).join(RESULTS),
            other => dir.join(other),
        }
    }
}

impl Outcome {
    /// The command's exit status. If it has none, the error ends with the tail of the console.
    pub fn status(&self) -> Result<u8> {
        let what = match self.ending {
            Ending::Exit(status) => return Ok(status),
            Ending::Panic => "the guest's kernel panicked",
            Ending::Lost => "the guest ended without giving an exit status",
            Ending::NotBooted => "the guest did not boot in any of the tries",
            Ending::TimedOut => "the guest did not end within the time limit (--timeout)",
            Ending::Interrupted => bail!("interrupted"),
        };
        let read = |log: &str| fs::read(self.dir.join(log)).unwrap_or_default();
        let logs = [read("qemu.log"), read("console.log")].concat();
        let tail = tail(&String::from_utf8_lossy(&logs));
        bail!("{what}; {} ends with:\n{tail}", self.dir.join("console.log").display())
    }
}

/// The last lines of a console; if the kernel died, from its first complaint on.
fn tail(console: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<&str> = console.lines().collect();
    let complaint =
        |line: &&str| ["BUG: ", "Oops: ", "Kernel panic"].iter().any(|w| line.contains(w));
    let last = lines.len().saturating_sub(LINES);
    let from = lines.iter().position(complaint).map_or(last, |first| first.min(last));
    lines[from..].iter().flat_map(|line| [line, "\n"]).collect()
}

/// A new folder for one run. The folders of earlier runs are kept until there are too many.
fn folder() -> Result<PathBuf> {
    static RUN: AtomicU32 = AtomicU32::new(0);
    let store = store::folder("vm")?;
    prune(&store)?;
    let time = jiff::Zoned::now().strftime("%Y%m%dT%H%M%S").to_string();
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    let dir = store.join(format!("{time}-{}-{run}", std::process::id()));
    fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Removes the oldest folders, except those of running harnesses.
fn prune(store: &Path) -> Result<()> {
    const KEPT: usize = 40;
    let mut names: Vec<String> =
        fs::read_dir(store)?.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    for name in names.iter().rev().skip(KEPT) {
        let running =
            name.split('-').nth(1).is_some_and(|pid| Path::new("/proc").join(pid).exists());
        if !running {
            // Another harness may be pruning too.
            let _ = fs::remove_dir_all(store.join(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consoles_tail_starts_with_the_complaint_however_long_its_trace_is() {
        let boot: String = (0..100).map(|n| format!("boot {n}\n")).collect();
        assert!(tail(&boot).starts_with("boot 60\n") && tail(&boot).ends_with("boot 99\n"));
        let panic = format!("{boot}Kernel panic - not syncing\n{}", "trace\n".repeat(90));
        assert!(tail(&panic).starts_with("Kernel panic"), "{}", tail(&panic));
        assert_eq!(tail(&panic).lines().count(), 91);
        assert_eq!(tail("one\n"), "one\n");
    }
}
