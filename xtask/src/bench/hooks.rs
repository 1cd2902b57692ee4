//! The criterion bench of hooks in a VM. It starts with the baselines kept here and returns its
//! results.

use super::baseline::criterion_home;
use crate::cargo;
use anyhow::{Context, Result};
use probe_vm::kernels::Kernel;
use probe_vm::machine::{Boot, Clock, Ending, Machine, Outcome};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// cargo arguments that build the bench.
pub(super) const BUILD: [&str; 5] =
    ["bench", "--package", "tracetoll-benches", "--bench=hooks", "--no-run"];

/// The variable that passes it the methods.
pub(super) const METHODS: &str = "TRACETOLL_METHODS";

/// A self-contained VM cannot write to a folder of this host, but to a port.
const SCRIPT: &str = "mkdir /criterion && tar -x -f /criterion.tar -C /criterion || exit 125
/bin/hooks --bench \"$@\"
status=$?
tar -c -C /criterion . >/dev/virtio-ports/tracetoll.results
exit $status";

/// The VM that runs `bench`; its results go below `out`.
pub(super) fn machine(
    (kernel, (clock, cpus)): (Kernel, (Clock, u32)),
    bench: PathBuf,
    (methods, arguments): (&str, Vec<OsString>),
    out: &Path,
) -> Result<Machine> {
    let results = out.join("hooks");
    fs::create_dir_all(&results).with_context(|| format!("cannot create {}", results.display()))?;
    let packed = out.join("criterion.tar");
    cargo::run(
        Command::new("tar")
            .arg("-c")
            .arg("-f")
            .arg(&packed)
            .arg("-C")
            .args([criterion_home()?, ".".into()]),
    )?;
    let words = ["/bin/sh", "-c", SCRIPT, "hooks"].map(OsString::from);
    Ok(Machine {
        cpus,
        clock,
        seed: Some(0),
        boot: Boot::Initramfs,
        files: vec![(bench, "/bin/hooks".to_owned()), (packed, "/criterion.tar".to_owned())],
        env: vec![
            ("CRITERION_HOME".to_owned(), "/criterion".to_owned()),
            (METHODS.to_owned(), methods.to_owned()),
        ],
        results: Some(results),
        ..Machine::new(kernel, words.into_iter().chain(arguments).collect())
    })
}

/// Moves what criterion wrote in the VM to where criterion on this host writes.
pub(super) fn bring_back(outcome: &Outcome) -> Result<()> {
    if !matches!(outcome.ending, Ending::Exit(_)) {
        return Ok(());
    }
    cargo::run(
        Command::new("tar")
            .arg("-x")
            .arg("-f")
            .arg(&outcome.lines)
            .arg("-C")
            .arg(criterion_home()?),
    )
}
