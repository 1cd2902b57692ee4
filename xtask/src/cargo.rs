//! The project's own builds, through the cargo that started xtask.

use crate::paths;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// cargo in the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(paths::root());
    command
}

/// Runs a command that prints to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}

/// The exit status of a program; 1 if a signal ended it.
pub(crate) fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// cargo arguments that build what `cargo test --workspace` runs: with the features of all
/// packages, so that nothing is compiled twice.
const AS_TESTED: [&str; 4] = ["build", "--workspace", "--bins", "--tests"];
/// The part of it that runs in guests.
const FOR_GUESTS: [&str; 6] = ["build", "--workspace", "--bin", "tracetoll", "--test", "guest"];

/// `tracetoll`, or the test program `guest`, as `cargo test --workspace` builds it.
pub(crate) fn as_tested(name: &str) -> Result<PathBuf> {
    executable(&mut cargo(&FOR_GUESTS), name)
}

/// A test program.
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// The folder of its package.
    pub(crate) package: PathBuf,
}

/// All test programs of the workspace.
pub(crate) fn tests() -> Result<Vec<Test>> {
    let test = |message: &Value| {
        let of_tests = message["profile"]["test"] == true;
        let manifest = Path::new(message["manifest_path"].as_str()?);
        of_tests.then_some(())?;
        Some(Test {
            name: message["target"]["name"].as_str()?.to_owned(),
            program: message["executable"].as_str()?.into(),
            package: manifest.parent()?.to_owned(),
        })
    };
    Ok(messages(&mut cargo(&AS_TESTED), "the workspace")?.iter().filter_map(test).collect())
}

/// Builds with these arguments and returns the path of the executable named `name`.
pub(crate) fn executable(command: &mut Command, name: &str) -> Result<PathBuf> {
    messages(command, name)?
        .iter()
        .filter(|message| message["target"]["name"] == name && !is_unit_test(message))
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no executable named {name}"))
}

/// Builds, and returns cargo's message for each artifact.
fn messages(command: &mut Command, what: &str) -> Result<Vec<Value>> {
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let out = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !out.status.success() {
        bail!("{what} does not build ({})", out.status);
    }
    let text = String::from_utf8(out.stdout).context("cargo's messages are UTF-8")?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Whether the message is about a program's unit tests, which have the same name.
fn is_unit_test(message: &Value) -> bool {
    message["target"]["kind"][0] == "bin" && message["profile"]["test"] == true
}
