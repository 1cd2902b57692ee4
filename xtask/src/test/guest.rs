//! The guest tests: which machines run them, how each machine ended, and which tests failed.

use super::lanes::{self, Share, TestKind};
use crate::{cargo, ebpf};
use anyhow::{Context, Result, bail};
use probe_vm::kernels::{Kernel, SERIES};
use probe_vm::machine::{self, AccelArg, Ending, Machine, Outcome, Tools};
use probe_vm::{Installer, externals, image, interrupt};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// The variable that tells the guest tests which modules to run, see `tests/guest/main.rs`.
const MODULES: &str = "TRACETOLL_TEST_MODULES";

/// Parameters of `tests/guest/soak.rs`: the number of kills, and the seed of their times.
const SOAK: [&str; 2] = ["TRACETOLL_SOAK_KILLS", "TRACETOLL_SOAK_SEED"];

/// The only guest test, a long one, that loads programs that log. Others need no compiler for them.
const OF_LOGS: &str = "bpf::what_programs_log_is_in_the_trials_and_shown";

/// Which of the guest tests to run.
pub(super) struct Asked<'a> {
    /// Kernel series; empty for all that are tested.
    pub(super) series: &'a [String],
    pub(super) accel: AccelArg,
    /// All tests on each series, and those that boot VMs.
    pub(super) full: bool,
    /// Only tests with this in their names.
    pub(super) part: Option<&'a str>,
    /// Further arguments of the test runner.
    pub(super) words: &'a [OsString],
}

/// Runs the guest tests on each kernel and prints each machine's output in one piece. Returns what
/// each machine ran.
pub(super) fn run(asked: &Asked<'_>, install: &Installer) -> Result<Vec<(Share, Tried)>> {
    let tools = ready(install)?.accelerated(asked.accel);
    let (tracetoll, tests) = (cargo::as_tested("tracetoll")?, cargo::as_tested("guest")?);
    let image = image::ready(image::SERIES, install)?;
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let shares = shares(asked, &tests)?;
    let of_logs = asked.part.map_or(asked.full, |part| OF_LOGS.contains(part));
    let logging = of_logs.then(|| ebpf::logging(install)).transpose()?;
    let alone = shares.len() == 1;
    let machine = |share: &Share| -> Result<Machine> {
        let kernel = Kernel::get(&share.series, install)?;
        let mut command = vec![tests.clone().into()];
        if let Some(part) = asked.part {
            // A test asked for by name runs at once.
            command.extend([part.into(), "--include-ignored".into()]);
        }
        command.extend(share.kind.words().iter().map(OsString::from));
        command.extend_from_slice(asked.words);
        let modules: Vec<&str> = share.modules.iter().map(String::as_str).collect();
        let mut env = vec![
            variable("TRACETOLL_BIN", tracetoll.display().to_string()),
            variable("TRACETOLL_IMAGE", image.display().to_string()),
            variable(MODULES, modules.join(",")),
        ];
        if let Some(object) = &logging {
            env.push(variable("TRACETOLL_BPF_LOG", object.display().to_string()));
        }
        if share.kind == TestKind::Long {
            // Others each night.
            let seed = jiff::Timestamp::now().as_second().to_string();
            env.push(variable(SOAK[1], seed));
        }
        env.extend(SOAK.iter().filter_map(|name| Some(variable(name, std::env::var(name).ok()?))));
        let nested = share.kind == TestKind::Vms;
        Ok(Machine {
            env,
            timeout: Some(if nested { NESTED_WITHIN } else { PLAIN_WITHIN }),
            nested,
            huge_pages: if nested { VM_TESTS_HUGE_PAGES } else { 0 },
            // One CPU to take offline, one for the load and one for the sink.
            cpus: 3,
            live: alone,
            ..Machine::new(kernel, command)
        })
    };
    let machines = shares.iter().map(machine).collect::<Result<Vec<_>>>()?;
    Ok(shares.into_iter().zip(judge(&machines, &tools)?).collect())
}

/// Installs what the tests need in their machines.
pub(super) fn ready(install: &Installer) -> Result<Tools> {
    install.ensure(&externals::PROGRAMS)?;
    install.ensure(&externals::NETWORK)?;
    Tools::ready(install)
}

/// The machines that are needed; with part of a name, those that have such tests.
fn shares(asked: &Asked<'_>, tests: &Path) -> Result<Vec<Share>> {
    let names = names(tests)?;
    let there: BTreeSet<String> = names.iter().map(|name| module(name).to_owned()).collect();

    lanes::check(&there)?;
    let default = match asked.part {
        Some(_) => vec![lanes::whole().to_owned()],
        None => SERIES.map(|series| series.name.to_owned()).to_vec(),
    };
    let series = if asked.series.is_empty() { &default } else { asked.series };
    let Some(part) = asked.part else { return Ok(lanes::shares(series, asked.full, &there)) };
    let hit: BTreeSet<String> = names
        .iter()
        .filter(|name| name.contains(part))
        .map(|name| module(name).to_owned())
        .collect();
    if hit.is_empty() {
        bail!("no guest test has `{part}` in its name: {} --list prints them", tests.display());
    }
    let (nested, plain): (BTreeSet<_>, BTreeSet<_>) =
        hit.into_iter().partition(|module| lanes::OF_VMS.contains(&module.as_str()));
    let of = |modules: &BTreeSet<String>, kind| {
        let share = |one: &String| Share { series: one.clone(), modules: modules.clone(), kind };
        let series = series.iter().filter(|_| !modules.is_empty());
        series.map(share).collect::<Vec<_>>()
    };
    Ok([of(&plain, TestKind::Plain), of(&nested, TestKind::Vms)].concat())
}

