//! perf events at kprobes and tracepoints, recorded and counted: every hit is accounted for.

use std::{fs, thread};

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    item::{ItemId, PerItem},
    loss::Loss,
    observation::{Observation, Promise},
    target::{Function, Target},
    units::Nanos,
};
use probe_user::{
    kernel::{affinity, clock, kallsyms::Kallsyms, run::Run, targets},
    methods::{AttachContext, Detection, ProfilerSample, Share, Sink, registry},
};
use rustix::process::{Resource, Rlimit, getpriority_process, getrlimit, setrlimit};

use crate::triggers::{call_open_tun, call_open_vhost, call_set_name};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("perf::events_see_each_hit_of_functions_and_tracepoints", each_hit),
        crate::test("perf::one_in_n_is_exact_on_one_cpu", one_in_n),
        crate::test("perf::a_full_ring_of_hits_loses_an_exact_number", full_rings),
        crate::test("perf::without_hits_there_is_nothing", nothing),
        crate::test("perf::a_refused_probe_or_event_leaves_nothing", refused),
        crate::test("perf::what_a_target_has_not_is_named", not_there),
    ]
}

/// Two functions of modules, one of the kernel itself, and a tracepoint of a system call that
/// nobody makes meanwhile.
const TARGET: &str =
    "vhost_net_open,tun_chr_open,comm_write,tracepoint:syscalls:sys_enter_getpriority";

fn target(request: &str) -> Result<Target> {
    crate::load_modules()?;
    Ok(targets::resolve(request, &Kallsyms::load()?)?)
}

fn call_get_priority() -> Result<()> {
    getpriority_process(None)?;
    Ok(())
}

/// Each item of [`TARGET`] once, the third only every fifth time.
fn call_all(turn: u64) -> Result<()> {
    call_open_vhost()?;
    call_open_tun()?;
    if turn.is_multiple_of(5) {
        call_set_name()?;
    }
    call_get_priority()
}

/// What the sink received.
#[derive(Debug, Default)]
struct Told {
    events: Vec<(ItemId, Nanos)>,
    totals: Vec<(ItemId, u64)>,
}

impl Told {
    fn events_of(&self, item: usize) -> u64 {
        self.events.iter().filter(|(of, _)| of.0 == item).count() as u64
    }

    /// The last total of `item`.
    fn total_of(&self, item: usize) -> Option<u64> {
        self.totals.iter().rev().find(|(of, _)| of.0 == item).map(|(_, total)| *total)
    }
}

impl Sink for Told {
    fn count(&mut self, item: ItemId, total: u64) {
        self.totals.push((item, total));
    }

    fn event(&mut self, item: ItemId, at: Nanos) {
        self.events.push((item, at));
    }

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}

    fn sample(&mut self, _: ProfilerSample<'_>) {}
}

/// Attaches `method`, calls `load` while it observes, and drains once at the end.
fn observe(
    method: &str,
    target: &Target,
    load: impl FnOnce() -> Result<()>,
) -> Result<(Observation, Told)> {
    let method = registry::find(method)?;
    let detection = method.detect(target);
    ensure!(matches!(detection, Detection::Available), "{detection:?}");
    let run = Run::start()?;
    let mut session = method.attach(target, &AttachContext::bare(&run))?;
    // Attached but not enabled: not seen.
    call_all(0)?;
    let mut told = Told::default();
    let begin = clock::now();
    session.enable()?;
    session.drain(&mut told)?;
    load()?;
    session.disable()?;
    let end = clock::now();
    call_all(0)?;
    session.drain(&mut told)?;
    let observation = session.detach()?;
    let outside = told.events.iter().filter(|(_, at)| !(begin..=end).contains(at)).count();
    ensure!(outside == 0, "{outside} time stamps outside of {begin} to {end}");
    Ok((observation, told))
}

/// On four threads at once.
fn on_threads(calls: u64) -> Result<()> {
    let work = move || (0..calls).try_for_each(call_all);
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(work)).collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
}

