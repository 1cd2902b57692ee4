//! Which guests make up a campaign.
//!
//! The toll is measured on the counted clock at one instruction per ns, with one CPU, since icount
//! runs all CPUs on one instruction clock; a guest runs one block. Fidelity needs CPUs that hogs
//! and load contend for and a longer time, so those guests have two CPUs and a coarser clock; a
//! guest runs one seed, and the seeds are the sample.
//!
//! On the wall clock, one machine after the other measures, so that none takes another's time, and
//! all have the CPUs that the scenario asks for. Where the guests of the scenario are VMs
//! themselves there is no other: the counted clock takes one host CPU for all of a machine's, and
//! two VMs had not booted after minutes (METHODOLOGY.md, Clocks).

use super::asked::Asked;
use anyhow::{Context, Result, bail};
use probe_vm::kernels::Kernel;
use probe_vm::machine::{self, Boot, Clock, ClockName, Machine};
use probe_vm::protocol::{GUESTS, RESULTS_PORT};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Guests that measure the toll, unless said.
pub(crate) const TOLL_BLOCKS: u32 = 4;
/// Guests that measure fidelity, unless said.
pub(crate) const FIDELITY_SEEDS: u32 = 4;

const BINARY: &str = "/bin/tracetoll";
const HUGE_PAGES: &str = "--huge-pages";

/// One part of a campaign, measured alike in each of its guests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Toll,
    Fidelity,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Toll => "toll",
            Self::Fidelity => "fidelity",
        }
    }
}

/// How many guests measure each part, and by which clock.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) toll_blocks: u32,
    pub(crate) fidelity_seeds: u32,
    pub(crate) first_seed: u64,
    pub(crate) clock: ClockName,
}

/// The longest that a machine may take: full-length trials under a dozen methods.
const TIMEOUT: Duration = Duration::from_secs(12 * 3600);

/// The guests of one campaign.
pub(crate) struct Plan {
    kernel: Kernel,
    boot: Boot,
    files: Vec<(PathBuf, String)>,
    rest: Vec<OsString>,
    asked: Asked,
    guests: Vec<(Part, u64)>,
    clock: ClockName,
}

impl Plan {
    /// `rest` are arguments for tracetoll; files that they name go into self-contained guests, the
    /// others see them.
    ///
    /// # Errors
    /// When a named file has no path in UTF-8.
    pub(crate) fn new(
        rest: &[OsString],
        binary: PathBuf,
        (kernel, boot): (Kernel, Boot),
        asked: Asked,
        size: Size,
    ) -> Result<Self> {
        refuse_fixed(rest)?;
        let mut files = vec![(binary, BINARY.to_owned())];
        let rest = rest.iter().map(|word| carried(word, &mut files)).collect::<Result<_>>()?;
        let blocks = if asked.toll { size.toll_blocks } else { 0 };
        let of =
            |part, guests| (size.first_seed..).take(guests as usize).map(move |seed| (part, seed));
        let toll = of(Part::Toll, blocks);
        let fidelity = of(Part::Fidelity, size.fidelity_seeds);
        let guests = toll.chain(fidelity).collect();
        Ok(Self { kernel, boot, files, rest, asked, guests, clock: size.clock })
    }

    /// What to call a guest.
    pub(crate) fn name(&self, index: usize) -> String {
        let (part, seed) = &self.guests[index];
        format!("{}-{seed}", part.name())
    }

    /// How many machines measure side by side: on the wall clock none may take another's time.
    pub(crate) fn at_once(&self) -> usize {
        if self.clock == ClockName::Wall { 1 } else { machine::carried() }
    }

    /// The clock of a guest that measures the toll, and how many CPUs it has.
    pub(crate) fn for_toll(&self) -> (Clock, u32) {
        self.shape(Part::Toll)
    }

    fn shape(&self, part: Part) -> (Clock, u32) {
        match (self.clock, part) {
            (ClockName::Wall, _) => (Clock::Wall, self.asked.cpus()),
            (ClockName::Counted, Part::Toll) => (Clock::Counted { shift: 0 }, 1),
            (ClockName::Counted, Part::Fidelity) => {
                (Clock::Counted { shift: 2 }, self.asked.cpus())
            }
        }
    }

    /// The machines to boot; each keeps its journal in a folder below `out`.
    ///
    /// # Errors
    /// When such a folder cannot be created.
    pub(crate) fn machines(&self, out: &Path) -> Result<Vec<Machine>> {
        (0..self.guests.len()).map(|index| self.machine(index, out)).collect()
    }

    fn machine(&self, index: usize, out: &Path) -> Result<Machine> {
        let (part, seed) = self.guests[index];
        let results = out.join(GUESTS).join(self.name(index));
        fs::create_dir_all(&results)
            .with_context(|| format!("cannot create {}", results.display()))?;
        let seed_text = seed.to_string();
        let fixed =
            ["run", "--journal", RESULTS_PORT, "--parts", part.name(), "--blocks", "1", "--seed"];
        let self_contained = self.boot == Boot::Initramfs;
        let binary = if self_contained { BINARY.into() } else { self.files[0].0.clone() };
        let words = fixed.into_iter().chain([seed_text.as_str()]).map(OsString::from);
        // The machine has reserved what its VMs need.
        let own = (self.asked.huge_pages() > 0 && !self.rest.contains(&HUGE_PAGES.into()))
            .then(|| HUGE_PAGES.into());
        let rest = self.rest.iter().cloned().chain(own);
        let command = std::iter::once(binary.into()).chain(words).chain(rest);
        let (clock, cpus) = self.shape(part);
        Ok(Machine {
            cpus,
            memory: self.asked.memory(),
            clock,
            nested: self.asked.kvm(),
            huge_pages: self.asked.huge_pages(),
            timeout: Some(TIMEOUT),
            seed: Some(seed),
            boot: self.boot,
            files: if self_contained { self.files.clone() } else { Vec::new() },
            results: Some(results),
            live: false,
            ..Machine::new(self.kernel.clone(), command.collect())
        })
    }
}

