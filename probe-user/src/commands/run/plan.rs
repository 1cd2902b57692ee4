//! Decides which VMs make up a campaign.
//!
//! Overhead is measured on the counted clock at one instruction per ns, with one CPU, since icount
//! runs all CPUs on one instruction clock; each VM runs one block. Fidelity needs several CPUs, for
//! which hogs and load contend, and more time, so those VMs have two CPUs and a coarser clock; each
//! VM runs one seed, and the seeds are the sample.
//!
//! On the wall clock the VMs measure one after another, so that none takes another's time, and all
//! have the CPUs that the scenario asks for. If the scenario's guests are VMs themselves, only the
//! wall clock works: the counted clock uses one host CPU for all CPUs of a machine, and two VMs had
//! not booted after minutes (docs/src/guide/emulation.md).

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::{
        scenario::{GuestKind, Scenario},
        trial::Part,
    },
};
use probe_vm::{
    kernels::Kernel,
    machine::{self, Boot, Clock, Machine},
    protocol::{ClockName, GUESTS, RESULTS_PORT},
};

use crate::{cli::RunArgs, workload::OVERHEAD_MIB};

/// Default number of VMs that measure a part.
const EACH_PART: u32 = 4;

/// Size of the pages for VMs' memory, in MiB.
const HUGE_PAGE_MIB: u32 = 2;

/// A machine's own memory, in MiB.
const MACHINE_MIB: u64 = 2048;

/// Time limit of a machine: full-length trials under a dozen methods.
const TIMEOUT: Duration = Duration::from_secs(12 * 3600);

/// Path of this program in a self-contained machine.
const PROGRAM: &str = "/bin/tracetoll";

/// The VMs of one campaign.
pub(super) struct VmPlan<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) scenario: &'a Scenario,
    pub(super) clock: ClockName,
    pub(super) boot: Boot,
    /// This program.
    pub(super) program: PathBuf,
}

/// The clock of the machines.
///
/// # Errors
/// They cannot have the requested clock, because their guests are VMs.
pub(super) fn clock(args: &RunArgs, scenario: &Scenario) -> Result<ClockName> {
    match (scenario.guests.kind, args.vms.clock) {
        (GuestKind::Kvm, Some(ClockName::Counted)) => Err(Error::invalid(
            "--clock counted",
            "a machine whose guests are VMs cannot count instructions, since none of them would \
             boot in time",
            "Leave it out, or measure with --guests bridge",
        )),
        (GuestKind::Kvm, _) => Ok(ClockName::Wall),
        (_, asked_for) => Ok(asked_for.unwrap_or(ClockName::Counted)),
    }
}

