//! CPUs that are offline, that go offline during a trial, or that we may not use; and CPUs that are
//! named.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_core::model::method::Family;
use probe_user::{
    kernel::{cpus, hotplug::Hotplug, kallsyms::Kallsyms, run::Run, targets, tracefs::Tracefs},
    methods::{AttachContext, Detection, registry},
};
use serde_json::{Value, json};

use crate::narrow::{Measured, Methods};
use crate::tool::{
    Folder, binary, refuse, said, start_and_await_trials, succeed, tiny_blocks, tiny_run,
    tracetoll, wait_for,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("cpus::every_method_measures_beside_an_offline_cpu", || {
            beside_an_offline_cpu(Methods::Own)
        }),
        crate::long_test("cpus::programs_measure_beside_an_offline_cpu", || {
            beside_an_offline_cpu(Methods::Programs)
        }),
        crate::test("cpus::numbers_may_have_gaps", gap),
        crate::test("cpus::a_change_is_seen_even_if_it_is_undone_at_once", seen),
        crate::test("cpus::a_cpu_that_goes_in_mid_trial_makes_an_error_row", unsteady),
        crate::test("cpus::a_session_that_lost_a_cpu_leaves_nothing", lost),
        crate::test("cpus::a_cpu_that_is_gone_makes_error_rows_until_it_is_back", gone),
        crate::test("cpus::an_affinity_without_cpu_0_is_kept_to", affinity),
        crate::test("cpus::a_cpuset_without_cpu_0_is_kept_to", cpuset),
        crate::test("cpus::what_is_named_is_in_the_result_and_wrong_names_are_refused", flags),
    ]
}

/// A CPU that is offline while this lives. It comes back in any case.
pub(crate) struct Offline(u32);

impl Offline {
    pub(crate) fn take(cpu: u32) -> Result<Self> {
        let this = Self(cpu);
        this.switch("0")?;
        Ok(this)
    }

    fn switch(&self, value: &str) -> Result<()> {
        let path = format!("/sys/devices/system/cpu/cpu{}/online", self.0);
        fs::write(&path, value).with_context(|| format!("{value} to {path}"))
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Err(error) = self.switch("1") {
            eprintln!("{error:#}");
        }
    }
}

fn campaign(out: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?)
}

fn trials(campaign: &Value) -> Result<&Vec<Value>> {
    campaign["trials"].as_array().context("no trials")
}

/// Why a trial failed, if it did.
fn why(trial: &Value) -> Option<&str> {
    trial["outcome"]["failed"]["why"].as_str()
}

fn placement(campaign: &Value) -> &Value {
    &campaign["runs"][0]["cpus"]
}

/// Every trial of every available method has succeeded.
fn all_done(campaign: &Value) -> Result<()> {
    for trial in trials(campaign)? {
        let done = trial["outcome"].get("done").is_some();
        ensure!(done, "{} failed: {}", trial["method"], trial["outcome"]);
    }
    Ok(())
}

fn beside_an_offline_cpu(methods: Methods) -> Result<()> {
    let Measured { campaign, output, .. } = methods.measured()?;
    ensure!(output.status.success(), "{}", said(output));
    all_done(campaign)?;
    ensure!(campaign["runs"][0]["host"]["cpus"] == 2, "{}", campaign["runs"][0]["host"]);
    let asked = campaign["design"]["methods"].as_array().context("no methods")?;
    ensure!(asked.len() >= methods.at_least(), "only {} methods could be asked", asked.len());
    Ok(())
}

/// With CPU 1 offline, 0 and 2 are left: the number of CPUs is not the highest number.
fn gap() -> Result<()> {
    crate::load_modules()?;
    let _offline = Offline::take(1)?;
    ensure!(cpus::online()?.to_string() == "0,2" && cpus::slots()? >= 3);
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let methods = "ftrace-function,perf-kprobe-record,perf-sample-99,bpf-fentry-count,\
                   bpf-fentry-perfbuf,bpf-fentry-bins,bpf-sample-499";
    let mut run = tiny_run(&folder, methods, &out)?;
    run.args(["--parts", "fidelity"]);
    succeed(run)?;
    let campaign = campaign(&out)?;
    all_done(&campaign)?;
    let chosen = json!({ "load": [0], "sink": [2], "reader": [0] });
    ensure!(*placement(&campaign) == chosen, "{}", placement(&campaign));
    Ok(())
}

