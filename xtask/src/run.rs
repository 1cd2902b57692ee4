//! `cargo xtask run`: the main job, on this host where it can be done, otherwise in guests.

pub(crate) mod asked;
pub(crate) mod flags;
pub(crate) mod plan;
mod progress;

use crate::{cargo, paths};
use anyhow::{Context, Result, bail};
use asked::Asked;
use plan::{Plan, Size};
use probe_vm::kernels::{self, Kernel};
use probe_vm::machine::{self, AccelArg, Boot, ClockName, Ending, Machine, Outcome, Tools};
use probe_vm::place::Place;
use probe_vm::{Installer, externals, image, interrupt};
use progress::{Guest, Progress};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How long the default campaign takes, measured on a machine without KVM.
const TAKES: &str = "on two CPUs this takes 8 minutes from a fresh clone, and 5 when all is built";

/// Measure: run the campaign and print its report.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to measure
    #[arg(long, default_value = "auto")]
    on: Place,
    /// What the clock of VMs tells: executed instructions (unless the scenario's guests are VMs; a
    /// host does not count them), or real time
    #[arg(long)]
    clock: Option<ClockName>,
    #[command(flatten)]
    accel: AccelArg,
    /// Folder of the result (a new one below results/ unless given)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Kernel series of the guests
    #[arg(long, default_value = kernels::DEFAULT)]
    kernel: String,
    /// Guests that measure the toll, one block each
    #[arg(long, default_value_t = plan::TOLL_BLOCKS)]
    toll_blocks: u32,
    /// Guests that measure fidelity, one seed each
    #[arg(long, default_value_t = plan::FIDELITY_SEEDS)]
    fidelity_seeds: u32,
    /// Seed of the first guest that measures a part (1 unless given), the next one's is one more.
    /// In a guest on the counted clock, a seed repeats what it did before: further blocks of a
    /// campaign take other ones
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u32).range(1..))]
    first_seed: Option<u32>,
    /// Measure with this tracetoll (the one of this checkout is built unless given)
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Further arguments, for `tracetoll run`; flags of both may be mixed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<OsString>,
}

impl Args {
    /// Runs the campaign where it can be run.
    ///
    /// # Errors
    /// When the place that was asked for cannot do it; or anything of building and reporting.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        let (on_host, why) = self.on.decide(self.clock)?;
        self.accel.check(self.clock.unwrap_or(ClockName::Wall))?;
        let time = jiff::Zoned::now().strftime("%Y%m%dT%H%M%S").to_string();
        let out = self.out.clone().unwrap_or_else(|| paths::root().join("results").join(time));
        if on_host {
            if self.first_seed.is_some() {
                bail!("--first-seed is for VMs, and this host measures: say --seed, or --on vm");
            }
            eprintln!("measuring on this host: {why}");
            let tracetoll = program(self.program.as_deref())?;
            return measure_here(&tracetoll, &out, self.rest, install).map(ExitCode::from);
        }
        eprintln!("measuring in VMs with Linux {}: {why}", self.kernel);
        if self.rest.is_empty() {
            eprintln!("{TAKES}");
        }
        self.measure_in_guests(&out, install)
    }

    fn measure_in_guests(self, out: &Path, install: &Installer) -> Result<ExitCode> {
        // What is fetched does not wait for what compiles.
        let (fetched, binary) = thread::scope(|scope| {
            let fetched = scope.spawn(|| -> Result<_> {
                let tools = Tools::ready(install)?.accelerated(self.accel);
                Ok((tools, Kernel::get(&self.kernel, install)?))
            });
            let binary = program(self.program.as_deref());
            (fetched.join().expect("a harness thread panicked"), binary)
        });
        let ((tools, kernel), binary) = (fetched?, binary?);
        let asked = Asked::ask(&binary, &self.rest)?;
        let clock = asked.clock(self.clock)?;
        self.accel.check(clock)?;
        let boot = boot(&asked, &self.rest, clock, install)?;
        let rest = with_image(&asked, self.rest, install)?;
        fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        let out = fs::canonicalize(out)?;
        let Self { toll_blocks, fidelity_seeds, first_seed, .. } = self;
        let first_seed = first_seed.unwrap_or(1).into();
        let size = Size { toll_blocks, fidelity_seeds, first_seed, clock };
        let plan = Plan::new(&rest, binary.clone(), (kernel, boot), asked, size)?;
        let machines = plan.machines(&out)?;
        let ended = watched(&machines, plan.at_once(), &tools, |index| plan.name(index))?;
        let journals: Vec<&Path> = ended.iter().map(|outcome| &*outcome.lines).collect();
        let reported = merge(&binary, &out, &journals).and_then(|files| {
            cargo::run(Command::new(&binary).arg("report").arg(&out))?;
            print!("\n{files}");
            Ok(())
        });
        if interrupt::requested() {
            return Ok(ExitCode::from(130));
        }
        reported?;
        let whole = ended.iter().all(|outcome| outcome.ending == Ending::Exit(0));
        Ok(ExitCode::from(u8::from(!whole)))
    }
}

