//! The exact counter: on functions of modules and of the kernel, from several CPUs; what it
//! refuses; what it leaves behind.

use std::{env, fs, path::PathBuf, thread};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::{
    error::Error,
    model::{
        item::{ItemId, PerItem},
        loss::Loss,
        target::{Function, Target},
        trial::ReferenceCounts,
        units::Nanos,
    },
};
use probe_user::{
    kernel::{
        bpf::{
            chosen::Programs,
            counter::Counter,
            loader::{Loader, Spot},
        },
        run::Run,
    },
    measure::reference::{self, ReferenceCounter},
    methods::{AttachContext, Detection, Method, ProfilerSample, Share, Sink, registry},
};
use serde_json::Value;

use crate::{
    tool::{Folder, refuse, succeed, tiny_run, tracetoll},
    triggers::{call_open_tun, call_open_vhost, call_set_name},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("bpf::counts_each_call_of_module_and_kernel_functions", counts_each_call),
        crate::test("bpf::a_failed_enable_detaches_what_had_attached", a_failed_enable),
        crate::test("bpf::what_cannot_be_counted_is_named_before_anything_attaches", refusals),
        crate::test("bpf::a_refused_program_brings_the_verifiers_log", verifier_log),
        crate::test("bpf::the_reference_attaches_to_the_callers", reference_sites),
        crate::test("bpf::a_dropped_session_leaves_nothing", dropped_session),
        crate::long_test("bpf::what_programs_log_is_in_the_trials_and_shown", logged),
    ]
}

/// A function, its module, and something that calls it once.
const OPEN_VHOST: (&str, Option<&str>) = ("vhost_net_open", Some("vhost_net"));
const OPEN_TUN: (&str, Option<&str>) = ("tun_chr_open", Some("tun"));
const SET_NAME: (&str, Option<&str>) = ("comm_write", None);

fn target(functions: &[(&str, Option<&str>)]) -> Target {
    let function = |(name, module): &(&str, Option<&str>)| Function {
        name: (*name).to_owned(),
        module: module.map(str::to_owned),
        addresses: Default::default(),
    };
    Target { functions: functions.iter().map(function).collect(), ..Target::default() }
}

fn fentry_count() -> Result<Box<dyn Method>> {
    Ok(registry::find("bpf-fentry-count")?)
}

/// The last total of each function.
#[derive(Default)]
struct Totals(PerItem<u64>);

impl Sink for Totals {
    fn count(&mut self, function: ItemId, total: u64) {
        *self.0.entry(function) = total;
    }

    fn event(&mut self, _: ItemId, _: Nanos) {}

    fn sample(&mut self, _: ProfilerSample<'_>) {}

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}
}

