//! `cargo xtask test`: everything that must hold, on the host and in guests.
//!
//! The harness itself is tested here and not by a plain `cargo test`, since its tests boot guests: they
//! stand in `xtask/tests/vm.rs`, ignored unless asked for.

use crate::image;
use crate::install::Installer;
use crate::kernels::{self, Kernel};
use crate::vm::{self, Machine, Outcome, Tools};
use crate::{cargo, ebpf, externals, interrupt};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Run all tests: format, lints, host tests, the committed kernel programs, the VM harness, and the
/// guest tests on each kernel.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernel series of the guest tests (several allowed; all unless given)
    #[arg(long = "kernel", value_name = "SERIES")]
    kernels: Vec<String>,
    /// Only what needs no VM
    #[arg(long, conflicts_with = "guest_only")]
    host_only: bool,
    /// Only the guest tests
    #[arg(long)]
    guest_only: bool,
    /// Arguments for the guest tests: names to choose by, --list, …
    #[arg(last = true)]
    filters: Vec<OsString>,
}

impl Args {
    /// Runs every stage, also after one has failed.
    ///
    /// # Errors
    /// When interrupted. A stage that fails is printed, and makes the exit status 1.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        let mut stages = Stages::default();
        if !self.guest_only {
            stages.run("format", || component("fmt", &["fmt", "--all", "--check"]))?;
            stages.run("lints", || {
                let lints = ["clippy", "--workspace", "--all-targets", "--quiet"];
                component("clippy", &[&lints[..], &["--", "--deny", "warnings"]].concat())
            })?;
            stages.run("host tests", || cargo::run(&mut cargo::cargo(&["test", "--workspace"])))?;
            stages.run("kernel programs", || ebpf::run(true, install))?;
        }
        if !self.host_only && !self.guest_only {
            stages.run("VM harness", || harness(install))?;
        }
        if !self.host_only {
            let chosen = match self.kernels.is_empty() {
                true => kernels::TESTED.map(str::to_owned).to_vec(),
                false => self.kernels,
            };
            stages.run("guest tests", || guest_tests(&chosen, &self.filters, install))?;
        }
        Ok(stages.close())
    }
}

/// What ran, and what of it failed.
#[derive(Default)]
struct Stages {
    lines: Vec<String>,
    failed: bool,
}

impl Stages {
    fn run(&mut self, name: &str, stage: impl FnOnce() -> Result<()>) -> Result<()> {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let outcome = stage();
        if interrupt::requested() {
            bail!("interrupted");
        }
        let word = match &outcome {
            Ok(()) => "ok",
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed = true;
                "FAILED"
            }
        };
        self.lines.push(format!("{name}: {word} ({:.0} s)", start.elapsed().as_secs_f64()));
        Ok(())
    }

    fn close(self) -> ExitCode {
        eprintln!("\n== summary");
        for line in &self.lines {
            eprintln!("{line}");
        }
        ExitCode::from(u8::from(self.failed))
    }
}

/// A tool that rustup's minimal profile lacks.
fn component(name: &str, arguments: &[&str]) -> Result<()> {
    if !cargo::cargo(&[name, "--version"]).output()?.status.success() {
        bail!("cargo {name} is missing: rustup component add {}", name.replace("fmt", "rustfmt"));
    }
    cargo::run(&mut cargo::cargo(arguments))
}

/// The harness's own tests, with everything made ready before, so that they install and fetch nothing.
fn harness(install: &Installer) -> Result<()> {
    Tools::ready(install)?;
    for series in kernels::TESTED {
        Kernel::get(series, install)?;
    }
    let tests = ["test", "--package", "xtask", "--test", "vm", "--"];
    cargo::run(cargo::cargo(&tests).args(["--ignored", "--test-threads", "2"]))
}

