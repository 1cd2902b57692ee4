//! Never more is traced than was asked for: not while asking, not in a run, not after a kill.

mod campaign;
mod rate;
mod watch;

use std::{collections::BTreeSet, process::Command, thread, time::Duration};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use probe_user::{
    kernel::{kallsyms::Kallsyms, run::Run, targets, tracefs::Tracefs},
    methods::{AttachContext, registry},
};

pub(crate) use self::campaign::{Measured, Methods};
use self::watch::{Seen, Watch, enabled};
use crate::{
    tool::{Folder, guard_of, lives, succeed, tiny_run, tracetoll, wait_for},
    triggers::call_set_name,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("narrow::the_watch_sees_what_is_traced", the_watch_sees),
        crate::test("narrow::asking_traces_nothing_but_the_target", asking),
        crate::test("narrow::doctor_leaves_the_others_their_speed", || {
            crate::load_modules()?;
            rate::doctor_leaves_the_others_their_speed()
        }),
        crate::test("narrow::a_run_traces_the_target_and_its_callers", || a_run(Methods::Own)),
        crate::long_test("narrow::programs_trace_the_target_and_its_callers", || {
            a_run(Methods::Programs)
        }),
        crate::test("narrow::a_kill_leaves_nothing_else_traced", || kills(FEW_KILLS)),
        crate::long_test("narrow::many_kills_leave_nothing_else_traced", || kills(KILLS)),
    ]
}

/// The functions of the default target. `doctor` attaches BPF programs to them and creates fprobe
/// events.
const TARGET: [&str; 2] = ["handle_tx [vhost_net]", "handle_rx [vhost_net]"];
/// Where the reference counter counts their calls (measure/reference/sites.rs).
const CALLERS: [&str; 4] = [
    "handle_tx_kick [vhost_net]",
    "handle_tx_net [vhost_net]",
    "handle_rx_kick [vhost_net]",
    "handle_rx_net [vhost_net]",
];
/// A function for tests of BPF programs that nothing else calls: `bpf-fentry-budget` measures costs
/// there.
const TEST_FUNCTION: &str = "bpf_fentry_test1";
/// bpftrace itself briefly attaches a program to this, to find out whether the kernel has
/// kprobe_multi (its src/bpffeature.cpp); that cannot be prevented.
const OF_BPFTRACE: &str = "ksys_read";
/// The tracepoint of the default target.
const TRACEPOINT: &str = "net_dev_xmit";
/// The tracepoint with which the kernel's own tracers record the names of tasks
/// (kernel/trace/trace_sched_switch.c): they need it.
const OF_TRACERS: &str = "sched_switch";

/// `PERF_TYPE_SOFTWARE`, and its events that happen only if a program or a process triggers them:
/// `PERF_COUNT_SW_DUMMY` never, `PERF_COUNT_SW_BPF_OUTPUT` when a BPF program writes.
const SOFTWARE: u32 = 1;
const INERT: [u64; 2] = [9, 10];
/// `PERF_TYPE_HARDWARE`.
const HARDWARE: u32 = 0;

fn target() -> Result<probe_core::model::target::Target> {
    crate::load_modules()?;
    Ok(targets::resolve("vhost", &Kallsyms::load()?)?)
}

/// Without this, the other tests could not fail.
fn the_watch_sees() -> Result<()> {
    let symbols = Kallsyms::load()?;
    let run = Run::start()?;
    let watch = Watch::begin()?;
    let instance = Tracefs::find()?.create_instance(&run.object("seen"))?;
    instance.trace("function", &targets::resolve("comm_write", &symbols)?.functions)?;
    call_set_name()?;
    instance.write("events/oom/oom_score_adj_update/enable", "1")?;
    let profiler = registry::find("perf-sample-99:event=cpu-clock")?;
    drop(profiler.attach(&target()?, &AttachContext::bare(&run))?);
    thread::sleep(Duration::from_millis(500));
    instance.close()?;
    let seen = watch.end()?;
    ensure!(seen.functions == BTreeSet::from(["comm_write".to_owned()]), "{seen:?}");
    ensure!(seen.tracepoints == BTreeSet::from(["oom_score_adj_update".to_owned()]), "{seen:?}");
    ensure!(seen.system_wide.contains(&(SOFTWARE, 0, true)), "{seen:?}");
    ensure!(seen.looks > 1, "{seen:?}");
    Ok(())
}

