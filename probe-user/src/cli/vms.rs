//! Where `tracetoll run` measures, and in what VMs.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use probe_vm::{
    Installer, kernels,
    machine::AccelArg,
    place::RunsOn,
    protocol::{Accel, ClockName},
};

use super::RunArgs;

/// Where to measure, and in what VMs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Host or VMs")]
pub struct VmArgs {
    /// Where to measure. `auto` also selects the host if you give a flag that only a host has
    /// (--blocks, --parts, --seed, --load-cpus), and VMs if you give one that only VMs have
    /// (--clock, --kernel, --overhead-blocks).
    #[arg(long, value_enum, default_value = "auto")]
    pub on: RunsOn,
    /// VMs: what their clock tells. Executed instructions unless given (a host does not count
    /// them), or real time where the scenario's guests are VMs themselves.
    #[arg(long, value_enum)]
    pub clock: Option<ClockName>,
    /// VMs: what runs their instructions if their clock is real time. VMs that count instructions
    /// are always emulated.
    #[arg(long, value_enum)]
    pub accel: Option<Accel>,
    /// VMs: series of their kernel; Debian's newest build of it is used.
    #[arg(long, value_name = "SERIES", help = kernel_help())]
    pub kernel: Option<String>,
    /// VMs: how many measure overhead, one block each; 4 unless given.
    #[arg(long, alias = "toll-blocks", value_name = "N")]
    pub overhead_blocks: Option<u32>,
    /// VMs: how many measure fidelity, one seed each; 4 unless given.
    #[arg(long, value_name = "N")]
    pub fidelity_seeds: Option<u32>,
    /// VMs: seed of the first VM that measures a part, 1 unless given; each further VM takes the
    /// next number. On the counted clock a seed repeats its run exactly, so more blocks of a
    /// campaign need other seeds.
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u32).range(1..))]
    pub first_seed: Option<u32>,
    /// Install missing packages with apt, and fetch the VMs' kernel from Debian's archive. --on vm
    /// does so too; without either flag nothing is installed or fetched.
    #[arg(long)]
    pub install: bool,
    /// Never install packages; print the commands that would, and stop. With --install or --on vm
    /// kernels are still fetched.
    #[arg(long)]
    pub no_install: bool,
}

impl VmArgs {
    /// The kernel's series.
    pub fn series(&self) -> &str {
        self.kernel.as_deref().unwrap_or(kernels::DEFAULT)
    }

    /// What runs the VMs' instructions.
    pub fn accel(&self) -> AccelArg {
        AccelArg { accel: self.accel.unwrap_or_default() }
    }

    /// What may be installed and fetched.
    pub fn installer(&self) -> Installer {
        match (self.install || self.on == RunsOn::Vm, self.no_install) {
            (true, true) => Installer::Kernels,
            (true, false) => Installer::All,
            (false, _) => Installer::Nothing,
        }
    }

    /// The first of these flags that makes no sense on a host.
    pub fn flag(&self) -> Option<&'static str> {
        let Self { clock, accel, kernel, overhead_blocks, fidelity_seeds, first_seed, .. } = self;
        [
            ("--clock", clock.is_some()),
            ("--accel", accel.is_some()),
            ("--kernel", kernel.is_some()),
            ("--overhead-blocks", overhead_blocks.is_some()),
            ("--fidelity-seeds", fidelity_seeds.is_some()),
            ("--first-seed", first_seed.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }
}

fn kernel_help() -> String {
    let series = kernels::DEFAULT;
    format!(
        "VMs: series of their kernel; Debian's newest build of it is used; {series} unless \
         given"
    )
}

/// The command line as given, each flag with its value, without [`VmArgs`]: it is repeated to each
/// VM. This must be the first field, since the other fields take their values out of the matches.
#[derive(Debug, Clone, Default)]
pub struct Told(pub Vec<(String, Option<OsString>)>);

impl FromArgMatches for Told {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let of_vms = VmArgs::augment_args(Command::new("vms"));
        let run = RunArgs::augment_args(Command::new("run"));
        let mut told = Vec::new();
        for argument in run.get_arguments() {
            let id = argument.get_id().as_str();
            let ours = !of_vms.get_arguments().any(|other| other.get_id() == id)
                && matches.value_source(id) == Some(ValueSource::CommandLine);
            let Some(flag) = argument.get_long().filter(|_| ours) else { continue };
            let flag = format!("--{flag}");
            if !argument.get_action().takes_values() {
                told.push((flag, None));
                continue;
            }
            let comma = argument.get_value_delimiter().unwrap_or(',').to_string();
            for values in matches.get_raw_occurrences(id).into_iter().flatten() {
                let value = values.collect::<Vec<_>>().join(comma.as_ref());
                told.push((flag.clone(), Some(value)));
            }
        }
        Ok(Self(told))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Told {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command::Run};

    fn run(line: &str) -> Box<RunArgs> {
        let words = ["tracetoll", "run"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_told_again_is_all_that_was_said_but_for_the_vms() {
        let line = "--overhead-blocks 2 --sizes=1,8 --bpf-stats --method external:a=b --on vm \
                    --method external:c=d --guests bridge --install";
        let told = run(line).told.0.into_iter().map(|(flag, value)| match value {
            Some(value) => format!("{flag} {}", value.to_str().unwrap()),
            None => flag,
        });
        let told: std::collections::BTreeSet<_> = told.collect();
        let all = [
            "--bpf-stats",
            "--guests bridge",
            "--method external:a=b",
            "--method external:c=d",
            "--sizes 1,8",
        ];
        assert_eq!(told, all.map(str::to_owned).into());
        assert!(run("").told.0.is_empty());
    }

    #[test]
    fn nothing_is_installed_unless_it_is_asked_for() {
        for (line, installer) in [
            ("", Installer::Nothing),
            ("--clock counted", Installer::Nothing),
            ("--install", Installer::All),
            ("--on vm", Installer::All),
            ("--on vm --no-install", Installer::Kernels),
            ("--install --no-install", Installer::Kernels),
            ("--no-install --install", Installer::Kernels),
            ("--no-install", Installer::Nothing),
        ] {
            assert_eq!(run(line).vms.installer(), installer, "{line}");
        }
    }
}
