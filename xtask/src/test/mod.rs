//! `cargo xtask test`: everything that must hold, on the host and in guests.
//!
//! The default lane is for every change, the full lane for the night: see [`lanes`].
//!
//! The harness itself is tested here and not by a plain `cargo test`, since its tests boot guests:
//! `xtask/tests/vm.rs`, ignored by default.

mod guest;
mod host;
mod lanes;
mod record;

use crate::{book, cargo, ebpf, house, readers};
use anyhow::{Result, bail};
use probe_vm::kernels::{Kernel, SERIES};
use probe_vm::machine::{AccelArg, Tools};
use probe_vm::{Installer, interrupt, store};
use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

/// Run the tests: format, lints, host tests, the committed kernel programs, readers of the report,
/// the VM harness, the gate for regressions, and the guest tests: all of them on one kernel, and on
/// the others those that depend on the kernel.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run every guest test on every kernel, the tests that boot VMs in VMs on two kernels, the
    /// long tests (all external programs, kills at random moments), the fuzzer, and the book. Takes
    /// an hour on two CPUs: run it overnight. Writes what it ran to xtask/full-lane.json
    #[arg(long)]
    full: bool,
    /// Kernel series of the guest tests; may be repeated. By default all that are tested, or one
    /// for tests by name
    #[arg(long = "kernel", value_name = "SERIES")]
    kernels: Vec<String>,
    #[command(flatten)]
    accel: AccelArg,
    /// Only tests that need no VM
    #[arg(long, conflicts_with = "guest_only")]
    host_only: bool,
    /// Only the guest tests
    #[arg(long)]
    guest_only: bool,
    /// Only tests with this in their names, on this host or in a VM
    name: Option<String>,
    /// Arguments for the runner of the guest tests: --exact, --skip, …
    #[arg(last = true)]
    words: Vec<OsString>,
}

impl Args {
    /// Runs every stage, even after one has failed.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        let mut stages = Stages::default();
        let whole = self.full
            && self.kernels.is_empty()
            && self.words.is_empty()
            && !(self.guest_only || self.host_only);
        let source = whole.then(record::TestedCommit::now).transpose()?;
        if let Some(name) = &self.name {
            return self.by_name(name, stages, install);
        }
        let (mut machines, mut fuzzed) = (Vec::new(), String::new());
        thread::scope(|scope| {
            scope.spawn(|| self.fetch(install));
            self.compiled(&mut stages)
        })?;
        if !self.guest_only {
            stages.run("kernel programs", || ebpf::check(install))?;
            stages.run("readers", || readers::check(install))?;
        }
        if !self.host_only && !self.guest_only {
            stages.run("VM harness, gate", || harness_and_gate(install))?;
        }
        if self.full && !self.guest_only {
            stages.run("fuzz", || fuzz(&mut fuzzed))?;
            stages.run("book", || book::check(install))?;
            stages.run("house", || house::check(install))?;
        }
        if !self.host_only {
            stages.run("guest tests", || {
                machines = guest::run(&self.guests(), install)?;
                Ok(())
            })?;
        }
        if let Some(source) = source.filter(|_| stages.failures.is_empty()) {
            let ran = stages.seconds.clone();
            stages.run("record", || record::write(&source, &ran, &machines, &fuzzed))?;
        }
        Ok(stages.close())
    }

    /// Fetches what later stages need while the first ones compile. A stage whose needs could not
    /// be met reports that itself.
    fn fetch(&self, install: &Installer) {
        if !install.may() {
            return;
        }
        if !self.guest_only {
            let _ = readers::ready(install);
            let _ = ebpf::ready(install);
        }
        if !self.host_only {
            let _ = ready(install);
            let _ = guest::ready(install);
        }
    }

    /// Stages for which nothing is fetched: two apt-get at the same time would lock each other out.
    fn compiled(&self, stages: &mut Stages) -> Result<()> {
        if !self.guest_only {
            stages.run("format", || component("fmt", &["fmt", "--all", "--check"]))?;
            stages.run("lints", || {
                let lints = ["clippy", "--workspace", "--all-targets", "--quiet"];
                component("clippy", &[&lints[..], &["--", "--deny", "warnings"]].concat())?;
                let mut doc = cargo::cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
                cargo::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
            })?;
            stages.run("host tests", || cargo::run(&mut cargo::cargo(&["test", "--workspace"])))?;
        }
        Ok(())
    }

    /// Runs the tests with this name, on the host and in guests.
    fn by_name(&self, name: &str, mut stages: Stages, install: &Installer) -> Result<ExitCode> {
        let guest = cargo::as_tested("guest")?;
        let there = !self.host_only && guest::names(&guest)?.iter().any(|n| n.contains(name));
        // Most host tests take longer to build than to run.
        let tests = match self.guest_only || there && !host::may_have(name)? {
            true => Vec::new(),
            false => cargo::tests()?,
        };
        let here = host::named(&tests, name)?;
        if here.is_empty() && !there {
            bail!("no test has `{name}` in its name");
        }
        if !here.is_empty() {
            stages.run("host tests", || {
                // These boot guests.
                if here.iter().any(|test| ["vm", "gate"].contains(&test.name.as_str())) {
                    ready(install)?;
                }
                host::run(&here, name)
            })?;
        }
        if there {
            stages.run("guest tests", || guest::run(&self.guests(), install).map(drop))?;
        }
        Ok(stages.close())
    }

    fn guests(&self) -> guest::Asked<'_> {
        let Self { kernels, accel, full, name, words, .. } = self;
        guest::Asked { series: kernels, accel: *accel, full: *full, part: name.as_deref(), words }
    }
}

