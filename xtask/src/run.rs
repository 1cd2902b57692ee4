//! `cargo xtask run`: the main job, on this host where it can be done, otherwise in guests.

mod asked;
mod plan;

use crate::install::Installer;
use crate::kernels::Kernel;
use crate::vm::{self, Boot, Ending, Outcome, Tools};
use crate::{cargo, externals, image, interrupt, paths};
use anyhow::{Context, Result, bail};
use asked::Asked;
use plan::{Plan, Size};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

/// Measure: run the campaign and print its report.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to measure
    #[arg(long, default_value = "auto")]
    on: Place,
    /// Folder of the result (a new one below results/ unless given)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Kernel series of the guests
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Guests that measure the toll, one block each
    #[arg(long, default_value_t = plan::TOLL_BLOCKS)]
    toll_blocks: u32,
    /// Guests that measure fidelity, one seed each
    #[arg(long, default_value_t = plan::FIDELITY_SEEDS)]
    fidelity_seeds: u32,
    /// Further arguments, for `tracetoll run`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Place {
    Auto,
    Host,
    Vm,
}

impl Args {
    /// Runs the campaign where it can be run.
    ///
    /// # Errors
    /// When the place that was asked for cannot do it; or anything of building and reporting.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        let lacks = host_lacks();
        let on_host = match self.on {
            Place::Auto => lacks.is_empty(),
            Place::Host if lacks.is_empty() => true,
            Place::Host => bail!("this host cannot measure: {}", lacks.join("; ")),
            Place::Vm => false,
        };
        let why = match (self.on, lacks.is_empty()) {
            (Place::Auto, true) => "it has root's rights, tracefs and vhost-net".to_owned(),
            (Place::Auto, false) => format!("on this host {}", lacks.join("; ")),
            (Place::Host | Place::Vm, _) => "asked for by --on".to_owned(),
        };
        let time = jiff::Zoned::now().strftime("%Y%m%dT%H%M%S").to_string();
        let out = self.out.clone().unwrap_or_else(|| paths::root().join("results").join(time));
        if on_host {
            eprintln!("measuring on this host: {why}");
            return measure_here(&out, self.rest, install);
        }
        eprintln!("measuring in VMs with Linux {}: {why}", self.kernel);
        self.measure_in_guests(&out, install)
    }

    fn measure_in_guests(self, out: &Path, install: &Installer) -> Result<ExitCode> {
        let tools = Tools::ready(install)?;
        let binary = static_tracetoll()?;
        let asked = Asked::ask(&binary, &self.rest)?;
        let boot = boot(&asked, &self.rest, install)?;
        let rest = with_image(&asked, self.rest, install)?;
        let kernel = Kernel::get(&self.kernel, install)?;
        fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        let out = fs::canonicalize(out)?;
        let size = Size { toll_blocks: self.toll_blocks, fidelity_seeds: self.fidelity_seeds };
        let plan = Plan::new(&rest, binary.clone(), (kernel, boot), asked, size)?;
        let machines = plan.machines(&out)?;
        let ended = Mutex::new(Vec::new());
        vm::run_all(&machines, plan.at_once(), &tools, |index, outcome| {
            let mut ended = ended.lock().expect("no holder panics");
            ended.push((index, outcome.clone()));
            let line = match outcome.status() {
                Ok(0) => "done".to_owned(),
                Ok(status) => format!("tracetoll's exit status is {status}: {}", words(outcome)),
                Err(error) => format!("{error:#}"),
            };
            eprintln!("guest {} ({} of {}): {line}", plan.name(index), ended.len(), machines.len());
        })?;
        let mut ended = ended.into_inner()?;
        ended.sort_by_key(|(index, _)| *index);
        let journals: Vec<&Path> = ended.iter().map(|(_, outcome)| &*outcome.lines).collect();
        let reported = report(&binary, &out, &journals);
        if interrupt::requested() {
            return Ok(ExitCode::from(130));
        }
        reported?;
        let whole = ended.iter().all(|(_, outcome)| outcome.ending == Ending::Exit(0));
        Ok(ExitCode::from(u8::from(!whole)))
    }
}

/// Where the machines have their programs from; installs those that they need.
fn boot(asked: &Asked, arguments: &[OsString], install: &Installer) -> Result<Boot> {
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
        match asked.kvm() {
            true => "and on the wall clock, since KVM is emulated; no two runs are alike",
            false => "costs repeat to about 1 %, not exactly",
        }
    );
    Ok(Boot::NineP)
}

/// What keeps the campaign from running on this host.
fn host_lacks() -> Vec<String> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let tracefs = mounts.lines().any(|line| line.contains(" - tracefs "));
    // The node may be there without the module, and then its functions are not.
    let vhost = Path::new("/dev/vhost-net").exists() && Path::new("/sys/module/vhost_net").exists();
    [
        (root, "the user is not root"),
        (tracefs, "tracefs is not mounted"),
        (vhost, "vhost-net is not loaded (modprobe vhost_net)"),
    ]
    .into_iter()
    .filter(|(there, _)| !there)
    .map(|(_, lack)| lack.to_owned())
    .collect()
}

/// The last words of a guest's command, for its line in the log.
fn words(outcome: &Outcome) -> String {
    let text = fs::read_to_string(outcome.dir.join("stderr")).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}

const BUILD: [&str; 5] = ["build", "--release", "--package", "probe-user", "--bin=tracetoll"];

/// A tracetoll that needs no libraries, for guests that have none; it runs here as well.
fn static_tracetoll() -> Result<PathBuf> {
    let mut command = cargo::cargo(&BUILD);
    // Naming the target keeps the flag away from build scripts and procedural macros.
    command.args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"]);
    command.arg(paths::store("static")?).env("RUSTFLAGS", "-C target-feature=+crt-static");
    cargo::executable(&mut command, "tracetoll")
}

fn measure_here(out: &Path, rest: Vec<OsString>, install: &Installer) -> Result<ExitCode> {
    let tracetoll = cargo::executable(&mut cargo::cargo(&BUILD), "tracetoll")?;
    let asked = Asked::ask(&tracetoll, &rest)?;
    if asked.programs() {
        install.ensure(&externals::NETWORK)?;
    }
    let rest = with_image(&asked, rest, install)?;
    let status = Command::new(tracetoll).args(["run", "--out"]).arg(out).args(rest).status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
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

/// Makes one campaign of the guests' journals, those of unfinished ones included, and prints it.
fn report(tracetoll: &Path, out: &Path, journals: &[&Path]) -> Result<()> {
    let written = |journal: &&&Path| fs::metadata(journal).is_ok_and(|file| file.len() > 0);
    let journals: Vec<&&Path> = journals.iter().filter(written).collect();
    if journals.is_empty() {
        bail!("no guest wrote a result");
    }
    cargo::run(Command::new(tracetoll).args(["merge", "--out"]).arg(out).args(journals))?;
    cargo::run(Command::new(tracetoll).arg("report").arg(out))
}