fn counts_each_call() -> Result<()> {
    const THREADS: u64 = 4;
    const CALLS: u64 = 500;
    crate::load_modules()?;
    let run = Run::start()?;
    let target = target(&[OPEN_VHOST, OPEN_TUN, SET_NAME]);
    let mut session = fentry_count()?.attach(&target, &AttachContext::bare(&run))?;
    // Attached but not enabled: not counted.
    call_open_tun()?;
    session.enable()?;
    let threads = (0..THREADS).map(|_| {
        thread::spawn(|| -> Result<()> {
            for call in 0..CALLS {
                call_open_vhost()?;
                call_open_tun()?;
                if call % 5 == 0 {
                    call_set_name()?;
                }
            }
            Ok(())
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().expect("no panic")?;
    }
    let mut totals = Totals::default();
    session.drain(&mut totals)?;
    session.disable()?;
    call_open_tun()?;
    let observation = session.detach()?;
    ensure!(*observation.recorded == *totals.0, "{:?}, observed {observation:?}", totals.0);
    // Where the kernel preempts a program, it does not run for another thread on this CPU.
    let Loss::Exact(missed) = observation.missed else { bail!("{observation:?}") };
    let calls = THREADS * CALLS;
    let counted: Vec<u64> = totals.0.iter().flatten().copied().collect();
    ensure!(counted.iter().sum::<u64>() + missed == 2 * calls + calls / 5, "{observation:?}");
    let all = counted.iter().zip([calls, calls, calls / 5]);
    ensure!(all.clone().count() == 3 && all.clone().all(|(&n, of)| n <= of), "{observation:?}");
    ensure!(missed < calls / 100 && observation.lost == Loss::NONE, "{observation:?}");
    ensure!(observation.attached.len() == 3, "{:?}", observation.attached);
    ensure!(observation.kernel_memory.0 > 0, "no memory");
    Ok(())
}

/// The kernel accepts 38 programs on one function; the excess one comes after one that attached.
fn a_failed_enable() -> Result<()> {
    crate::load_modules()?;
    let run = Run::start()?;
    let mut loader = Loader::new(&Programs::default(), "crowd")?;
    let crowded = target(&[OPEN_VHOST]);
    let mut crowd = Vec::new();
    let full = loop {
        ensure!(crowd.len() < 100, "the kernel took 100 programs on one function");
        let mut counter = Counter::load(&mut loader, Spot::Fentry(&crowded.functions[0]))?;
        match counter.probe.attach() {
            Ok(()) => crowd.push(counter),
            Err(error) => break error,
        }
    };
    ensure!(full.to_string().contains("the maximum number of BPF programs"), "{full}");
    let before = links()?;
    let mut session =
        fentry_count()?.attach(&target(&[OPEN_TUN, OPEN_VHOST]), &AttachContext::bare(&run))?;
    let Err(error) = session.enable() else { bail!("one program too many was taken") };
    ensure!(error.to_string().contains("vhost_net_open"), "{error}");
    let after = links()?;
    ensure!(before == after, "links {before:?} became {after:?}");
    drop(session);
    crowd.iter_mut().try_for_each(|counter| counter.probe.detach())?;
    Ok(())
}

fn links() -> Result<Vec<u32>> {
    aya::programs::loaded_links().map(|link| Ok(link?.id())).collect()
}

fn refusals() -> Result<()> {
    crate::load_modules()?;
    let refused = |functions: &[(&str, Option<&str>)], words: &[&str]| -> Result<()> {
        let Detection::Unsupported { why, hint } = fentry_count()?.detect(&target(functions))
        else {
            bail!("{functions:?} was not refused");
        };
        let text = format!("{why}. {hint}");
        ensure!(words.iter().all(|word| text.contains(word)), "{text}");
        Ok(())
    };
    refused(&[OPEN_TUN, ("no_such_function", None)], &["no_such_function", "not describe it"])?;
    refused(
        &[("no_such_function", Some("tun"))],
        &["no_such_function [tun]", "!no_such_function'"],
    )?;
    refused(&[("f", Some("no_such_module"))], &["not loaded", "modprobe no_such_module"])?;
    refused(&[("_printk", None)], &["_printk", "variable args"])?;
    let fine = fentry_count()?.detect(&target(&[OPEN_TUN, SET_NAME]));
    ensure!(matches!(fine, Detection::Available), "{fine:?}");
    Ok(())
}

fn verifier_log() -> Result<()> {
    // fentry cannot save the arguments of a variadic function.
    let variadic = target(&[("_printk", None)]);
    let mut loader = Loader::new(&Programs::default(), "variadic")?;
    match Counter::load(&mut loader, Spot::Fentry(&variadic.functions[0])) {
        Err(Error::Refused { log, source, .. }) => {
            ensure!(log.contains("variable args"), "{source}: {log}");
            Ok(())
        }
        other => bail!("{other:?}"),
    }
}

fn reference_sites() -> Result<()> {
    crate::load_modules()?;
    let target =
        target(&[("handle_tx", Some("vhost_net")), OPEN_TUN, ("handle_rx", Some("vhost_net"))]);
    let reference = ReferenceCounter::attach(&Programs::default(), &target, &[])?;
    let attached = links()?.len();
    ensure!(attached == 4, "{attached} links");
    let idle = reference.read();
    let all: Vec<_> = idle.iter().map(|calls| calls.as_ref().map(|calls| calls.all)).collect();
    ensure!(all == [Some(0), None, Some(0)], "{idle:?}");
    let series = reference.finish(&[idle.clone(), idle])?.series;
    ensure!(series.missed == Loss::NONE, "{series:?}");
    ensure!(series.functions[0] == ReferenceCounts::Calls(vec![0]), "{series:?}");
    ensure!(matches!(series.functions[1], ReferenceCounts::None { .. }), "{series:?}");
    // A check without load proves nothing, and reports that.
    let unchecked = reference::verify(&Programs::default(), &target, || Ok(()));
    ensure!(
        matches!(&unchecked, Err(Error::Inconsistent(why)) if why.contains("no call")),
        "{unchecked:?}"
    );
    Ok(())
}

fn dropped_session() -> Result<()> {
    crate::load_modules()?;
    let run = Run::start()?;
    let mut session = fentry_count()?.attach(&target(&[OPEN_TUN]), &AttachContext::bare(&run))?;
    session.enable()?;
    drop(session);
    let left = links()?;
    ensure!(left.is_empty(), "links {left:?}");
    Ok(())
}

/// Programs of the object built by `cargo xtask ebpf --log`: all can be loaded, and those that
/// count log each call.
fn logged() -> Result<()> {
    let object = env::var_os("TRACETOLL_BPF_LOG").context("TRACETOLL_BPF_LOG is not set")?;
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run =
        tracetoll(["run", "-vv", "--blocks", "1", "--parts", "overhead", "--methods", "bpf"])?;
    run.arg("--scenario").arg(closed_loop(&folder)?).arg("--out").arg(&out);
    run.arg("--bpf-log").arg(&object);
    let said = succeed(run)?;
    ensure!(said.contains("Not a measurement: kernel programs logged (--bpf-log)"), "{said}");
    let campaign: Value = serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    let design = &campaign["design"];
    ensure!(design["bpf_log"] == true, "{design}");
    // Some have no PMU here; none is too complex for the verifier.
    let unavailable = design["unavailable"].to_string();
    ensure!(!unavailable.contains("BPF_PROG_LOAD"), "{unavailable}");
    let trials = campaign["trials"].as_array().context("it has no trials")?;
    for method in ["off", "bpf-fentry-count", "bpf-kprobe-count", "bpf-fexit-latency"] {
        // The programs of the reference counter also log.
        let alone = |trial: &&Value| trial["method"] == method && trial["with_reference"] != true;
        let trial = trials.iter().find(alone).context(method)?;
        let recorded = &trial["outcome"]["done"]["observation"]["recorded"];
        let calls: u64 = recorded.as_array().into_iter().flatten().filter_map(Value::as_u64).sum();
        let lines = trial["bpf_log"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let counted = lines.filter(|line| {
            line.starts_with("tracetoll_bpf::fentry_count:") && line.contains(": call ")
        });
        let counted: Vec<_> = counted.collect();
        ensure!(counted.len() as u64 == calls, "{method}: {calls} calls, {counted:?}");
        ensure!((calls > 0) == (method != "off"), "{method}: {recorded}");
        ensure!(counted.iter().all(|line| said.contains(line)), "not all at -vv: {counted:?}");
    }
    let mut recommend = tracetoll(["recommend", "--max-cpu", "5%"])?;
    recommend.arg(&out);
    refuse(recommend, 1, &["it is not a measurement", "Measure without --bpf-log"])?;
    let mut measure = tiny_run(&folder, "bpf-fentry-count", &folder.path().join("other"))?;
    measure.arg("--object").arg(&object);
    refuse(measure, 1, &["its programs log: use --bpf-log"])
}

/// The tiny scenario with only the closed loop, as a file.
fn closed_loop(folder: &Folder) -> Result<PathBuf> {
    let text = fs::read_to_string(folder.tiny()?)?;
    let lines =
        text.lines().filter(|line| !line.starts_with("paced") && !line.starts_with("saturated"));
    let file = folder.path().join("closed_loop.toml");
    fs::write(&file, lines.collect::<Vec<_>>().join("\n"))?;
    Ok(file)
}
