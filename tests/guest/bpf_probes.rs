//! Programs on kprobes, fprobes, tracepoints and function exits: each hit is counted at every kind
//! of place; an attachment that fails leaves nothing behind.

use std::{sync::OnceLock, thread};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    item::{ItemId, PerItem},
    loss::Loss,
    observation::Observation,
    target::Target,
    units::Nanos,
};
use probe_user::{
    kernel::{cpus, kallsyms::Kallsyms, run::Run, targets},
    methods::{AttachContext, Detection, Method, ProfilerSample, Share, Sink, registry},
};

use crate::{
    perf::while_reading,
    tool::kernel,
    triggers::{call_open_tun, call_set_name, hit_oom_tracepoint},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("bpf_probes::each_hit_is_counted_and_nothing_else", each_hit),
        crate::test("bpf_probes::a_full_map_of_starts_leaves_calls_untimed", full_map),
        crate::test("bpf_probes::samples_fall_on_the_functions_that_run", samples_fall),
        crate::test("bpf_probes::one_bad_place_leaves_none_attached", one_bad_place),
    ]
}

/// Methods with a target for each, and one that they cannot attach to completely.
const METHODS: &[(&str, &str, &str)] = &[
    ("bpf-kprobe-count", FUNCTIONS, BAD_FUNCTION),
    ("bpf-kprobe-multi-count", FUNCTIONS, BAD_FUNCTION),
    ("bpf-rawtp-count", TRACEPOINT, BAD_TRACEPOINT),
    ("bpf-tracepoint-count", TRACEPOINT, BAD_TRACEPOINT),
    ("bpf-fexit-latency", FUNCTIONS, BAD_FUNCTION),
    ("bpf-kretprobe-latency", FUNCTIONS, BAD_FUNCTION),
];

const FUNCTIONS: &str = "tun_chr_open,comm_write";
const TRACEPOINT: &str = "tracepoint:oom:oom_score_adj_update";
/// Something that cannot have a probe, after something that can.
const BAD_FUNCTION: &str = "tun_chr_open,ftrace_stub";
const BAD_TRACEPOINT: &str = "tracepoint:oom:oom_score_adj_update,tracepoint:oom:no_such";

const THREADS: u64 = 4;
const CALLS: u64 = 100;

/// The last total of each item.
#[derive(Default)]
struct Totals(PerItem<u64>);

impl Sink for Totals {
    fn count(&mut self, item: ItemId, total: u64) {
        *self.0.entry(item) = total;
    }

    fn event(&mut self, _: ItemId, _: Nanos) {}

    fn sample(&mut self, _: ProfilerSample<'_>) {}

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}
}

/// Calls each thing `CALLS` times from each of the threads.
fn call_all() -> Result<()> {
    let work = || -> Result<()> {
        for _ in 0..CALLS {
            call_open_tun()?;
            call_set_name()?;
            hit_oom_tracepoint()?;
        }
        Ok(())
    };
    let threads: Vec<_> = (0..THREADS).map(|_| thread::spawn(work)).collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
}

/// The symbols are read once: that takes an emulated CPU seconds.
fn resolve(request: &str) -> Result<Target> {
    static SYMBOLS: OnceLock<Kallsyms> = OnceLock::new();
    let symbols = match SYMBOLS.get() {
        Some(symbols) => symbols,
        None => {
            let read = Kallsyms::load()?;
            SYMBOLS.get_or_init(|| read)
        }
    };
    Ok(targets::resolve(request, symbols)?)
}

/// The method and its target, unless this kernel cannot run it, which may only be for the expected
/// reason.
fn ready(id: &str, request: &str) -> Result<Option<(Box<dyn Method>, Target)>> {
    let target = resolve(request)?;
    let method = registry::find(id)?;
    match method.detect(&target) {
        Detection::Available => Ok(Some((method, target))),
        Detection::Unsupported { why, hint } => {
            println!("{id}: {why}. {hint}");
            ensure!(id == "bpf-kprobe-multi-count" && why.contains("fprobes"), "{id}: {why}");
            ensure!(resolve("register_fprobe").is_err(), "{id}: {why}, but there are fprobes");
            Ok(None)
        }
        Detection::Inconclusive(error) => bail!("{id}: {error}"),
    }
}

