//! `tracetoll run`: a campaign on this host, or in VMs.

mod host;
mod place;
mod plan;
mod vms;
mod watch;

use std::{path::Path, process::ExitCode};

use probe_core::{
    error::{Error, Hint, Result},
    model::{
        campaign::Campaign,
        scenario::{GuestKind, Scenario, Switch},
        trial::Pace,
    },
    report,
};
use probe_vm::{Installer, externals, image, install::Need};

use super::files::Files;
use crate::{cli::RunArgs, kernel::arch::Architecture, workload::scenarios};

/// Measures a campaign.
///
/// # Errors
/// A request is invalid or impossible here, a result cannot be written, or the user ended the run.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    Architecture::current()?;
    let mut scenario = scenario(args)?;
    if let Some(why) = place::vms(args, &scenario)? {
        return vms::run(args, scenario, &why);
    }
    let install = args.vms.installer();
    // If nothing may be installed, the step that needs something says what is missing.
    if install != Installer::Nothing {
        ready(&mut scenario, install).map_err(failed)?;
    }
    host::run(args, &scenario)
}

/// The scenario with the command line's overrides.
fn scenario(args: &RunArgs) -> Result<Scenario> {
    let mut scenario = super::scenario(&args.scenario, &args.overrides)?;
    let has = |pace| scenario.overhead.as_ref().is_some_and(|overhead| overhead.has(pace));
    let given = [
        ("--rate", args.rate.is_some(), has(Pace::Paced)),
        ("--kicks", args.kicks.is_some(), has(Pace::ClosedLoop)),
        ("--duration", args.duration.is_some(), has(Pace::Paced) || has(Pace::Saturated)),
    ];
    if let Some((flag, ..)) = given.into_iter().find(|(_, given, applies)| *given && !applies) {
        return Err(Error::invalid(
            flag,
            format!(
                "it applies to overhead trials that scenario {} does not have \
                     here",
                scenario.name
            ),
            "Leave it out, or use a scenario of `blast` guests that has them, such as quick",
        ));
    }
    if let Some(cpus) = &args.load_cpus {
        scenario.load_cpus = cpus.len();
    }
    if let Some(overhead) = &mut scenario.overhead {
        overhead.closed_loop.kicks = args.kicks.unwrap_or(overhead.closed_loop.kicks);
        if let Some(paced) = &mut overhead.paced {
            paced.rate = args.rate.unwrap_or(paced.rate);
            paced.duration = args.duration.unwrap_or(paced.duration);
        }
        if let Some(saturated) = &mut overhead.saturated {
            saturated.duration = args.duration.unwrap_or(saturated.duration);
        }
    }
    scenarios::check(&format!("{} with these flags", args.scenario), &scenario)?;
    Ok(scenario)
}

/// Whether programs of the host are part of the load.
fn needs_programs(scenario: &Scenario) -> bool {
    !programs(scenario).is_empty()
}

/// These programs. Guests that already run have their own.
fn programs(scenario: &Scenario) -> Vec<Need> {
    let iperf3 = matches!(scenario.guests.kind, GuestKind::Bridge | GuestKind::Kvm);
    let ovs = scenario.network.switch == Switch::Ovs;
    let needs = [(iperf3, externals::IPERF3), (ovs, externals::OVS)];
    needs.into_iter().filter_map(|(needed, need)| needed.then_some(need)).collect()
}

/// Installs the programs that are part of the load, and builds the image for its VMs unless one is
/// given.
fn ready(scenario: &mut Scenario, install: Installer) -> anyhow::Result<()> {
    install.ensure(&programs(scenario))?;
    if scenario.guests.kind == GuestKind::Kvm && scenario.guests.image.is_none() {
        scenario.guests.image = Some(image::ready(image::SERIES, &install)?);
    }
    Ok(())
}

/// The error of `probe_vm` when there is no VM, as an error of this crate.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: anyhow::Error) -> Error {
    let (subject, why) = ("VMs".into(), format!("{error:#}"));
    Error::Unsupported { subject, why, hint: Hint::NONE }
}

/// Writes the result, prints the answer, and says where the files are.
fn conclude(folder: &Path, campaign: &Campaign) -> Result<()> {
    let files = Files::write(folder, campaign);
    super::print(&report::screen::render(campaign))?;
    super::print(&format!("\n{}", files?))
}
