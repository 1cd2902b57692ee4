//! `cargo xtask test`: everything that must hold, on the host and in guests.
//!
//! The harness itself is tested here and not by a plain `cargo test`, since its tests boot guests: they
//! stand in `xtask/tests/vm.rs`, ignored unless asked for.

use crate::image;
use crate::install::Installer;
use crate::kernels::{self, Kernel};
use crate::vm::{self, Ending, Machine, Outcome, Tools};
use crate::{cargo, ebpf, externals, interrupt, readers};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Run all tests: format, lints, host tests, the committed kernel programs, readers of the report, the VM harness,
/// the gate for regressions, and the guest tests on each kernel.
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
    /// Arguments for the guest tests: a part of the names of those to run, --list, …
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
                component("clippy", &[&lints[..], &["--", "--deny", "warnings"]].concat())?;
                let mut doc = cargo::cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
                cargo::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
            })?;
            stages.run("host tests", || cargo::run(&mut cargo::cargo(&["test", "--workspace"])))?;
            stages.run("kernel programs", || ebpf::check(install))?;
            stages.run("readers", || readers::check(install))?;
        }
        if !self.host_only && !self.guest_only {
            stages.run("VM harness", || harness(install))?;
            stages.run("gate", || gate(install))?;
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
    failures: Vec<String>,
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
                self.failures.push(format!("{name}: {error:#}"));
                "FAILED"
            }
        };
        self.lines.push(format!("{name}: {word} ({:.0} s)", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// What failed stands last, where a log of some thousand lines is read first.
    fn close(self) -> ExitCode {
        eprintln!("\n== summary");
        for line in &self.lines {
            eprintln!("{line}");
        }
        for failure in &self.failures {
            eprintln!("\n== failed: {failure}");
        }
        ExitCode::from(u8::from(!self.failures.is_empty()))
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
    let tests = ["test", "--workspace", "--test", "vm", "--"];
    cargo::run(cargo::cargo(&tests).args(["--ignored", "--test-threads", "2"]))
}

/// A regression that is planted in a kernel program is found, and changed words are not, see `xtask/tests/gate.rs`.
fn gate(install: &Installer) -> Result<()> {
    Tools::ready(install)?;
    Kernel::get(kernels::TESTED[1], install)?;
    let tests = ["test", "--workspace", "--test", "gate", "--", "--ignored"];
    cargo::run(cargo::cargo(&tests).env("TRACETOLL_BIN", cargo::as_tested("tracetoll")?))
}

/// Runs the guest tests on each kernel, and prints each kernel's output in one piece.
fn guest_tests(chosen: &[String], filters: &[OsString], install: &Installer) -> Result<()> {
    let tools = Tools::ready(install)?;
    install.ensure(&externals::PROGRAMS)?;
    install.ensure(&externals::NETWORK)?;
    let (tracetoll, tests) = (cargo::as_tested("tracetoll")?, cargo::as_tested("guest")?);
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
                huge_pages: if nested { VM_TESTS_HUGE_PAGES } else { 0 },
                cpus: if nested { 3 } else { 2 },
                ..Machine::new(kernel.clone(), command.collect())
            });
        }
    }
    // The longest first, so that none runs on alone in the end: plain ones, and of these the last kernel, by default the newest.
    machines.reverse();
    machines.sort_by_key(|machine| machine.nested);
    let alone = machines.len() == 1;
    machines.iter_mut().for_each(|machine| machine.live = alone);
    let failed = run(&machines, &tools)?;
    let may_be_emulation =
        |failure: &Failure| failure.machine_gave_up || machines[failure.index].nested;
    let (again, failed): (Vec<_>, Vec<_>) = failed.into_iter().partition(may_be_emulation);
    let mut failed: Vec<String> = failed.into_iter().map(|failure| failure.why).collect();
    if !again.is_empty() && !interrupt::requested() {
        for Failure { why, .. } in &again {
            eprintln!("once more, since it may be the emulation's fault: {why}");
        }
        let again: Vec<_> = again.iter().map(|failure| machines[failure.index].clone()).collect();
        failed.extend(run(&again, &tools)?.into_iter().map(|failure| failure.why));
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

/// Pages of 2 MiB for what VMs the tests have at once: two of 192 MiB.
const VM_TESTS_HUGE_PAGES: u64 = 2 * 192 / 2;

/// A machine whose tests did not all pass.
struct Failure {
    /// Which of the machines.
    index: usize,
    /// Its kernel panicked, or it was gone without a word.
    machine_gave_up: bool,
    why: String,
}

/// Runs the machines and prints what they say; which of them failed, and why.
///
/// QEMU's emulation is not perfect. That of a processor's virtualization loses a VM now and then, or the whole machine; and a
/// processor may be found between two bytes of an instruction while another one patches it, as ftrace does with every function,
/// upon which the kernel panics. So whoever calls this gives machines with VMs, and those that gave up themselves, a second
/// chance. A test that fails in another machine has none.
fn run(machines: &[Machine], tools: &Tools) -> Result<Vec<Failure>> {
    let failed = Mutex::new(Vec::new());
    vm::run_all(machines, vm::carried(), tools, |index, outcome| {
        if let Err(error) = verdict(&machines[index], outcome) {
            let machine_gave_up = matches!(outcome.ending, Ending::Panic | Ending::Lost);
            let failure = Failure { index, machine_gave_up, why: format!("{error:#}") };
            failed.lock().expect("no holder panics").push(failure);
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
