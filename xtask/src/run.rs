//! `cargo xtask run`: builds tracetoll, and becomes `tracetoll run`.

use crate::cargo;
use anyhow::{Context, Result};
use probe_vm::Installer;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Measure: build tracetoll, and call `tracetoll run --install` with these arguments.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// As `tracetoll run` takes them; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<OsString>,
}

impl Args {
    /// Runs the campaign, and does not come back.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        let error = tracetoll_run(install)?.args(self.rest).exec();
        Err(error).context("cannot run tracetoll")
    }
}

/// `tracetoll run`, built for measurements, which may install what this xtask may.
pub(crate) fn tracetoll_run(install: &Installer) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.arg("run").arg(if install.may() { "--install" } else { "--no-install" });
    Ok(command)
}

/// This checkout's tracetoll, built for measurements.
pub(crate) fn program() -> Result<PathBuf> {
    const BUILD: [&str; 5] = ["build", "--release", "--package", "probe-user", "--bin=tracetoll"];
    cargo::executable(&mut cargo::cargo(&BUILD), "tracetoll")
}
