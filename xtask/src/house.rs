//! Checks of the project that take too long for every change: every dependency is used and allowed,
//! the oldest promised Rust builds everything, probe-core builds for another system, and a new
//! figure takes one row and one function.

use crate::cargo;
use crate::paths;
use crate::tools::Tool;
use anyhow::{Context, Result, bail, ensure};
use probe_vm::install::Installer;
use std::fs;
use std::path::Path;
use std::process::Command;

const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    to: "to find dependencies that nothing uses",
    features: &[],
};

const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    to: "to check licences and sources of dependencies",
    features: &["--no-default-features"],
};

/// A system other than Linux; its standard library is enough to check.
const ELSEWHERE: &str = "x86_64-pc-windows-gnu";

/// Check the dependencies, the oldest Rust, and that a new figure takes one row and one function
#[derive(clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, install: &Installer) -> Result<()> {
        check(install)
    }
}

/// Runs all checks.
///
/// # Errors
/// The first check that fails, or a tool that cannot be installed.
pub(crate) fn check(install: &Installer) -> Result<()> {
    cargo::run(MACHETE.command(install)?.arg(paths::root()))?;
    // Advisories are not part of the packages: whoever makes a release checks them.
    let deny = ["check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    cargo::run(DENY.command(install)?.args(deny).current_dir(paths::root()))?;
    oldest_rust(install)?;
    elsewhere(install)?;
    a_figure_takes_one_row_and_one_function()
}

/// Builds with the Rust that Cargo.toml promises.
fn oldest_rust(install: &Installer) -> Result<()> {
    let manifest = fs::read_to_string(paths::root().join("Cargo.toml"))?;
    let promised = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let promised = promised.context("Cargo.toml promises no Rust")?.trim_matches('"');
    let why = "to build with the oldest Rust that is promised";
    let wanted = ["toolchain", "install", promised, "--profile", "minimal", "--no-self-update"];
    rustup(["toolchain", "list"], &wanted, promised, why, install)?;
    let mut check = Command::new("rustup");
    check.args(["run", promised, "cargo", "check", "--workspace", "--all-targets", "--quiet"]);
    cargo::run(check.current_dir(paths::root()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN"))
}

/// probe-core must not need Linux.
fn elsewhere(install: &Installer) -> Result<()> {
    let why = "to check probe-core for another system";
    let wanted = ["target", "add", ELSEWHERE];
    rustup(["target", "list", "--installed"], &wanted, ELSEWHERE, why, install)?;
    let check = ["check", "--package", "probe-core", "--all-targets", "--quiet"];
    cargo::run(cargo::cargo(&check).args(["--target", ELSEWHERE]))
}

/// Has rustup install something, unless its list already has it.
fn rustup<const N: usize>(
    list: [&str; N],
    wanted: &[&str],
    what: &str,
    why: &str,
    install: &Installer,
) -> Result<()> {
    let listed = Command::new("rustup").args(list).output().context("cannot run rustup")?;
    // A toolchain's line continues with the host's name: `1.90-x86_64-unknown-linux-gnu`.
    let is_it = |line: &str| {
        line.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if String::from_utf8_lossy(&listed.stdout).lines().any(is_it) {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(wanted);
    install.announce(what, why, &rustup)?;
    cargo::run(&mut rustup)
}

/// The row of a figure that does not exist.
const ROW: &str = r#"    KICKS_PER_S = "kicks_per_s", "kicks", PerSecond, Down, LEVEL,
        Value::Level(overhead::kicks_per_s), "Kicks per second of load.";
"#;

/// The function that gives its value for a block.
const FUNCTION: &str = "
pub(super) fn kicks_per_s(trial: &Measured) -> Result<f64, Reason> {
    Ok(1e9 * counted(per(trial.sent.kicks.unwrap_or(1), trial.cpu.elapsed.0))?)
}
";

/// The test that they make pass.
const TEST: &str = r#"
#[cfg(test)]
mod scratch {
    use crate::{
        analysis::{figures, fixture::campaign},
        report::{html, results::named, tables::Dataset},
    };

    #[test]
    fn a_new_figure_is_everywhere() {
        let campaign = campaign();
        let method = &campaign.summary.methods[1];
        let json = serde_json::to_value(&method.overhead).unwrap();
        assert!(json["kicks_per_s"]["estimate"].is_number(), "{json}");
        assert!(figures::of(method).any(|named| named.path == "overhead.kicks_per_s"));
        assert!(html::render(&campaign).contains("Kicks per second of load."));
        let csv = Dataset::Figures.csv(&named(vec![("a".into(), campaign)])).unwrap();
        assert!(csv.contains("overhead.kicks_per_s,per_second,down,0.5"), "{csv}");
    }
}
"#;

/// Adds a figure to a copy of probe-core, and runs the test.
fn a_figure_takes_one_row_and_one_function() -> Result<()> {
    let scratch = probe_vm::store::folder("scratch")?.join("figure");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    copy(&paths::root().join("probe-core"), &scratch.join("probe-core"))?;
    copy(&paths::root().join("tests/data/aa"), &scratch.join("tests/data/aa"))?;
    fs::copy(paths::root().join("Cargo.lock"), scratch.join("Cargo.lock"))?;
    let manifest = fs::read_to_string(paths::root().join("Cargo.toml"))?;
    let members = manifest.lines().find(|line| line.starts_with("members = "));
    let members = members.context("Cargo.toml has no members")?;
    let alone = manifest.replace(members, r#"members = ["probe-core"]"#);
    fs::write(scratch.join("Cargo.toml"), alone)?;
    let analysis = scratch.join("probe-core/src/analysis");
    edit(&analysis.join("figures/table.rs"), |table| {
        let at = table.find("    WORKER_CPU_PCT = ").context("no row to stand before")?;
        Ok([&table[..at], ROW, &table[at..]].concat())
    })?;
    edit(&analysis.join("overhead.rs"), |overhead| Ok([overhead, FUNCTION].concat()))?;
    edit(&scratch.join("probe-core/src/lib.rs"), |lib| Ok([lib, TEST].concat()))?;
    let mut test = cargo::cargo(&["test", "--package", "probe-core", "--lib", "scratch"]);
    let output = test
        .current_dir(&scratch)
        .env("CARGO_TARGET_DIR", scratch.with_file_name("target"))
        .output()?;
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    ensure!(output.status.success() && said[0].contains("1 passed"), "{}", said.concat());
    Ok(())
}

fn edit(file: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(fs::write(file, change(&text)?)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let (entry, to) = (entry?, to.join("x"));
        let to = to.with_file_name(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => copy(&entry.path(), &to)?,
            kind if kind.is_file() => drop(fs::copy(entry.path(), to)?),
            kind => bail!("{} is a {kind:?}", entry.path().display()),
        }
    }
    Ok(())
}