fn each_hit() -> Result<()> {
    const CALLS: u64 = 200;
    let target = target(TARGET)?;
    let all = 4 * CALLS;
    let truth = [all, all, all / 5, all];
    for (method, items) in [
        ("perf-kprobe-record", 0..3),
        ("perf-kprobe-record-7", 0..3),
        ("perf-kprobe-count", 0..3),
        ("perf-tracepoint-record", 3..4),
        ("perf-tracepoint-count", 3..4),
    ] {
        let (seen, told) = observe(method, &target, || on_threads(CALLS))?;
        ensure!(seen.lost == Loss::NONE, "{method}: {seen:?}");
        // For tracepoints the kernel does not report what perf skipped.
        let missed = if items.start == 0 { Loss::NONE } else { Loss::Unknown };
        ensure!(seen.missed == missed, "{method}: {seen:?}");
        ensure!(seen.attached.len() == items.len(), "{method}: {:?}", seen.attached);
        let of = |list: &[Option<u64>], item: usize| list.get(item).copied().flatten();
        for item in 0..target.item_count() {
            let recorded = of(&seen.recorded, item);
            if !items.contains(&item) {
                ensure!(recorded.is_none(), "{method}: item {item} of {seen:?}");
                continue;
            }
            let truth = truth[item];
            match method {
                "perf-kprobe-count" | "perf-tracepoint-count" => {
                    ensure!(recorded == Some(truth), "{method}: {recorded:?} of {truth}");
                    ensure!(told.total_of(item) == Some(truth), "{method}: {told:?}");
                }
                "perf-kprobe-record-7" => {
                    let estimate = seen.estimates[item].expect("an estimate for each item");
                    ensure!(estimate.promise == Promise::Always, "{estimate:?}");
                    let bounds = estimate.lo..=estimate.hi;
                    ensure!(bounds.contains(&(truth as f64)), "{method}: {estimate:?} of {truth}");
                    ensure!(of(&seen.counted, item) == Some(truth), "{method}: {seen:?}");
                    ensure!(recorded == Some(told.events_of(item)), "{method}: {seen:?}");
                    ensure!(recorded <= Some(truth / 7), "{method}: {seen:?} of {truth}");
                }
                _ => {
                    ensure!(recorded == Some(truth), "{method}: {recorded:?} of {truth}");
                    ensure!(told.events_of(item) == truth, "{method}: item {item}");
                    ensure!(of(&seen.counted, item) == Some(truth), "{method}: {seen:?}");
                }
            }
        }
    }
    Ok(())
}

/// With `PERF_SAMPLE_PERIOD` there would be a record of every hit, and on kernels that start in the
/// middle of a period two for the first one.
fn one_in_n() -> Result<()> {
    let target = target("tun_chr_open")?;
    for (calls, records) in [(6, 0), (7, 1), (700, 100), (706, 100)] {
        let load = move || {
            let one_cpu = thread::spawn(move || {
                affinity::pin(None, &[0])?;
                (0..calls).try_for_each(|_| call_open_tun())
            });
            one_cpu.join().expect("no panic")
        };
        let (seen, told) = observe("perf-kprobe-record-7", &target, load)?;
        ensure!(*seen.recorded == [Some(records)], "{calls} calls: {seen:?}");
        ensure!(*seen.counted == [Some(calls)], "{calls} calls: {seen:?}");
        ensure!(told.events_of(0) == records, "{calls} calls: {told:?}");
    }
    Ok(())
}