fn asking() -> Result<()> {
    crate::load_modules()?;
    let watch = Watch::begin()?;
    for command in ["doctor", "methods", "guests"] {
        succeed(tracetoll([command])?)?;
    }
    let seen = watch.end()?;
    only(&seen, TARGET.into_iter().chain([TEST_FUNCTION]), &[TRACEPOINT])?;
    // Everything open for all tasks is inert, or runs a BPF program at the target (a kprobe, a
    // tracepoint).
    let ticks = |&&(kind, config, disabled): &&(u32, u64, bool)| {
        !disabled || kind == HARDWARE || (kind == SOFTWARE && !INERT.contains(&config))
    };
    let ticking: Vec<_> = seen.system_wide.iter().filter(ticks).collect();
    ensure!(ticking.is_empty(), "perf events for all tasks: {ticking:?}");
    ensure!(seen.looks > 5, "looked {} times", seen.looks);
    Ok(())
}

/// Only these functions and tracepoints; nothing in the top-level trace.
fn only<'a>(
    seen: &Seen,
    allowed: impl IntoIterator<Item = &'a str>,
    tracepoints: &[&str],
) -> Result<()> {
    let allowed: BTreeSet<&str> = allowed.into_iter().collect();
    let others: Vec<_> = seen.functions.iter().filter(|f| !allowed.contains(f.as_str())).collect();
    ensure!(others.is_empty(), "{} others were traced: {:?}", others.len(), head(&others));
    let beyond = |name: &&String| !tracepoints.contains(&name.as_str());
    let others: Vec<_> = seen.tracepoints.iter().filter(beyond).collect();
    ensure!(others.is_empty(), "other tracepoints were on: {others:?}");
    ensure!(seen.top.is_empty(), "the top-level trace was used: {:?}", seen.top);
    Ok(())
}

fn head<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(10)]
}

/// For kills: long enough with one part.
fn run(folder: &Folder, methods: &str, out: &str) -> Result<Command> {
    let mut run = tiny_run(folder, methods, &folder.path().join(out))?;
    run.args(["--parts", "fidelity"]);
    Ok(run)
}

fn a_run(methods: Methods) -> Result<()> {
    let measured = methods.measured()?;
    ensure!(measured.methods().len() >= methods.at_least(), "{:?}", measured.methods());
    let own = TARGET.into_iter().chain(CALLERS).chain([TEST_FUNCTION]);
    let of_bpftrace = (methods == Methods::Programs).then_some(OF_BPFTRACE);
    only(&measured.seen, own.chain(of_bpftrace), &[TRACEPOINT, OF_TRACERS])
}

/// The seed of all random moments.
const SEED: u64 = 14;
const FEW_KILLS: u64 = 4;
const KILLS: u64 = 20;
/// Longest wait before a kill: more than `doctor` takes, and as long as a run tries methods.
const WITHIN: [u64; 2] = [4000, 8000];

fn kills(kills: u64) -> Result<()> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let before = enabled()?;
    let allowed: BTreeSet<&str> =
        TARGET.into_iter().chain(CALLERS).chain([TEST_FUNCTION]).collect();
    let mut draw = SEED;
    let mut alive = 0;
    for kill in 0..kills {
        let of_run = kill % 2 == 1;
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis((draw >> 33) % WITHIN[usize::from(of_run)]);
        let mut command = match of_run {
            true => run(&folder, "ftrace,perf,bpf,capture", &format!("out{kill}"))?,
            false => tracetoll(["doctor"])?,
        };
        let (out, err) = (std::process::Stdio::null(), std::process::Stdio::null());
        let mut child = command.stdout(out).stderr(err).spawn()?;
        thread::sleep(moment);
        let guard = guard_of(child.id())?;
        alive += u64::from(child.try_wait()?.is_none());
        child.kill()?;
        child.wait()?;
        let traced = enabled()?;
        let others: Vec<_> = traced
            .difference(&before)
            .filter(|function| !allowed.contains(function.as_str()))
            .collect();
        ensure!(
            others.is_empty(),
            "{command:?} killed after {moment:?} left {} traced: {:?}",
            others.len(),
            head(&others)
        );
        wait_for(|| Ok(guard.is_none_or(|guard| !lives(guard))))?;
        succeed(tracetoll(["clean"])?)?;
    }
    ensure!(
        alive >= kills / 2,
        "only {alive} of {kills} were alive, so that this test proves little"
    );
    let left: Vec<_> = enabled()?.difference(&before).cloned().collect();
    ensure!(left.is_empty(), "clean left traced: {left:?}");
    Ok(())
}