/// What ran, and which stages failed.
#[derive(Default)]
struct Stages {
    lines: Vec<String>,
    seconds: Vec<(String, f64)>,
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
        let seconds = start.elapsed().as_secs_f64();
        self.lines.push(format!("{name}: {word} ({seconds:.0} s)"));
        self.seconds.push((name.to_owned(), seconds));
        Ok(())
    }

    /// Prints failures last, where people first look in a log of thousands of lines.
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

/// Checks for a tool that rustup's minimal profile lacks.
fn component(name: &str, arguments: &[&str]) -> Result<()> {
    if !cargo::cargo(&[name, "--version"]).output()?.status.success() {
        bail!("cargo {name} is missing: rustup component add {}", name.replace("fmt", "rustfmt"));
    }
    cargo::run(&mut cargo::cargo(arguments))
}

/// Prepares kernels and QEMU, so that tests install and fetch nothing.
fn ready(install: &Installer) -> Result<()> {
    Tools::ready(install)?;
    SERIES.iter().try_for_each(|series| Kernel::get(series.name, install).map(drop))
}

/// Runs both side by side: the gate's machines have one processor each, and the harness's tests
/// mostly wait.
fn harness_and_gate(install: &Installer) -> Result<()> {
    ready(install)?;
    thread::scope(|scope| {
        let gate = scope.spawn(gate);
        let harness = harness();
        let gate = gate.join().unwrap_or_else(|_| bail!("the gate panicked"));
        harness.and(gate)
    })
}

/// The harness's own tests, after everything is prepared, so that they install and fetch nothing.
fn harness() -> Result<()> {
    let tests = ["test", "--workspace", "--test", "vm", "--"];
    cargo::run(cargo::cargo(&tests).args(["--ignored", "--test-threads", "2"]))
}

/// Runs each fuzz target on mutated inputs, with a new seed each time; appends the output to
/// `said`.
fn fuzz(said: &mut String) -> Result<()> {
    const SECONDS_EACH: &str = "30";
    let program = cargo::executable(
        &mut cargo::cargo(&["build", "--workspace", "--bin", "tracetoll-fuzz"]),
        "tracetoll-fuzz",
    )?;
    let folder = store::folder("fuzz")?;
    let seed = jiff::Timestamp::now().as_second().to_string();
    let targets = Command::new(&program).arg("targets").output()?;
    let mut failed = Vec::new();
    for target in String::from_utf8_lossy(&targets.stdout).lines() {
        let mut fuzz = Command::new(&program);
        fuzz.args(["mutate", target, SECONDS_EACH, &seed]).arg(&folder).stderr(Stdio::inherit());
        let out = fuzz.output()?;
        let words = String::from_utf8_lossy(&out.stdout);
        print!("{words}");
        said.push_str(&words);
        if !out.status.success() {
            failed.push(format!("{target} fails on {}", folder.join(target).display()));
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}; seed {seed}", failed.join(", ")) }
}

/// Tests that a regression planted in a kernel program is found, and that changed comments are not
/// reported as one; see `xtask/tests/gate.rs`.
fn gate() -> Result<()> {
    let tests = ["test", "--workspace", "--test", "gate", "--", "--ignored"];
    let mut gate = cargo::cargo(&tests);
    let output = gate.env("TRACETOLL_BIN", cargo::as_tested("tracetoll")?).output()?;
    // Print its output in one piece, not line by line between the harness's.
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    if output.status.success() { Ok(()) } else { bail!("{gate:?} failed ({})", output.status) }
}