fn full_rings() -> Result<()> {
    const CALLS: u64 = 2000;
    let target = target(TARGET)?;
    for (method, item, period, call) in [
        ("perf-kprobe-record", 1, 1, call_open_tun as fn() -> Result<()>),
        ("perf-kprobe-record-5", 1, 5, call_open_tun),
        ("perf-tracepoint-record", 3, 1, call_get_priority),
    ] {
        // 170 records of functions, 256 of the one tracepoint, and the calls are on one CPU.
        let word = format!("{method}:buffer_kib_per_cpu=4");
        let load = move || {
            let one_cpu = thread::spawn(move || {
                affinity::pin(None, &[1])?;
                (0..CALLS).try_for_each(|_| call())
            });
            one_cpu.join().expect("no panic")
        };
        let (seen, told) = observe(&word, &target, load)?;
        let Loss::Exact(lost) = seen.lost else { bail!("{method}: {seen:?}") };
        let recorded = told.events_of(item);
        ensure!(seen.recorded[item] == Some(recorded), "{method}: {seen:?}");
        ensure!(recorded > 0 && lost > 0, "{method}: {recorded} recorded, {lost} lost");
        ensure!(recorded + lost == CALLS / period, "{method}: {recorded} + {lost}");
        ensure!(seen.counted[item] == Some(CALLS), "{method}: {seen:?}");
        // Two sources: the ring's own count, and the events' counts.
        let by_counter = &seen.details["lost_by_counter"];
        ensure!(by_counter == &serde_json::json!(lost), "{method}: {by_counter} and {lost}");
        ensure!(seen.details["cut_off"] == 0, "{method}: {seen:?}");
    }
    Ok(())
}

fn nothing() -> Result<()> {
    let target = target(TARGET)?;
    for (method, last) in [
        ("perf-kprobe-record", 3),
        ("perf-kprobe-record-100", 3),
        ("perf-kprobe-count", 3),
        ("perf-tracepoint-record", 4),
        ("perf-tracepoint-count", 4),
    ] {
        let (seen, told) = observe(method, &target, || Ok(()))?;
        ensure!(seen.recorded.len() == last, "{method}: {seen:?}");
        ensure!(seen.recorded.iter().flatten().all(|&n| n == 0), "{method}: {seen:?}");
        ensure!(told.events.is_empty(), "{method}: {told:?}");
        ensure!(seen.lost == Loss::NONE && seen.bytes_read.0 == 0, "{method}: {seen:?}");
    }
    Ok(())
}

/// With one file less than needed, until it succeeds; a probe or event that was created before is
/// removed each time.
fn refused() -> Result<()> {
    let run = Run::start()?;
    let mut target = target("vhost_net_open,tun_chr_open")?;
    let method = registry::find("perf-kprobe-record")?;
    let before = getrlimit(Resource::Nofile);
    let open = fs::read_dir("/proc/self/fd")?.count() as u64;
    let mut refusals = 0;
    for spare in 1..20 {
        let limit = Some(open + spare);
        setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit })?;
        let outcome = method.attach(&target, &AttachContext::bare(&run)).map(drop);
        setrlimit(Resource::Nofile, before)?;
        let state = fs::read_to_string("/sys/kernel/tracing/dynamic_events")?;
        ensure!(state.is_empty(), "with {spare} files to spare: {state}");
        match outcome {
            Ok(()) => break,
            Err(error) if error.to_string().contains("perf_event_open") => refusals += 1,
            Err(_) => {}
        }
    }
    // With the least, the first event is refused; with more, a later one.
    ensure!(refusals >= 2, "{refusals} refusals by perf_event_open");

    target
        .functions
        .push(Function { name: "no_such_function".into(), ..target.functions[0].clone() });
    match method.detect(&target) {
        Detection::Unsupported { why, .. } => ensure!(why.contains("no_such_function"), "{why}"),
        other => bail!("{other:?}"),
    }
    let Err(error) = method.attach(&target, &AttachContext::bare(&run)) else {
        bail!("it attached")
    };
    ensure!(error.to_string().contains("no_such_function"), "{error}");
    Ok(())
}

fn not_there() -> Result<()> {
    let refused = |method: &str, request: &str, word: &str| -> Result<()> {
        let target = target(request)?;
        match registry::find(method)?.detect(&target) {
            Detection::Unsupported { why, hint } => {
                let text = format!("{why}. {hint}");
                ensure!(text.contains(word), "{text}");
                Ok(())
            }
            other => bail!("{method} on {request}: {other:?}"),
        }
    };
    refused("perf-tracepoint-count", "tun_chr_open", "no tracepoint")?;
    refused("perf-kprobe-count", "tracepoint:net:net_dev_xmit", "no function")?;
    refused("perf-tracepoint-record", "tracepoint:net:no_such_event", "no_such_event")
}