fn seen() -> Result<()> {
    let mut hotplug = Hotplug::watch()?;
    drop(Offline::take(2)?);
    let changes: Vec<_> = hotplug.changes()?.iter().map(ToString::to_string).collect();
    ensure!(changes == ["CPU 2 went offline", "CPU 2 came online"], "{changes:?}");
    ensure!(hotplug.changes()?.is_empty());
    Ok(())
}

/// Takes CPU 2 offline and online repeatedly, while `body` runs.
fn with_unsteady_cpu<T>(body: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match Offline::take(2) {
                    Ok(_back_soon) => thread::sleep(Duration::from_millis(100)),
                    Err(error) => eprintln!("{error:#}"),
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        let outcome = body();
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// CPU 2 has neither load nor sink, and comes back each time: still no trial may succeed.
fn unsteady() -> Result<()> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let methods = "off,ftrace-function,ftrace-hist,perf-kprobe-record,bpf-fentry-perfbuf,\
                   bpf-sample-499,capture-headers";
    let mut run = tiny_run(&folder, methods, &out)?;
    run.args(["--parts", "overhead", "--load-cpus", "0", "--sink-cpu", "1"]);
    let output = with_unsteady_cpu(|| run.output())?;
    let text = said(&output);
    ensure!(output.status.code() == Some(1), "{}\n{text}", output.status);
    let campaign = campaign(&out)?;
    let trials = trials(&campaign)?;
    ensure!(trials.len() >= 3 * 7, "{} trials\n{text}", trials.len());
    for trial in trials {
        let why = why(trial).with_context(|| format!("{} is done", trial["method"]))?;
        let told = why.starts_with("the trial's CPUs: CPU 2 ") && why.contains("Keep CPUs online");
        ensure!(told, "{}: {why}", trial["method"]);
    }
    Ok(())
}

/// Everything attached now, by anybody.
pub(crate) fn attached() -> Result<String> {
    let tracefs = Tracefs::find()?;
    let list =
        |file: &str| Ok::<_, anyhow::Error>(tracefs.read_if_there(file)?.unwrap_or_default());
    let instances = fs::read_dir(tracefs.path("instances"))?.count();
    Ok(format!("{}{}{instances} instances", list("dynamic_events")?, list("enabled_functions")?))
}

/// Whatever happens to a method when a CPU goes offline, its session ends with everything that it
/// attached.
fn lost() -> Result<()> {
    crate::load_modules()?;
    let target = targets::resolve("vhost_net_open,tun_chr_open", &Kallsyms::load()?)?;
    let before = attached()?;
    let mut seen = 0;
    for method in registry::select("all")? {
        let id = &method.descriptor().id.0;
        // These need a load.
        if matches!(
            method.descriptor().family,
            Family::External | Family::Capture | Family::Counters
        ) || !matches!(method.detect(&target), Detection::Available)
        {
            continue;
        }
        let run = Run::start()?;
        let mut session = method.attach(&target, &AttachContext::bare(&run))?;
        session.enable()?;
        let offline = Offline::take(2)?;
        let ended = session.disable().and_then(|()| session.detach());
        drop(offline);
        let after = attached()?;
        ensure!(after == before, "{id} ({:?}) left:\n{after}", ended.err());
        seen += 1;
    }
    ensure!(seen > 10, "only {seen} methods could attach");
    Ok(())
}

/// The sink's CPU is offline from the second trial on, and back after one has waited for it in
/// vain.
fn gone() -> Result<()> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run = tiny_blocks(&folder, "bpf-fentry-count", &out, "3")?;
    run.args(["--parts", "overhead", "--load-cpus", "0", "--sink-cpu", "2"]);
    let journal = out.join("journal.jsonl");
    let mut child = start_and_await_trials(run, 1)?;
    let offline = Offline::take(2)?;
    let waited =
        || fs::read_to_string(&journal).is_ok_and(|text| text.contains("CPU 2 is offline"));
    wait_for(|| Ok(waited()))?;
    drop(offline);
    let status = child.wait()?;
    ensure!(status.code() == Some(1), "{status}");
    let campaign = campaign(&out)?;
    let trials = trials(&campaign)?;
    let reasons: Vec<_> = trials.iter().filter_map(why).collect();
    let named = |why: &&str| why.contains("CPU 2 is offline") && why.contains("/cpu2/online");
    ensure!(reasons.iter().any(named), "{reasons:#?}");
    let all_name_it = reasons.iter().all(|why| why.contains("CPU 2 "));
    ensure!(all_name_it && reasons.len() < trials.len(), "{reasons:#?}");
    ensure!(why(&trials[trials.len() - 1]).is_none(), "{reasons:#?}");
    Ok(())
}

