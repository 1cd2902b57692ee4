//! `cargo xtask run`: builds tracetoll, and becomes `tracetoll run`.

use crate::cargo;
use anyhow::{Context, Result};
use probe_vm::kernels::{self, Kernel};
use probe_vm::machine::Tools;
use probe_vm::{Installer, place};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;

/// Measure: build tracetoll, and call `tracetoll run --install` with these arguments.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Arguments of `tracetoll run`; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<OsString>,
}

/// How long the default campaign takes from a fresh clone, measured on a machine without KVM.
const TAKES: &str =
    "building tracetoll, then measuring: 8 minutes on two CPUs, 5 when all is built";

impl Args {
    /// Runs the campaign; does not return.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        let mut run = if self.rest.is_empty() {
            eprintln!("{TAKES}");
            thread::scope(|scope| {
                // Downloads run while cargo compiles.
                scope.spawn(|| prefetch(install));
                tracetoll_run(install)
            })?
        } else {
            tracetoll_run(install)?
        };
        Err(run.args(self.rest).exec()).context("cannot run tracetoll")
    }
}

/// Fetches what VMs need if the host cannot measure. Errors are reported by the run itself.
fn prefetch(install: &Installer) {
    if install.may() && !place::host_lacks().is_empty() && Tools::ready(install).is_ok() {
        let _ = Kernel::get(kernels::DEFAULT, install);
    }
}

/// `tracetoll run`, built for measurements, allowed to install what this xtask may install.
pub(crate) fn tracetoll_run(install: &Installer) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.args(["run", "--install"]).args((!install.may()).then_some("--no-install"));
    Ok(command)
}

/// This checkout's tracetoll, built for measurements.
pub(crate) fn program() -> Result<PathBuf> {
    const BUILD: [&str; 5] = ["build", "--release", "--package", "probe-user", "--bin=tracetoll"];
    cargo::executable(&mut cargo::cargo(&BUILD), "tracetoll")
}