impl VmPlan<'_> {
    /// What each VM measures, and its seed.
    pub(super) fn guests(&self) -> Vec<(Part, u64)> {
        let vms = &self.args.vms;
        let blocks = vms.overhead_blocks.unwrap_or(EACH_PART);
        let blocks = if self.scenario.overhead.is_some() { blocks } else { 0 };
        let seeds = u64::from(vms.first_seed.unwrap_or(1))..;
        let of = |part, guests| seeds.clone().zip(0..guests).map(move |(seed, _)| (part, seed));
        let fidelity = of(Part::Fidelity, vms.fidelity_seeds.unwrap_or(EACH_PART));
        of(Part::Overhead, blocks).chain(fidelity).collect()
    }

    /// How many machines measure side by side: on the wall clock none may take another's time.
    pub(super) fn at_once(&self) -> usize {
        if self.clock == ClockName::Wall { 1 } else { machine::carried() }
    }

    /// The machines to boot; each keeps its journal in a folder below `out`.
    ///
    /// # Errors
    /// Such a folder cannot be created.
    pub(super) fn machines(&self, kernel: &Kernel, out: &Path) -> Result<Vec<Machine>> {
        let guests = self.guests().into_iter();
        guests.map(|guest| self.machine(guest, kernel, out)).collect()
    }

    fn machine(&self, guest: (Part, u64), kernel: &Kernel, out: &Path) -> Result<Machine> {
        let results = out.join(GUESTS).join(name(guest));
        fs::create_dir_all(&results).map_err(|e| Error::output("create", &results, e))?;
        let (part, seed) = guest;
        let mut files = vec![(self.program.clone(), PROGRAM.to_owned())];
        let words = self.words(&mut files)?;
        let self_contained = self.boot == Boot::Initramfs;
        let program = if self_contained { PROGRAM.into() } else { self.program.clone() };
        let seed_word = seed.to_string();
        let own = ["run", "--on", "host", "--journal", RESULTS_PORT, "--parts", part_name(part)];
        let own = own.into_iter().chain(["--blocks", "1", "--seed", &seed_word]);
        let command = [program.into()].into_iter().chain(own.map(OsString::from)).chain(words);
        let kvm = self.scenario.guests.kind == GuestKind::Kvm;
        let (clock, cpus) = self.shape(part);
        Ok(Machine {
            cpus,
            memory: self.memory(),
            clock,
            nested: kvm,
            huge_pages: if kvm { self.huge_pages() } else { 0 },
            timeout: Some(TIMEOUT),
            seed: Some(seed),
            boot: self.boot,
            files: if self_contained { files } else { Vec::new() },
            results: Some(results),
            live: false,
            ..Machine::new(kernel.clone(), command.collect())
        })
    }

    /// The command line for a machine. Files named on it are copied, by their names here and in the
    /// machine.
    fn words(&self, files: &mut Vec<(PathBuf, String)>) -> Result<Vec<OsString>> {
        let mut words = Vec::new();
        let guests = &self.scenario.guests;
        for (flag, value) in &self.args.told.0 {
            // The machine has its own, or gets it from what was found here.
            if ["--out", "--guest-image", "--huge-pages"].contains(&flag.as_str()) {
                continue;
            }
            words.push(flag.into());
            let Some(value) = value else { continue };
            let path = Path::new(value);
            let is_file = match flag.as_str() {
                "--scenario" => path.extension().is_some_and(|extension| extension == "toml"),
                flag => ["--object", "--bpf-log"].contains(&flag),
            };
            if !is_file {
                words.push(value.clone());
                continue;
            }
            let here = fs::canonicalize(path).map_err(|e| Error::file("find", path, e))?;
            let there = here.to_str().ok_or_else(|| {
                Error::invalid(here.display().to_string(), "no UTF-8", "Use another name")
            })?;
            words.push(there.into());
            files.push((here.clone(), there.to_owned()));
        }
        if let Some(image) = &guests.image {
            words.extend(["--guest-image".into(), image.into()]);
        }
        // The machine has reserved the pages for its VMs.
        if guests.kind == GuestKind::Kvm || guests.huge_pages {
            words.push("--huge-pages".into());
        }
        Ok(words)
    }

    fn shape(&self, part: Part) -> (Clock, u32) {
        // One CPU for the sink in addition to those of the load.
        let cpus = u32::try_from(self.scenario.load_cpus).unwrap_or(u32::MAX).saturating_add(1);
        match (self.clock, part) {
            (ClockName::Wall, _) => (Clock::Wall, cpus),
            (ClockName::Counted, Part::Overhead) => (Clock::Counted { shift: 0 }, 1),
            (ClockName::Counted, Part::Fidelity) => (Clock::Counted { shift: 2 }, cpus),
        }
    }

    /// Pages of 2 MiB for all VMs.
    fn huge_pages(&self) -> u64 {
        let guests = &self.scenario.guests;
        guests.count as u64 * u64::from(guests.memory_mib.div_ceil(HUGE_PAGE_MIB))
    }

    /// In the format of QEMU's `-m`.
    fn memory(&self) -> String {
        let guests = &self.scenario.guests;
        let each = match guests.kind {
            GuestKind::Kvm => u64::from(guests.memory_mib) + OVERHEAD_MIB,
            _ => 0,
        };
        format!("{}M", MACHINE_MIB + guests.count as u64 * each)
    }
}

