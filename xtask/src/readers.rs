//! Tests the report in the programs that people open it with: tables in pandas and DuckDB, the page
//! in a browser. The tests are in `tests/readers/`.

use crate::{cargo, paths};
use anyhow::{Context, Result};
use probe_vm::install::{Installer, Need, program};
use probe_vm::store;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NEEDS: [Need; 2] = [
    Need {
        package: "python3-venv",
        why: "for readers of the report's tables that come as Python packages",
        at_least: None,
        present: makes_environments,
    },
    Need {
        package: "chromium",
        why: "to open the report's page as its readers do",
        at_least: None,
        present: || program("chromium").is_some(),
    },
];

/// Whether Python can make environments; Debian has these modules in a separate package.
fn makes_environments() -> bool {
    let mut python = Command::new("python3");
    let modules = python.args(["-c", "import ensurepip, venv"]).stderr(Stdio::null());
    modules.status().is_ok_and(|status| status.success())
}

/// The Python packages that read a report's tables.
const REQUIREMENTS: &str = "tests/readers/requirements.txt";

/// Installs the readers.
pub(crate) fn ready(install: &Installer) -> Result<PathBuf> {
    install.ensure(&NEEDS)?;
    environment(&paths::root().join(REQUIREMENTS), install)
}

/// Runs both tests on the small campaign, with the program as it is built for tests.
pub(crate) fn check(install: &Installer) -> Result<()> {
    let tests = paths::root().join("tests/readers");
    let python = ready(install)?;
    let tracetoll = cargo::as_tested("tracetoll")?;
    let journals = ["overhead", "fidelity"]
        .map(|name| paths::root().join(format!("tests/data/campaign/{name}.jsonl")));
    let chromium = program("chromium").context("chromium was found before")?;
    // Keep Python's bytecode files out of the sources.
    let run = |name: &str| {
        let mut command = Command::new(&python);
        command.args(["-B".as_ref(), tests.join(name).as_os_str()]).arg(&tracetoll);
        command
    };
    let tables = cargo::run(run("tables.py").args(&journals));
    cargo::run(run("page.py").arg(chromium).args(&journals)).and(tables)
}

/// The Python of an environment with these packages.
fn environment(requirements: &Path, install: &Installer) -> Result<PathBuf> {
    let dir = store::folder("readers")?;
    let lock = File::create(dir.join("lock"))?;
    lock.lock()?;
    let (home, python) = (dir.join("venv"), dir.join("venv/bin/python"));
    let (wanted, kept) = (fs::read_to_string(requirements)?, home.join("requirements.txt"));
    if fs::read_to_string(&kept).is_ok_and(|kept| kept == wanted) {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&home);
    let mut fill = Command::new(&python);
    fill.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements);
    let packages = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
    install.announce(&packages, "to open the report's tables as their readers do", &fill)?;
    cargo::run(&mut make)?;
    cargo::run(&mut fill)?;
    fs::write(kept, wanted)?;
    Ok(python)
}