/// Runs all machines, `at_once` side by side, and says how each ended. After Ctrl-C fewer have.
///
/// # Errors
/// A machine cannot be started.
pub(crate) fn watched(
    machines: &[Machine],
    at_once: usize,
    tools: &Tools,
    name: impl Fn(usize) -> String + Sync,
) -> Result<Vec<Outcome>> {
    let guests = machines.iter().enumerate().map(|(index, machine)| guest(machine, &name(index)));
    // What a live machine says goes over the terminal as it comes.
    let draws = machines.iter().all(|machine| !machine.live);
    let progress = Progress::begin(guests.collect(), at_once, draws);
    let (ended, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        let following = scope.spawn(|| progress.follow(&over));
        let ran = machine::run_all(machines, at_once, tools, |index, outcome| {
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push((index, outcome.clone()));
            let number = format!("{} of {}", ended.len(), machines.len());
            progress.ended(index, &format!("guest {} ({number}): {}", name(index), how(outcome)));
        });
        over.store(true, Ordering::Relaxed);
        following.thread().unpark();
        ran
    })?;
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|(index, _)| *index);
    Ok(ended.into_iter().map(|(_, outcome)| outcome).collect())
}

/// How a guest ended, in a line.
fn how(outcome: &Outcome) -> String {
    match outcome.status() {
        Ok(0) => "done".to_owned(),
        Ok(status) => format!("its exit status is {status}: {}", words(outcome)),
        Err(error) => format!("{error:#}"),
    }
}

/// As progress knows it: `toll-1` and `toll-2` are of one kind.
fn guest(machine: &Machine, name: &str) -> Guest {
    let kind = name.rsplit_once('-').map_or(name, |(kind, _)| kind);
    let writes = machine.command.iter().any(|word| word == "--journal");
    Guest::new(kind, machine.lines().filter(|_| writes))
}

/// Where the machines have their programs from; installs those that they need.
fn boot(
    asked: &Asked,
    arguments: &[OsString],
    clock: ClockName,
    install: &Installer,
) -> Result<Boot> {
    let external = externals::are_asked_for(arguments);
    if external {
        install.ensure(&externals::PROGRAMS)?;
    }
    if asked.programs() {
        install.ensure(&externals::NETWORK)?;
    }
    if !external && !asked.programs() {
        return Ok(Boot::Initramfs);
    }
    eprintln!(
        "with this machine's root, for its programs: {}",
        match (asked.kvm(), clock) {
            (true, _) => "and on the wall clock, since KVM is emulated; no two runs are alike",
            (false, ClockName::Wall) => "and on the wall clock, as asked for by --clock",
            (false, ClockName::Counted) => "costs repeat to about 1 %, not exactly",
        }
    );
    Ok(Boot::NineP)
}

/// The last words of a guest's command, for its line in the log.
fn words(outcome: &Outcome) -> String {
    let text = fs::read_to_string(outcome.dir.join("stderr")).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}

/// What to measure with: the given program, or this checkout's.
///
/// # Errors
/// There is no such file, or the checkout does not compile.
pub(crate) fn program(given: Option<&Path>) -> Result<PathBuf> {
    const BUILD: [&str; 5] = ["build", "--release", "--package", "probe-user", "--bin=tracetoll"];
    match given {
        Some(file) => fs::canonicalize(file)
            .with_context(|| format!("cannot find --program {}", file.display())),
        None => cargo::executable(&mut cargo::cargo(&BUILD), "tracetoll"),
    }
}

/// Runs the campaign on this host.
///
/// # Errors
/// Something that it needs cannot be installed. How the campaign ended is in its exit status.
pub(crate) fn measure_here(
    tracetoll: &Path,
    out: &Path,
    rest: Vec<OsString>,
    install: &Installer,
) -> Result<u8> {
    let asked = Asked::ask(tracetoll, &rest)?;
    if asked.programs() {
        install.ensure(&externals::NETWORK)?;
    }
    let rest = with_image(&asked, rest, install)?;
    let status = Command::new(tracetoll).args(["run", "--out"]).arg(out).args(rest).status()?;
    Ok(cargo::code(status))
}

/// The arguments with the image that VMs boot, unless they name one.
fn with_image(
    asked: &Asked,
    mut rest: Vec<OsString>,
    install: &Installer,
) -> Result<Vec<OsString>> {
    if asked.kvm() && externals::values(&rest, "--guest-image").is_empty() {
        rest.extend(["--guest-image".into(), image::ready(image::SERIES, install)?.into()]);
    }
    Ok(rest)
}

/// Makes one campaign of the guests' journals, those of unfinished ones included; gives what
/// tracetoll says of where it lies.
///
/// # Errors
/// There is none, or they do not belong together.
pub(crate) fn merge(tracetoll: &Path, out: &Path, journals: &[&Path]) -> Result<String> {
    let written = |journal: &&&Path| fs::metadata(journal).is_ok_and(|file| file.len() > 0);
    let journals: Vec<&&Path> = journals.iter().filter(written).collect();
    if journals.is_empty() {
        bail!("no guest wrote a result");
    }
    let mut command = Command::new(tracetoll);
    command.args(["merge", "--out"]).arg(out).args(journals).stderr(Stdio::inherit());
    let merged = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !merged.status.success() {
        bail!("{command:?} failed ({})", merged.status);
    }
    Ok(String::from_utf8(merged.stdout)?)
}
