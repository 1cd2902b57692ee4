//! A campaign in VMs: what they need, how they end, and one result from all of them.

use std::{env, fs, process::ExitCode, sync::Arc};

use probe_core::{
    analysis::merge::merge,
    error::{Error, Result},
    model::scenario::{GuestKind, Scenario},
};
use probe_vm::{
    externals, interrupt,
    kernels::Kernel,
    machine::{Boot, Ending, Tools},
    place::{self, RunsOn},
    protocol::{ClockName, GUESTS},
};

use super::{
    conclude, failed, host, needs_programs,
    plan::{self, VmPlan},
    ready, watch,
};
use crate::{cli::RunArgs, commands::terminal, measure::store};

/// How long the default campaign takes, measured on a machine without KVM.
const TAKES: &str = "on two CPUs this takes 5 minutes";

/// Measures a campaign in VMs; `why` is the reason to do it there.
///
/// # Errors
/// Something that they need is missing and may not be installed, a result cannot be written, or the
/// user ended the run.
pub(super) fn run(args: &RunArgs, mut scenario: Scenario, why: &str) -> Result<ExitCode> {
    // A misspelt method is refused before anything is installed or booted. What only a VM's kernel
    // can tell is left to it.
    if let Err(error @ Error::Invalid { .. }) = host::wanted(args, &scenario) {
        return Err(error);
    }
    let clock = plan::clock(args, &scenario)?;
    args.vms.accel().check(clock).map_err(failed)?;
    terminal::tell(format_args!("measuring in VMs with Linux {}: {why}", args.vms.series()));
    let asked = crate::commands::on_interrupt()?;
    interrupt::by(Arc::clone(&asked));
    let (tools, kernel, boot) = prepare(args, &mut scenario, clock).map_err(|error| {
        let lacks = place::host_lacks();
        match args.vms.on {
            _ if interrupt::requested() => Error::Interrupted,
            RunsOn::Auto if !lacks.is_empty() => {
                failed(error).with_hint(format!("Or make this host able to: {}", lacks.join("; ")))
            }
            _ => failed(error),
        }
    })?;
    if args.told.0.is_empty() && args.vms.flag().is_none() {
        terminal::tell(format_args!("{TAKES}"));
    }
    let program = env::current_exe().map_err(|e| Error::file("find", "/proc/self/exe", e))?;
    let out = store::create(args.out.as_deref())?;
    let out = fs::canonicalize(&out).map_err(|e| Error::output("find", &out, e))?;
    if out.join(GUESTS).exists() {
        return Err(Error::invalid(
            out.display().to_string(),
            "the folder already has results of VMs",
            "Name another folder with --out",
        ));
    }
    let plan = VmPlan { args, scenario: &scenario, clock, boot, program };
    let machines = plan.machines(&kernel, &out)?;
    let ended = watch::all(&plan, &machines, &tools)
        .map_err(|error| if interrupt::requested() { Error::Interrupted } else { failed(error) })?;
    // Including the journals of interrupted VMs.
    let reported = store::journals(ended.iter().map(|outcome| outcome.lines.clone()).collect())
        .and_then(merge)
        .and_then(|campaign| conclude(&out, &campaign));
    if interrupt::requested() {
        return Err(Error::Interrupted);
    }
    reported?;
    let whole = ended.iter().all(|outcome| outcome.ending == Ending::Exit(0));
    Ok(ExitCode::from(u8::from(!whole)))
}

/// Prepares what is booted and what runs in it.
fn prepare(
    args: &RunArgs,
    scenario: &mut Scenario,
    clock: ClockName,
) -> anyhow::Result<(Tools, Kernel, Boot)> {
    let install = args.vms.installer();
    let tools = Tools::ready(&install)?.accelerated(args.vms.accel());
    let kernel = Kernel::get(args.vms.series(), &install)?;
    ready(scenario, install)?;
    let external = needs_externals(args, scenario);
    if external {
        install.ensure(&externals::PROGRAMS)?;
    }
    if !external && !needs_programs(scenario) {
        return Ok((tools, kernel, Boot::Initramfs));
    }
    terminal::tell(format_args!(
        "with this machine's root, for its programs: {}",
        match (scenario.guests.kind, clock) {
            (GuestKind::Kvm, _) =>
                "and on the wall clock, since KVM is emulated; no two runs are alike",
            (_, ClockName::Wall) => "and on the wall clock, as asked for by --clock",
            (_, ClockName::Counted) => "costs repeat to about 1 %, not exactly",
        }
    ));
    Ok((tools, kernel, Boot::NineP))
}

/// Whether external methods are requested: by name, by the groups `external` and `all`, or by the
/// scenario. The groups `count` and `record` include some too, but there they are optional: they
/// are left out if their programs are missing.
fn needs_externals(args: &RunArgs, scenario: &Scenario) -> bool {
    let named = |method: &str| method.trim() == "all" || method.trim().starts_with("external");
    args.methods.split(',').any(named)
        || args.method.iter().any(|method| named(method))
        || !scenario.external.is_empty()
}