/// Runs the tiny campaign with `through`, a command that runs the words after its own.
fn confined(through: &[&str]) -> Result<Value> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut plain = tiny_run(&folder, "ftrace-function,perf-kprobe-record,bpf-fentry-count", &out)?;
    plain.args(["--parts", "fidelity"]);
    let mut command = Command::new(through[0]);
    command.args(&through[1..]).arg(binary()?).args(plain.get_args());
    succeed(command)?;
    let campaign = campaign(&out)?;
    all_done(&campaign)?;
    Ok(campaign)
}

fn affinity() -> Result<()> {
    let campaign = confined(&["taskset", "-c", "1,2"])?;
    let chosen = json!({ "load": [1], "sink": [2], "reader": [1] });
    ensure!(*placement(&campaign) == chosen, "{}", placement(&campaign));
    Ok(())
}

/// A cgroup whose cpuset is CPUs 1 and 2; removed when it is dropped.
struct Cpuset(PathBuf);

impl Cpuset {
    fn new() -> Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        fs::write(root.join("cgroup.subtree_control"), "+cpuset")
            .context("no cpuset controller")?;
        let folder = root.join("guest-test-cpuset");
        fs::create_dir(&folder)?;
        let this = Self(folder);
        fs::write(this.0.join("cpuset.cpus"), "1-2")?;
        Ok(this)
    }
}

impl Drop for Cpuset {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
        let _ = fs::write("/sys/fs/cgroup/cgroup.subtree_control", "-cpuset");
    }
}

fn cpuset() -> Result<()> {
    let cpuset = Cpuset::new()?;
    let enter = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", cpuset.0.display());
    let through = ["sh", "-c", &enter, "sh"];
    let campaign = confined(&through)?;
    let chosen = json!({ "load": [1], "sink": [2], "reader": [1] });
    ensure!(*placement(&campaign) == chosen, "{}", placement(&campaign));
    let mut command = Command::new(through[0]);
    command.args(&through[1..]).arg(binary()?).args(["run", "--load-cpus", "0"]);
    refuse(command, 1, &["CPU 0 is not in this process's cpuset", "Name other CPUs, of 1-2"])
}

fn flags() -> Result<()> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run = tiny_run(&folder, "ftrace-function,bpf-fentry-count", &out)?;
    run.args(["--load-cpus", "1-2", "--sink-cpu=0", "--reader-cpus", "2"]);
    run.args(["--parts", "fidelity"]);
    succeed(run)?;
    let campaign = campaign(&out)?;
    all_done(&campaign)?;
    let chosen = json!({ "load": [1, 2], "sink": [0], "reader": [2] });
    ensure!(*placement(&campaign) == chosen, "{}", placement(&campaign));
    ensure!(campaign["design"]["scenario"]["load_cpus"] == 2, "{}", campaign["design"]);
    let refused = |words: &[&str], status, said: &[&str]| {
        let mut run = tracetoll(["run"])?;
        run.args(words);
        refuse(run, status, said)
    };
    refused(&["--load-cpus", "0-9"], 1, &["this host has no CPU 3", "Name other CPUs, of 0-2"])?;
    refused(&["--load-cpus", "0-1", "--sink-cpu", "1"], 1, &["--sink-cpu 1", "another CPU"])?;
    refused(&["--sink-cpu", "1", "--reader-cpus", "1"], 1, &["--reader-cpus 1", "the load's, 0"])?;
    refused(&["--load-cpus", "2-"], 2, &["`2-` is neither a number nor a range", "2-5,8"])?;
    let _offline = Offline::take(2)?;
    refused(&["--sink-cpu", "2"], 1, &["CPU 2 is offline", "Name other CPUs, of 0-1", "echo 1 >"])
}