/// The names of all guest tests.
pub(super) fn names(tests: &Path) -> Result<Vec<String>> {
    let out = Command::new(tests).arg("--list").output().context("cannot list the guest tests")?;
    let text = String::from_utf8(out.stdout).context("names are UTF-8")?;
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test").map(str::to_owned)).collect())
}

/// `perf` of `perf::a_full_ring_loses_an_exact_number`.
fn module(name: &str) -> &str {
    name.split("::").next().unwrap_or(name)
}

/// Runs the machines, and repeats those that may have failed because of the emulation. Returns how
/// each one ended.
fn judge(machines: &[Machine], tools: &Tools) -> Result<Vec<Tried>> {
    let (vms, plain): (Vec<_>, Vec<_>) =
        (0..machines.len()).partition(|&index| machines[index].nested);
    let mut tries = tried(machines, &plain, 1, tools)?;
    tries.extend(tried(machines, &vms, 1, tools)?);
    let may_be_emulation = |(index, tried): &(&usize, &Tried)| {
        tried.why.is_some() && (tried.machine_gave_up() || machines[**index].nested)
    };
    let again: Vec<_> = tries.iter().filter(may_be_emulation).collect();
    if !again.is_empty() && !interrupt::requested() {
        for why in again.iter().filter_map(|(_, tried)| tried.why.as_ref()) {
            eprintln!("repeated, since the emulation may be at fault: {why}");
        }
        let again: Vec<usize> = again.iter().map(|(index, _)| **index).collect();
        tries.extend(tried(machines, &again, 2, tools)?);
    }
    let failed: Vec<&str> = tries.values().filter_map(|tried| tried.why.as_deref()).collect();
    // All at the end, where people look for them.
    if failed.is_empty() {
        Ok(tries.into_values().collect())
    } else {
        bail!("{}", failed.join("\n"))
    }
}

/// Time limit of a machine's tests; it decides whether a machine hangs.
const PLAIN_WITHIN: Duration = Duration::from_secs(2400);
const NESTED_WITHIN: Duration = Duration::from_secs(1200);

/// Pages of 2 MiB for the VMs that tests run at the same time: two of 192 MiB.
const VM_TESTS_HUGE_PAGES: u64 = 2 * 192 / 2;

/// A machine that has run.
pub(super) struct Tried {
    pub(super) outcome: Outcome,
    /// How often it ran.
    pub(super) tries: u32,
    /// Why not all of its tests passed, if so.
    why: Option<String>,
}

impl Tried {
    /// Whether its kernel panicked, or the machine ended without a status.
    fn machine_gave_up(&self) -> bool {
        matches!(self.outcome.ending, Ending::Panic | Ending::Lost)
    }
}

/// Runs the machines at `indices` and prints their output; returns how each one ended.
///
/// QEMU's emulation is not perfect. Emulated virtualization loses a VM, or the whole machine, now
/// and then. And an emulated processor may execute half of an instruction that another one is
/// patching, as ftrace does with every function; then the kernel panics. So the caller repeats
/// machines with VMs, and machines that gave up. A test that fails in any other machine is not
/// repeated.
fn tried(
    machines: &[Machine],
    indices: &[usize],
    tries: u32,
    tools: &Tools,
) -> Result<BTreeMap<usize, Tried>> {
    let these: Vec<_> = indices.iter().map(|&index| machines[index].clone()).collect();
    // Tests mostly wait for the kernel, except where VMs are emulated inside VMs.
    let waiting = !these.iter().any(|machine| machine.nested);
    let at_once = if waiting { 3 * machine::carried() } else { machine::carried() };
    let ended = Mutex::new(BTreeMap::new());
    machine::run_all(&these, at_once, tools, |place, outcome| {
        let why = verdict(&these[place], outcome).err().map(|error| format!("{error:#}"));
        let tried = Tried { outcome: outcome.clone(), tries, why };
        ended.lock().expect("no holder panics").insert(indices[place], tried);
    })?;
    Ok(ended.into_inner()?)
}

/// Prints a guest's output, unless it was printed as it came, and judges how the guest ended.
fn verdict(machine: &Machine, outcome: &Outcome) -> Result<()> {
    if !machine.live {
        let mut out = io::stdout().lock();
        println!("-- Linux {}", machine.kernel.version);
        for stream in ["stdout", "stderr"] {
            io::copy(&mut File::open(outcome.dir.join(stream))?, &mut out)?;
        }
    }
    let version = &machine.kernel.version;
    let said = fs::read_to_string(outcome.dir.join("stdout")).unwrap_or_default();
    let status = outcome.status().with_context(|| format!("on Linux {version}"))?;
    match status {
        0 if said.contains("test result: ok. 0 passed") => {
            bail!("on Linux {version} a machine ran no tests")
        }
        0 => Ok(()),
        status => bail!("on Linux {version} the tests ended with {status}\n{}", failures(&said)),
    }
}

/// The runner's output about failed tests, without the tests that passed.
fn failures(said: &str) -> &str {
    let from = said.find("\nfailures:\n").unwrap_or(said.len());
    said[from..].trim()
}

#[cfg(test)]
mod tests {
    use super::failures;

    #[test]
    fn failures_are_cut_out_of_what_the_runner_says() {
        let said = "test a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b \
                    ----\nwhy\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed\n";
        assert!(failures(said).starts_with("failures:\n\n---- b ----\nwhy"));
        assert!(failures(said).ends_with("test result: FAILED. 1 passed"));
        assert_eq!(failures("test a ... ok\n\ntest result: ok.\n"), "");
    }
}