/// The name of a VM, and of its folder.
pub(super) fn name((part, seed): (Part, u64)) -> String {
    format!("{}-{seed}", part_name(part))
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Overhead => "overhead",
        Part::Fidelity => "fidelity",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command::Run};

    fn args(line: &str) -> Box<RunArgs> {
        let words = ["tracetoll", "run"].into_iter().chain(line.split_whitespace());
        let Run(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
        args
    }

    /// The machines for a command line, and their commands without what is specific to each.
    fn machines(line: &str) -> (Vec<Machine>, Vec<String>, usize) {
        let args = args(line);
        let scenario = super::super::scenario(&args).unwrap();
        let clock = clock(&args, &scenario).unwrap();
        let kvm = scenario.guests.kind == GuestKind::Kvm;
        let boot = if kvm { Boot::NineP } else { Boot::Initramfs };
        let (args, scenario) = (&args, &scenario);
        let plan = VmPlan { args, scenario, clock, boot, program: "/usr/bin/tracetoll".into() };
        let kernel =
            Kernel { version: "6.12.0".into(), image: "vmlinuz".into(), modules: "modules".into() };
        let out = tempfile::tempdir().unwrap();
        let machines = plan.machines(&kernel, out.path()).unwrap();
        let told = machines.iter().map(|machine| {
            let words = machine.command.iter().map(|word| word.to_str().unwrap());
            words.collect::<Vec<_>>().join(" ")
        });
        let told = told.collect();
        (machines, told, plan.at_once())
    }

    #[test]
    fn each_vm_has_its_own_seed_and_journal() {
        let line = "--overhead-blocks 2 --fidelity-seeds 1 --first-seed 3 --methods all --out x";
        let (machines, told, _) = machines(line);
        let seeds: Vec<_> = machines.iter().map(|machine| machine.seed).collect();
        assert_eq!(seeds, [Some(3), Some(4), Some(3)]);
        let folder = |machine: &Machine| {
            let folder = machine.results.clone().unwrap();
            folder.file_name().unwrap().to_str().unwrap().to_owned()
        };
        let folders: Vec<_> = machines.iter().map(folder).collect();
        assert_eq!(folders, ["overhead-3", "overhead-4", "fidelity-3"]);
        assert_eq!(
            told[2],
            "/bin/tracetoll run --on host --journal /dev/virtio-ports/tracetoll.results --parts \
             fidelity --blocks 1 --seed 3 --methods all"
        );
    }

    #[test]
    fn what_a_vm_is_told_is_a_run_on_it() {
        let (machines, ..) = machines("--methods all --sizes 1,8 --kicks 9 --bpf-stats");
        for machine in machines {
            let Run(args) = Cli::try_parse_from(&machine.command).unwrap().command else {
                panic!("{:?}", machine.command)
            };
            assert_eq!((args.kicks, &*args.sizes, args.blocks), (Some(9), &[1, 8][..], Some(1)));
        }
    }

    #[test]
    fn on_the_wall_clock_one_machine_after_the_other_has_all_its_cpus() {
        let shape = |line: &str| {
            let (machines, _, at_once) = machines(line);
            (machines[0].clock, machines[0].cpus, at_once == 1)
        };
        assert_eq!(shape(""), (Clock::Counted { shift: 0 }, 1, false));
        assert_eq!(shape("--clock wall"), (Clock::Wall, 2, true));
    }

    #[test]
    fn vms_find_their_memory_reserved() {
        for line in ["", "--huge-pages"] {
            let (machines, told, _) =
                machines(&format!("--scenario paper-fig8 --guest-image /image {line}"));
            let machine = &machines[0];
            assert!(machine.nested && machine.clock == Clock::Wall);
            assert_eq!((machine.huge_pages, &*machine.memory), (8 * 96, "4096M"));
            assert_eq!(told[0].matches("--huge-pages").count(), 1, "{}", told[0]);
            assert!(told[0].starts_with("/usr/bin/tracetoll run "), "{}", told[0]);
        }
        let counted = args("--scenario paper-fig8 --clock counted");
        clock(&counted, &super::super::scenario(&counted).unwrap()).unwrap_err();
    }

    #[test]
    fn a_file_that_is_named_goes_along() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own.toml");
        fs::write(&file, crate::workload::scenarios::text("quick").unwrap()).unwrap();
        let (machines, told, _) = machines(&format!("--scenario {}", file.display()));
        let here = fs::canonicalize(&file).unwrap();
        assert!(told[0].ends_with(&format!("--scenario {}", here.display())), "{}", told[0]);
        assert_eq!(machines[0].files[1].0, here);
        assert_eq!(machines[0].files.len(), 2);
    }
}
