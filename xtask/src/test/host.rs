//! Tests that run on this host, by name. `cargo test --workspace` runs all of them.

use crate::cargo::{self, Test};
use crate::paths;
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

/// Whether a source file outside of the guest tests contains the last part of `name`, so that a
/// host test may have that name.
pub(super) fn may_have(name: &str) -> Result<bool> {
    let part = name.rsplit("::").find(|part| !part.is_empty()).unwrap_or(name);
    let guest = paths::root().join("tests/guest");
    let mut folders = vec![paths::root().to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && path != guest && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && fs::read_to_string(&path)?.contains(part)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The test programs that have a test with `name` in its name, except the guest tests.
pub(super) fn named<'a>(tests: &'a [Test], name: &str) -> Result<Vec<&'a Test>> {
    let mut named = Vec::new();
    for test in tests.iter().filter(|test| test.name != "guest") {
        let mut list = Command::new(&test.program);
        let out = list.args(["--list", "--format", "terse"]).output();
        let out = out.with_context(|| format!("cannot run {}", test.program.display()))?;
        let list = String::from_utf8_lossy(&out.stdout);
        let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
        if tests.into_iter().any(|test| test.contains(name)) {
            named.push(test);
        }
    }
    Ok(named)
}

/// Runs the matching tests, each program in its package's folder as cargo does.
pub(super) fn run(tests: &[&Test], name: &str) -> Result<()> {
    // Some need what `cargo xtask test` prepares, and a plain `cargo test` leaves them out.
    let tracetoll = cargo::as_tested("tracetoll")?;
    let one = |test: &&Test| {
        let mut command = Command::new(&test.program);
        command.args([name, "--include-ignored"]).current_dir(&test.package);
        cargo::run(command.env("TRACETOLL_BIN", &tracetoll))
    };
    tests.iter().map(one).fold(Ok(()), Result::and)
}