/// What `method` observes while `load` runs, and what it reported at the last edge.
fn observe(
    method: &dyn Method,
    target: &Target,
    load: impl FnOnce() -> Result<()>,
) -> Result<(Observation, Vec<Option<u64>>)> {
    let run = Run::start()?;
    let mut session = method.attach(target, &AttachContext::bare(&run))?;
    // Attached but not enabled: not counted.
    call_open_tun()?;
    hit_oom_tracepoint()?;
    session.enable()?;
    let mut totals = Totals::default();
    session.drain(&mut totals)?;
    ensure!(*totals.0 == *expected(target, 0), "{:?} without load", totals.0);
    load()?;
    session.drain(&mut totals)?;
    session.disable()?;
    call_open_tun()?;
    hit_oom_tracepoint()?;
    Ok((session.detach()?, totals.0.to_vec()))
}

/// The expected hits of a target: `n` each.
fn expected(target: &Target, n: u64) -> Vec<Option<u64>> {
    vec![Some(n); target.functions.len() + target.tracepoints.len()]
}

fn each_hit() -> Result<()> {
    crate::load_modules()?;
    for (id, request, _) in METHODS {
        let Some((method, target)) = ready(id, request)? else { continue };
        let (observation, totals) = observe(&*method, &target, call_all).context(*id)?;
        ensure!(*observation.recorded == totals, "{id}: counted {totals:?}, {observation:?}");
        ensure!(observation.lost == Loss::NONE, "{id}: {observation:?}");
        let told = matches!(observation.missed, Loss::Exact(_));
        ensure!(told == counts_misses(id)?, "{id}: {observation:?}");
        check_sum(&expected(&target, THREADS * CALLS), &observation)
            .with_context(|| format!("{id}: {observation:?}"))?;
        check_durations(&observation).with_context(|| format!("{id}: {observation:?}"))?;
        println!("{id}: missed {:?}, {:?}", observation.missed, observation.attached);
        ensure!(!observation.attached.is_empty() && observation.kernel_memory.0 > 0, "{id}");
        ensure!(observation.bytes_read.0 > 0 && observation.running.0 > 0, "{id}");
    }
    Ok(())
}

/// Every hit is counted or missed: a program that is preempted on its CPU prevents others there
/// from running, and the kernel does not report for which function.
fn check_sum(expected: &[Option<u64>], observation: &Observation) -> Result<()> {
    let pairs = observation.recorded.iter().zip(expected);
    ensure!(observation.recorded.len() == expected.len() && pairs.clone().all(|(a, b)| a <= b));
    let gaps = pairs.map(|(seen, all)| Some(all.as_ref()? - seen.as_ref()?));
    let gap: u64 = gaps.sum::<Option<u64>>().context("an item was not observed")?;
    ensure!(gap == observation.missed.known(), "{gap} hits were not counted");
    Ok(())
}

/// Whether the kernel counts what programs of the method miss: on trampolines and raw tracepoints
/// always, elsewhere since 6.7, which added the counts to `struct bpf_link_info`
/// (include/uapi/linux/bpf.h).
fn counts_misses(id: &str) -> Result<bool> {
    let always = ["bpf-fexit-latency", "bpf-rawtp-count"].contains(&id);
    Ok(always || kernel()? >= (6, 7))
}

/// Every counted call is timed, since none nests in another, unless its exit is missed. That
/// happens if the program of another call's exit is preempted on the same CPU.
fn check_durations(observation: &Observation) -> Result<()> {
    let (mut timed, mut calls) = (0, 0);
    for (durations, of_function) in observation.durations.iter().zip(&*observation.recorded) {
        let buckets = &durations.as_ref().context("no histogram")?.log2_ns;
        timed += buckets.iter().sum::<u64>();
        calls += of_function.context("not observed")?;
        // No call takes less than 2 ns or more than an hour.
        ensure!(buckets[0] == 0 && buckets[42..].iter().all(|&n| n == 0), "{buckets:?}");
    }
    if observation.durations.is_empty() {
        return Ok(());
    }
    // On kprobes, where older kernels do not report misses, programs are not preempted.
    let missed = observation.details["missed_exits"]["n"].as_u64().unwrap_or(0);
    ensure!(timed + missed == calls, "{timed} of {calls} calls timed, {missed} exits missed");
    Ok(())
}

