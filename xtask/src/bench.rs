//! `cargo xtask bench`: the criterion benchmarks, and what a traced call costs.
//!
//! Decoders, ring driver and analysis are measured on this host, whatever it is. The cost of hooks
//! is measured twice, on this host if possible, otherwise in VMs: by criterion, which takes all
//! samples of one method in a row, and as a campaign of closed-loop trials in blocks, which
//! `tracetoll compare` judges.

mod baseline;
mod hooks;

use crate::cargo;
use crate::run;
use anyhow::{Context, Result, bail};
use baseline::{Baseline, criterion_home};
use probe_vm::kernels::{self, Kernel};
use probe_vm::machine::{Clock, Ending, Tools};
use probe_vm::place::{self, RunsOn};
use probe_vm::protocol::ClockName;
use probe_vm::{Installer, interrupt, store};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run the benchmarks: decoders, ring driver and analysis on this host; the cost of a traced call
/// on this host or in VMs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to measure the cost of a traced call
    #[arg(long, default_value = "auto")]
    on: RunsOn,
    /// What the clock tells there: real time, or executed instructions, which only VMs have (and
    /// have unless given)
    #[arg(long)]
    clock: Option<ClockName>,
    /// Kernel series of the VMs
    #[arg(long, default_value = kernels::DEFAULT)]
    kernel: String,
    /// Methods whose calls are measured, as `tracetoll run` takes them
    #[arg(long, default_value = "ftrace,perf,bpf,capture", value_name = "LIST")]
    methods: String,
    /// Number of blocks of the campaign, one VM each
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    blocks: u32,
    /// Measure only the cost of a traced call
    #[arg(long)]
    hooks_only: bool,
    /// Keep the results under this name
    #[arg(long, value_name = "NAME", conflicts_with = "baseline")]
    save_baseline: Option<Baseline>,
    /// Compare with the results of this name; the exit status is that of `tracetoll compare`
    #[arg(long, value_name = "NAME")]
    baseline: Option<Baseline>,
    /// A limit that makes the benchmark fail, as for `tracetoll compare`; may be repeated
    #[arg(long, value_name = "GATE", requires = "baseline")]
    fail_if: Vec<String>,
    /// Arguments for criterion: names of benches to run, …
    #[arg(last = true)]
    rest: Vec<OsString>,
}

struct Measured {
    /// The program that judges the result.
    tracetoll: PathBuf,
    /// Whether everything could be measured.
    whole: bool,
}

impl Args {
    /// Runs the benchmarks and compares.
    pub(crate) fn run(self, install: &Installer) -> Result<ExitCode> {
        let counted = self.clock == Some(ClockName::Counted);
        let lacks = place::host_lacks().join("; ");
        let on_host = match self.on {
            RunsOn::Host if counted => bail!("only VMs count instructions: leave --on host out"),
            RunsOn::Auto => !counted && lacks.is_empty(),
            on => on == RunsOn::Host,
        };
        if let Some(base) = &self.baseline {
            base.check()?;
        }
        if !self.hooks_only {
            let benches = ["--bench", "analysis", "--bench", "decoders", "--bench", "ring"];
            self.criterion(&benches)?;
        }
        let out = fresh("bench")?;
        let measured = if on_host {
            eprintln!("cost of a traced call, on this host");
            self.measure_here(&out, install)?
        } else {
            let why =
                if lacks.is_empty() { String::new() } else { format!(" (on this host {lacks})") };
            eprintln!("cost of a traced call, in VMs with Linux {}{why}", self.kernel);
            self.measure_in_guests(&out, install)?
        };
        if interrupt::requested() {
            return Ok(ExitCode::from(130));
        }
        match &self.save_baseline {
            Some(kept) if measured.whole => kept.keep(&out)?,
            Some(kept) => eprintln!("not kept as `{}`: not all was measured", kept.name()),
            None => {}
        }
        let status = match &self.baseline {
            Some(base) => base.compare(&measured.tracetoll, &out, &self.fail_if)?,
            None => 0,
        };
        Ok(ExitCode::from(if status == 0 { u8::from(!measured.whole) } else { status }))
    }