/// Runs the guest tests on each kernel, and prints each kernel's output in one piece.
fn guest_tests(chosen: &[String], filters: &[OsString], install: &Installer) -> Result<()> {
    let tools = Tools::ready(install)?;
    install.ensure(&externals::PROGRAMS)?;
    install.ensure(&externals::NETWORK)?;
    let tracetoll = cargo::executable(
        &mut cargo::cargo(&["build", "--package", "probe-user", "--bin", "tracetoll"]),
        "tracetoll",
    )?;
    let tests = cargo::executable(
        &mut cargo::cargo(&["test", "--package", "tracetoll-tests", "--test", "guest", "--no-run"]),
        "guest",
    )?;
    let image = image::ready(image::SERIES, install)?;
    let variable = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    let env = vec![variable("TRACETOLL_BIN", &tracetoll), variable("TRACETOLL_IMAGE", &image)];
    let mut machines = Vec::new();
    for series in chosen {
        let kernel = Kernel::get(series, install)?;
        let asked_for = chosen.len() == 1 || !filters.is_empty();
        let shares = shares(filters).into_iter();
        for (nested, words) in
            shares.filter(|(nested, _)| !nested || asked_for || VM_TESTS_ON.contains(&&**series))
        {
            let command = std::iter::once(tests.clone().into()).chain(words);
            machines.push(Machine {
                env: env.clone(),
                timeout: Some(if nested { NESTED_WITHIN } else { PLAIN_WITHIN }),
                nested,
                cpus: if nested { 3 } else { 2 },
                ..Machine::new(kernel.clone(), command.collect())
            });
        }
    }
    let alone = machines.len() == 1;
    machines.iter_mut().for_each(|machine| machine.live = alone);
    let failed = run(&machines, &tools)?;
    let (again, failed): (Vec<_>, Vec<_>) =
        failed.into_iter().partition(|(index, _)| machines[*index].nested);
    let mut failed: Vec<String> = failed.into_iter().map(|(_, why)| why).collect();
    if !again.is_empty() && !interrupt::requested() {
        again.iter().for_each(|(_, why)| eprintln!("once more, since KVM is emulated: {why}"));
        let again: Vec<_> = again.iter().map(|(index, _)| machines[*index].clone()).collect();
        failed.extend(run(&again, &tools)?.into_iter().map(|(_, why)| why));
    }
    // All at the end, where they are looked for.
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}

/// Longest that a machine may take for its tests; an answer to "does it hang?".
const PLAIN_WITHIN: Duration = Duration::from_secs(2400);
const NESTED_WITHIN: Duration = Duration::from_secs(1200);

/// Where the tests that boot VMs run unless kernels are asked for: on the oldest, whose vhost workers are kernel threads,
/// and on one where they are QEMU's own.
const VM_TESTS_ON: [&str; 2] = ["6.1", "6.12"];

/// Runs the machines and prints what they say; which of them failed, and why.
///
/// QEMU's emulation of a processor's virtualization loses a VM now and then, or the whole machine (its kernel then ends
/// without a word, or with its memory corrupted). So whoever calls this gives machines with VMs a second chance.
fn run(machines: &[Machine], tools: &Tools) -> Result<Vec<(usize, String)>> {
    let failed = Mutex::new(Vec::new());
    vm::run_all(machines, vm::carried(), tools, |index, outcome| {
        if let Err(error) = verdict(&machines[index], outcome) {
            failed.lock().expect("no holder panics").push((index, format!("{error:#}")));
        }
    })?;
    Ok(failed.into_inner()?)
}

/// Names of the tests that boot VMs themselves begin so.
const KVM_TESTS: &str = "kvm::";

/// What runs in a plain machine and what in one with KVM (true), each with its arguments. What is asked for by name runs
/// in one of them.
fn shares(filters: &[OsString]) -> Vec<(bool, Vec<OsString>)> {
    let of_kvm = |word: &OsString| word.to_string_lossy().starts_with(KVM_TESTS);
    let names = filters.iter().filter(|word| !word.to_string_lossy().starts_with('-')).count();
    let of_kvm = filters.iter().filter(|word| of_kvm(word)).count();
    let own = filters.to_vec();
    match (names, of_kvm) {
        (0, _) => vec![
            (false, [own.clone(), vec!["--skip".into(), KVM_TESTS.into()]].concat()),
            (true, [own, vec![KVM_TESTS.into()]].concat()),
        ],
        (_, 0) => vec![(false, own)],
        _ => vec![(true, own)],
    }
}

/// Prints what a guest said, unless it was printed as it came, and judges its end.
fn verdict(machine: &Machine, outcome: &Outcome) -> Result<()> {
    if !machine.live {
        let mut out = io::stdout().lock();
        println!("-- Linux {}", machine.kernel.version);
        for stream in ["stdout", "stderr"] {
            io::copy(&mut File::open(outcome.dir.join(stream))?, &mut out)?;
        }
    }
    let version = &machine.kernel.version;
    let said = fs::read_to_string(outcome.dir.join("stdout")).unwrap_or_default();
    let status = outcome.status().with_context(|| format!("on Linux {version}"))?;
    match status {
        0 => Ok(()),
        status => bail!("on Linux {version} the tests ended with {status}\n{}", failures(&said)),
    }
}

/// What the runner says of the tests that failed, without those that did not.
fn failures(said: &str) -> &str {
    let from = said.find("\nfailures:\n").unwrap_or(said.len());
    said[from..].trim()
}

#[cfg(test)]
mod tests {
    use super::failures;

    #[test]
    fn failures_are_cut_out_of_what_the_runner_says() {
        let said = "test a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b ----\nwhy\n\n\
                    failures:\n    b\n\ntest result: FAILED. 1 passed\n";
        assert!(failures(said).starts_with("failures:\n\n---- b ----\nwhy"));
        assert!(failures(said).ends_with("test result: FAILED. 1 passed"));
        assert_eq!(failures("test a ... ok\n\ntest result: ok.\n"), "");
    }
}
