//! The project's own builds, through the cargo that started xtask.

use crate::paths;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// cargo in the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(paths::root());
    command
}

/// Runs a command whose words go to the terminal.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}

/// The exit status of a program; 1 for one that a signal ended.
pub(crate) fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// As [`executable`], one that needs no libraries: for guests that have none. It runs here as well.
///
/// # Errors
/// When it does not compile.
pub(crate) fn static_executable(arguments: &[&str], name: &str) -> Result<PathBuf> {
    let mut command = cargo(arguments);
    // Naming the target keeps the flag away from build scripts and procedural macros.
    command.args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"]);
    command.arg(paths::store("static")?).env("RUSTFLAGS", "-C target-feature=+crt-static");
    executable(&mut command, name)
}

/// A program or a test of the workspace as `cargo test --workspace` builds it: with the features of all its packages, so that
/// nothing is compiled once more.
///
/// # Errors
/// When it does not compile.
pub(crate) fn as_tested(name: &str) -> Result<PathBuf> {
    executable(&mut cargo(&["build", "--workspace", "--bins", "--tests"]), name)
}

/// Builds with these arguments and returns the path of the executable named `name`.
///
/// # Errors
/// When it does not compile.
pub(crate) fn executable(command: &mut Command, name: &str) -> Result<PathBuf> {
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let out = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !out.status.success() {
        bail!("{name} does not build ({})", out.status);
    }
    String::from_utf8(out.stdout)
        .context("cargo's messages are UTF-8")?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name && !is_unit_test(message))
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no executable named {name}"))
}

/// Whether cargo tells of a program's unit tests, which have its name too.
fn is_unit_test(message: &serde_json::Value) -> bool {
    message["target"]["kind"][0] == "bin" && message["profile"]["test"] == true
}