/// Several threads sleep in a function, and there is room for only one start time.
fn full_map() -> Result<()> {
    const SLEEPERS: u64 = 8;
    for id in ["bpf-fexit-latency:max_keys=1", "bpf-kretprobe-latency:max_keys=1"] {
        let Some((method, target)) = ready(id, "do_nanosleep")? else { bail!("{id}") };
        let run = Run::start()?;
        let mut session = method.attach(&target, &AttachContext::bare(&run))?;
        session.enable()?;
        let nap = || thread::sleep(std::time::Duration::from_millis(200));
        let threads: Vec<_> = (0..SLEEPERS).map(|_| thread::spawn(nap)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        session.disable()?;
        let observation = session.detach()?;
        let calls = observation.recorded[0].unwrap_or_default();
        let buckets = &observation.durations[0].as_ref().context("no histogram")?.log2_ns;
        let timed: u64 = buckets.iter().sum();
        let untimed = observation.details["untimed_exits_per_function"][0].as_u64();
        // One that is preempted in the program prevents others from being counted.
        let all = calls + observation.missed.known();
        ensure!(all >= SLEEPERS && timed > 0 && timed < calls, "{id}: {observation:?}");
        // The rest are sleeps of other processes that started before the end or ended after the
        // beginning.
        let untimed = untimed.context("no count of untimed exits")?;
        ensure!(untimed > 0 && timed + untimed + 2 >= calls, "{id}: {observation:?}");
    }
    Ok(())
}

/// The last shares.
#[derive(Default)]
struct Shares(u64, PerItem<Share>);

impl Sink for Shares {
    fn count(&mut self, _: ItemId, _: u64) {}

    fn event(&mut self, _: ItemId, _: Nanos) {}

    fn sample(&mut self, _: ProfilerSample<'_>) {}

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, samples: u64, functions: PerItem<Share>) {
        *self = Self(samples, functions);
    }
}

fn samples_fall() -> Result<()> {
    // Also in the opposite order of their addresses, which must make no difference.
    for request in ["vfs_read,vfs_rename", "vfs_rename,vfs_read"] {
        let id = "bpf-sample-499:event=cpu-clock";
        let Some((method, target)) = ready(id, request)? else { bail!("{id}") };
        let read = usize::from(target.functions[0].name != "vfs_read");
        let run = Run::start()?;
        let mut session = method.attach(&target, &AttachContext::bare(&run))?;
        let mut shares = Shares::default();
        session.drain(&mut shares)?;
        ensure!(shares.0 == 0, "{} samples before enable", shares.0);
        session.enable()?;
        while_reading(|| {
            while shares.1[read].is_none_or(|share| share.inclusive < 50) {
                thread::sleep(std::time::Duration::from_millis(20));
                session.drain(&mut shares)?;
            }
            Ok(())
        })?;
        session.disable()?;
        session.drain(&mut shares)?;
        let observation = session.detach()?;
        let (Share { inclusive, own }, idle) =
            (shares.1[read].context("none")?, shares.1[1 - read]);
        ensure!(observation.recorded[read] == Some(inclusive), "{observation:?}");
        ensure!(idle == Some(Share::default()), "{idle:?} in a function that nothing calls");
        // The reader fills one CPU: a good part of all samples, though hardly any of them in
        // vfs_read's own code.
        let all = shares.0;
        ensure!(inclusive * 10 > all && own < inclusive, "{inclusive} of {all}, {own} of its own");
        // Each CPU's clock ticks at most 499 times a second.
        let cpus = cpus::online()?.len() as f64;
        let ticks = (observation.enabled.as_secs() * 499.0 + 1.0) * cpus;
        ensure!(all as f64 <= ticks, "{all} samples of {ticks} ticks");
    }
    Ok(())
}

fn one_bad_place() -> Result<()> {
    crate::load_modules()?;
    let run = Run::start()?;
    for (id, good, bad) in METHODS {
        if ready(id, good)?.is_none() {
            continue;
        }
        let before = links()?;
        let target = resolve(bad)?;
        let method = registry::find(id)?;
        let detected = method.detect(&target);
        ensure!(!matches!(detected, Detection::Available), "{id}: {bad} is available");
        let attached = method
            .attach(&target, &AttachContext::bare(&run))
            .and_then(|mut session| session.enable().map(|()| session));
        let Err(error) = attached else { bail!("{id}: {bad} was taken") };
        println!("{id}: {error}");
        let after = links()?;
        ensure!(before == after, "{id}: links {before:?} became {after:?}");
    }
    Ok(())
}

fn links() -> Result<Vec<u32>> {
    aya::programs::loaded_links().map(|link| Ok(link?.id())).collect()
}