/// What each guest is told by the plan, no argument may say otherwise.
fn refuse_fixed(rest: &[OsString]) -> Result<()> {
    const OWN_CPUS: &str =
        "each guest has as many CPUs as its scenario needs: say load_cpus in a scenario file";
    const FIXED: [(&str, &str); 9] = [
        ("--blocks", "--toll-blocks and --fidelity-seeds say how many guests measure"),
        (
            "--until-ci",
            "each guest measures one block; --toll-blocks and --fidelity-seeds say how many measure",
        ),
        ("--seed", "each guest has a seed of its own, from --first-seed on"),
        ("--parts", "--toll-blocks 0 or --fidelity-seeds 0 leaves a part out"),
        ("--journal", "each guest has a journal of its own, below --out"),
        ("--load-cpus", OWN_CPUS),
        ("--sink-cpu", OWN_CPUS),
        ("--reader-cpus", OWN_CPUS),
        ("--out", "put it before the other arguments: cargo xtask run --out DIR …"),
    ];
    for word in rest.iter().filter_map(|word| word.to_str()) {
        let flag = word.split_once('=').map_or(word, |(flag, _)| flag);
        if let Some((_, instead)) = FIXED.iter().find(|(fixed, _)| *fixed == flag) {
            bail!("{flag} cannot be given to a campaign in VMs: {instead}");
        }
    }
    Ok(())
}

/// A word that names a file here is made to name it in the guest, and the file goes along.
fn carried(word: &OsStr, files: &mut Vec<(PathBuf, String)>) -> Result<OsString> {
    let path = Path::new(word);
    let file = |extension: &OsStr| extension == "toml" || extension == "o";
    let named = path.components().count() > 1 || path.extension().is_some_and(file);
    if !(named && path.is_file()) {
        return Ok(word.to_owned());
    }
    let here = fs::canonicalize(path)?;
    let there = here.to_str().with_context(|| format!("{here:?} is not UTF-8"))?.to_owned();
    files.push((here, there.clone()));
    Ok(there.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rest: &[&str]) -> Plan {
        let kernel =
            Kernel { version: "6.12.0".into(), image: "vmlinuz".into(), modules: "modules".into() };
        let rest: Vec<OsString> = rest.iter().map(OsString::from).collect();
        let size =
            Size { toll_blocks: 2, fidelity_seeds: 1, first_seed: 3, clock: ClockName::Counted };
        let asked = Asked::of("blast", true);
        Plan::new(&rest, "tracetoll".into(), (kernel, Boot::Initramfs), asked, size).unwrap()
    }

    #[test]
    fn each_guest_has_its_own_name_seed_and_journal() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(&["--methods", "all"]);
        let machines = plan.machines(dir.path()).unwrap();
        let names: Vec<String> = (0..machines.len()).map(|index| plan.name(index)).collect();
        assert_eq!(names, ["toll-3", "toll-4", "fidelity-3"]);
        assert_eq!(
            machines.iter().map(|m| m.seed).collect::<Vec<_>>(),
            [Some(3), Some(4), Some(3)]
        );
        let mut folders: Vec<_> = machines.iter().map(|m| m.results.clone()).collect();
        folders.dedup();
        assert_eq!(folders.len(), 3);
        assert!(machines[0].command.ends_with(&["--methods".into(), "all".into()]));
    }

    #[test]
    fn vms_find_their_memory_reserved() {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = plan(&[HUGE_PAGES]);
        plan.asked = Asked::of("kvm", false);
        for rest in [Vec::new(), vec![HUGE_PAGES.into()]] {
            plan.rest = rest;
            let machine = plan.machine(0, dir.path()).unwrap();
            let said = machine.command.iter().filter(|word| *word == HUGE_PAGES).count();
            assert_eq!((machine.huge_pages, said), (8 * 96, 1));
        }
    }

    #[test]
    fn on_the_wall_clock_one_machine_after_the_other_has_all_its_cpus() {
        let dir = tempfile::tempdir().unwrap();
        let shape = |plan: &Plan| {
            let toll = plan.machine(0, dir.path()).unwrap();
            (toll.clock, toll.cpus, plan.at_once() == 1)
        };
        let mut plan = plan(&[]);
        assert_eq!(shape(&plan), (Clock::Counted { shift: 0 }, 1, false));
        plan.clock = ClockName::Wall;
        assert_eq!(shape(&plan), (Clock::Wall, 2, true));
    }

    #[test]
    fn what_the_plan_says_cannot_be_said_again() {
        for word in ["--blocks", "--seed=3", "--load-cpus=2-5", "--out"] {
            let error = refuse_fixed(&[word.into()]).unwrap_err().to_string();
            assert!(error.starts_with(word.split('=').next().unwrap()), "{error}");
        }
        refuse_fixed(&["--methods".into(), "all".into()]).unwrap();
    }

    #[test]
    fn a_file_that_is_named_goes_along_and_other_words_stay() {
        let dir = tempfile::tempdir().unwrap();
        let scenario = dir.path().join("own.toml");
        fs::write(&scenario, "").unwrap();
        let plan = plan(&["--scenario", scenario.to_str().unwrap(), "quick"]);
        assert_eq!(plan.files.len(), 2);
        assert_eq!(plan.rest[2], "quick");
        assert_eq!(plan.rest[1], OsString::from(&plan.files[1].1));
    }
}
