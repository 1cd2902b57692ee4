//! Decides whether a campaign is measured on this host or in VMs.

use probe_core::{
    error::{Error, Result},
    model::scenario::{GuestKind, Scenario},
};
use probe_vm::place::{self, RunsOn};

use crate::{cli::RunArgs, kernel::host};

const OWN_CPUS: &str = "Each VM has as many CPUs as its scenario needs: set load_cpus in a \
                        scenario file";

/// Flags that do not apply to VMs, because the plan decides, and what to use instead.
const OF_A_HOST: [(&str, &str); 8] = [
    ("--blocks", "--overhead-blocks and --fidelity-seeds say how many VMs measure"),
    (
        "--until-ci",
        "Each VM measures one block; --overhead-blocks says how many measure the overhead",
    ),
    ("--seed", "Each VM has a seed of its own, from --first-seed on"),
    ("--parts", "--overhead-blocks 0 or --fidelity-seeds 0 leaves a part out"),
    ("--journal", "Each VM has a journal of its own, below --out"),
    ("--load-cpus", OWN_CPUS),
    ("--sink-cpu", OWN_CPUS),
    ("--reader-cpus", OWN_CPUS),
];

/// Why to measure in VMs; `None` to measure on this host.
///
/// # Errors
/// The request has flags for a host and for VMs, or this host cannot measure.
pub(super) fn vms(args: &RunArgs, scenario: &Scenario) -> Result<Option<String>> {
    let in_vm = host::machine()?.is_some();
    decide(args, scenario, in_vm, &place::host_lacks())
}

fn decide(
    args: &RunArgs,
    scenario: &Scenario,
    in_vm: bool,
    lacks: &[String],
) -> Result<Option<String>> {
    let told = |flag: &str| args.told.0.iter().any(|(told, _)| told == flag);
    let of_a_host = match scenario.guests.kind {
        GuestKind::Existing => Some(("guests that run here", "Leave the options for VMs out")),
        _ => OF_A_HOST.into_iter().find(|(flag, _)| told(flag)),
    };
    let on = match args.vms.on {
        // VMs in VMs only take time.
        RunsOn::Auto if in_vm => RunsOn::Host,
        on => on,
    };
    match (on, args.vms.flag(), of_a_host) {
        (RunsOn::Host, Some(flag), _) => Err(Error::invalid(
            flag,
            "it applies to VMs, but this host is to measure",
            "Leave it out, or say --on vm",
        )),
        (RunsOn::Vm, _, Some((what, instead))) | (RunsOn::Auto, Some(_), Some((what, instead))) => {
            Err(Error::invalid(what, "it does not apply to a campaign in VMs", instead))
        }
        (RunsOn::Vm, ..) => Ok(Some("asked for by --on".into())),
        (RunsOn::Auto, Some(flag), None) => Ok(Some(format!("asked for by {flag}"))),
        (RunsOn::Auto, None, None) if !lacks.is_empty() => {
            Ok(Some(format!("on this host {}", lacks.join("; "))))
        }
        // What a host lacks is reported where it is needed.
        (RunsOn::Host, None, _) | (RunsOn::Auto, None, _) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command::Run};

    /// The decision for a command line on a host that lacks something or nothing, or in a VM:
    /// `here`, the reason for VMs, or the refusal.
    fn decided(line: &str, in_vm: bool, lacks: &[&str]) -> String {
        let words = ["tracetoll", "run"].into_iter().chain(line.split_whitespace());
        let Run(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
        let scenario = super::super::scenario(&args).unwrap();
        let lacks: Vec<String> = lacks.iter().map(|&lack| lack.to_owned()).collect();
        match decide(&args, &scenario, in_vm, &lacks) {
            Ok(None) => "here".to_owned(),
            Ok(Some(why)) => why,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_host_that_can_measures_and_another_one_leaves_it_to_vms() {
        assert_eq!(decided("", false, &[]), "here");
        assert_eq!(
            decided("", false, &["tracefs is not mounted"]),
            "on this host tracefs is not mounted"
        );
        assert_eq!(decided("", true, &["tracefs is not mounted"]), "here");
        assert_eq!(decided("--on host", false, &["the user is not root"]), "here");
        assert_eq!(decided("--on vm", false, &[]), "asked for by --on");
        assert_eq!(decided("--on vm", true, &[]), "asked for by --on");
    }

    #[test]
    fn flags_of_one_place_ask_for_it() {
        assert_eq!(decided("--overhead-blocks 1", false, &[]), "asked for by --overhead-blocks");
        assert_eq!(decided("--clock counted", false, &[]), "asked for by --clock");
        for line in ["--blocks 3", "--load-cpus 2-5", "--scenario existing"] {
            assert_eq!(decided(line, false, &["the user is not root"]), "here", "{line}");
        }
    }

    #[test]
    fn flags_of_both_places_are_refused() {
        for (line, flag) in [
            ("--on host --first-seed 2", "--first-seed"),
            ("--on vm --blocks 3", "--blocks"),
            ("--on vm --seed=3", "--seed"),
            ("--clock wall --load-cpus=2-5", "--load-cpus"),
            ("--on vm --scenario existing", "guests that run here"),
        ] {
            let told = decided(line, false, &[]);
            assert!(
                told.starts_with(&format!("{flag}: it ")) && told.contains("appl"),
                "{line}: {told}"
            );
        }
        assert!(
            decided("--overhead-blocks 1", true, &[])
                .starts_with("--overhead-blocks: it applies to VMs")
        );
    }
}