    /// Criterion's arguments, including those about baselines. A bench that the baseline lacks is
    /// new, not a failure.
    fn criterion_arguments(&self) -> impl Iterator<Item = OsString> {
        let flag = |flag: &str, name: &Option<Baseline>| {
            name.as_ref().map(|name| [flag.into(), name.name().into()])
        };
        let flags = [
            flag("--save-baseline", &self.save_baseline),
            flag("--baseline-lenient", &self.baseline),
        ];
        flags.into_iter().flatten().flatten().chain(self.rest.iter().cloned())
    }

    fn criterion(&self, benches: &[&str]) -> Result<()> {
        let mut command = cargo::cargo(&["bench", "--package", "tracetoll-benches"]);
        command.args(benches).arg("--").args(self.criterion_arguments());
        command.env("CRITERION_HOME", criterion_home()?).env(hooks::METHODS, &self.methods);
        cargo::run(&mut command)
    }

    fn campaign(&self) -> Vec<OsString> {
        let target = "handle_tx,tracepoint:net:net_dev_xmit";
        // Half of the scenario's kicks: blocks vary more than trials of 10,000 kicks do, and cost
        // more time.
        let words = ["--scenario", "hooks", "--kicks", "10000", "--target", target];
        words.into_iter().chain(["--methods", &self.methods]).map(OsString::from).collect()
    }

    /// Measures the campaign, on this host or in VMs as `place` says.
    fn measure(&self, place: &[&str], out: &Path, install: &Installer) -> Result<Measured> {
        let mut command = run::tracetoll_run(install)?;
        command.args(place).arg("--out").arg(out).args(self.campaign());
        let tracetoll = command.get_program().into();
        let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Measured { tracetoll, whole: status.success() })
    }

    fn measure_here(&self, out: &Path, install: &Installer) -> Result<Measured> {
        // A failed method is reported, and does not stop the others.
        let benched = self.criterion(&["--bench", "hooks"]);
        if let Err(error) = &benched {
            eprintln!("error: {error:#}");
        }
        let blocks = self.blocks.to_string();
        let place = ["--on", "host", "--parts", "overhead", "--blocks", &blocks];
        let measured = self.measure(&place, out, install)?;
        Ok(Measured { whole: measured.whole && benched.is_ok(), ..measured })
    }

    fn measure_in_guests(&self, out: &Path, install: &Installer) -> Result<Measured> {
        let tools = Tools::ready(install)?;
        let bench = cargo::executable(&mut cargo::cargo(&hooks::BUILD), "hooks")?;
        let kernel = Kernel::get(&self.kernel, install)?;
        let (clock, shape) = match self.clock {
            Some(ClockName::Wall) => ("wall", (Clock::Wall, 2)),
            _ => ("counted", (Clock::Counted { shift: 0 }, 1)),
        };
        let blocks = self.blocks.to_string();
        let mut place = vec!["--on", "vm", "--clock", clock, "--kernel", &self.kernel];
        place.extend(["--overhead-blocks", &blocks, "--fidelity-seeds", "0"]);
        let measured = self.measure(&place, out, install)?;
        if interrupt::requested() {
            return Ok(Measured { whole: false, ..measured });
        }
        let arguments = self.criterion_arguments().collect();
        let machine = hooks::machine((kernel, shape), bench, (&self.methods, arguments), out)?;
        let outcome = machine.run(&tools)?;
        hooks::bring_back(&outcome)?;
        Ok(Measured { whole: measured.whole && outcome.ending == Ending::Exit(0), ..measured })
    }
}

/// `target/xtask/NAME`, empty.
fn fresh(name: &str) -> Result<PathBuf> {
    let folder = store::folder(name)?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    store::folder(name)
}
