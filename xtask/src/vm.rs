//! `cargo xtask vm`: converts arguments to a [`Machine`].

use anyhow::{Context, Result, bail};
use probe_vm::kernels::{self, Kernel};
use probe_vm::machine::{AccelArg, Boot, Clock, Ending, Tools};
use probe_vm::protocol::ClockName;
use probe_vm::{Installer, Machine};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Run a command in a QEMU guest with a stock Debian kernel.
///
/// The command's output and exit status are passed on. Without --clock counted the guest's root is
/// this machine's, read-only below an overlay: what the guest writes is lost when it ends, except
/// below --results.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernel series; Debian's newest build of it is used
    #[arg(long, default_value = kernels::DEFAULT)]
    kernel: String,
    /// Processors of the guest
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Memory of the guest
    #[arg(long, default_value = "2G")]
    memory: String,
    /// Folder that the guest can write to under the same path; result lines go to results.jsonl
    /// there
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// What the guest's clock counts: real time, or executed instructions (reproducible,
    /// self-contained)
    #[arg(long, default_value = "wall")]
    clock: ClockName,
    /// Counted clock: one instruction takes 2^SHIFT ns
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=10))]
    shift: u8,
    /// Seed of the guest's random numbers (counted clock: 0 unless given)
    #[arg(long)]
    seed: Option<u64>,
    /// Where the guest's programs come from (9p for the wall clock, initramfs for the counted
    /// clock)
    #[arg(long)]
    boot: Option<Boot>,
    #[command(flatten)]
    accel: AccelArg,
    /// More arguments for the kernel's command line
    #[arg(long, value_name = "WORDS")]
    append: Option<String>,
    /// Emulate SVM, so that KVM works inside the guest
    #[arg(long)]
    nested: bool,
    /// Copy a file into a self-contained guest, to the same path unless DEST is given
    #[arg(long = "file", value_name = "PATH[=DEST]")]
    files: Vec<String>,
    /// Set an environment variable for the command
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// End the guest after this many seconds, including its boot
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
    /// Connect this terminal to the console: a shell, or the command (ctrl-a x ends QEMU)
    #[arg(long)]
    shell: bool,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "shell")]
    command: Vec<OsString>,
}

impl Args {
    /// Runs the command and returns its exit status as xtask's own. If it has none: 124 for the
    /// time limit (as timeout(1) does), 130 for Ctrl-C, 125 for a guest that died.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        self.accel.check(self.clock)?;
        let tools = Tools::ready(install)?.accelerated(self.accel);
        let machine = self.machine(install)?;
        let outcome = machine.run(&tools)?;
        let status = outcome.status().unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            match outcome.ending {
                Ending::TimedOut => 124,
                Ending::Interrupted => 130,
                _ => 125,
            }
        });
        Ok(ExitCode::from(status))
    }

    fn machine(self, install: &Installer) -> Result<Machine> {
        let mut machine = Machine::new(Kernel::get(&self.kernel, install)?, self.command);
        machine.clock = match self.clock {
            ClockName::Wall => Clock::Wall,
            ClockName::Counted => Clock::Counted { shift: self.shift },
        };
        let counted = self.clock == ClockName::Counted;
        machine.boot = self.boot.unwrap_or(if counted { Boot::Initramfs } else { Boot::NineP });
        machine.seed = self.seed.or(counted.then_some(0));
        (machine.cpus, machine.memory, machine.nested) = (self.cpus, self.memory, self.nested);
        machine.files = self.files.iter().map(|file| file_pair(file)).collect::<Result<_>>()?;
        machine.env = self.env.iter().map(|set| variable(set)).collect::<Result<_>>()?;
        if let Some(dir) = self.results {
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
            machine.results = Some(fs::canonicalize(dir)?);
        }
        machine.shell = self.shell;
        machine.append = self.append;
        machine.timeout = (!self.shell).then(|| Duration::from_secs(self.timeout));
        if self.shell && machine.command.is_empty() {
            let own = std::env::var_os("SHELL").filter(|_| machine.boot == Boot::NineP);
            machine.command = vec![own.unwrap_or_else(|| "/bin/sh".into()), "-l".into()];
            if let Ok(term) = std::env::var("TERM") {
                machine.env.push(("TERM".to_owned(), term));
            }
        }
        if !machine.files.is_empty() && machine.boot == Boot::NineP {
            bail!(
                "--file is for a self-contained guest (--boot initramfs): with 9p it has all files"
            );
        }
        Ok(machine)
    }
}

fn file_pair(text: &str) -> Result<(PathBuf, String)> {
    let (from, to) = text.split_once('=').unwrap_or((text, text));
    let from = fs::canonicalize(from).with_context(|| format!("--file {from}"))?;
    let to = match to == text {
        true => from.to_str().context("--file needs a path in UTF-8")?.to_owned(),
        false => to.to_owned(),
    };
    Ok((from, to))
}

fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').with_context(|| format!("--env {text}: no ="))?;
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !valid || name.starts_with(|c: char| c.is_ascii_digit()) {
        bail!("--env {text}: {name:?} is not a variable name");
    }
    Ok((name.to_owned(), value.to_owned()))
}
