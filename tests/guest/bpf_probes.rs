//! Programs on kprobes, fprobes, tracepoints and function exits: each hit is counted, whatever the place; what is too
//! much leaves nothing behind.

use std::{sync::OnceLock, thread};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_user::{
    kernel::{kallsyms::Kallsyms, run::Run, targets},
    methods::{Detection, Method, Sample, Scene, Share, Sink, registry},
    model::{loss::Loss, observation::Observation, target::Target, units::Nanos},
};

use crate::triggers::{call_open_tun, call_set_name, hit_oom_tracepoint};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("bpf_probes::each_hit_is_counted_and_nothing_else", each_hit),
        crate::test("bpf_probes::one_bad_place_leaves_none_attached", one_bad_place),
    ]
}

/// Methods with what a target of theirs is, and one that they cannot attach to in full.
const METHODS: &[(&str, &str, &str)] = &[
    ("bpf-kprobe-count", FUNCTIONS, BAD_FUNCTION),
    ("bpf-kprobe-multi-count", FUNCTIONS, BAD_FUNCTION),
    ("bpf-rawtp-count", TRACEPOINT, BAD_TRACEPOINT),
    ("bpf-tracepoint-count", TRACEPOINT, BAD_TRACEPOINT),
];

const FUNCTIONS: &str = "tun_chr_open,comm_write";
const TRACEPOINT: &str = "tracepoint:oom:oom_score_adj_update";
/// Something that no probe can stand at, behind something that one can.
const BAD_FUNCTION: &str = "tun_chr_open,ftrace_stub";
const BAD_TRACEPOINT: &str = "tracepoint:oom:oom_score_adj_update,tracepoint:oom:no_such";

const THREADS: u64 = 4;
const CALLS: u64 = 100;

/// The last total of each item.
#[derive(Default)]
struct Totals(Vec<Option<u64>>);

impl Sink for Totals {
    fn count(&mut self, item: usize, total: u64) {
        self.0.resize(self.0.len().max(item + 1), None);
        self.0[item] = Some(total);
    }

    fn event(&mut self, _: usize, _: Nanos) {}

    fn sample(&mut self, _: Sample<'_>) {}

    fn weighted(&mut self, _: usize, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: &[Share]) {}
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

/// The symbols are read once: it takes an emulated CPU seconds.
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

/// The method and its target, unless this kernel cannot: then only for the one reason that is expected.
fn ready(id: &str, request: &str) -> Result<Option<(Box<dyn Method>, Target)>> {
    let target = resolve(request)?;
    let method = registry::find(id)?;
    match method.detect(&target) {
        Detection::Available => Ok(Some((method, target))),
        Detection::Unsupported { why, remedy } => {
            println!("{id}: {why}. {remedy}");
            ensure!(id == "bpf-kprobe-multi-count" && why.contains("fprobes"), "{id}: {why}");
            ensure!(resolve("register_fprobe").is_err(), "{id}: {why}, but there are fprobes");
            Ok(None)
        }
        Detection::Inconclusive(error) => bail!("{id}: {error}"),
    }
}

/// What `method` observes while `load` runs, and what it said at the last edge.
fn observe(
    method: &dyn Method,
    target: &Target,
    load: impl FnOnce() -> Result<()>,
) -> Result<(Observation, Vec<Option<u64>>)> {
    let run = Run::start()?;
    let mut session = method.attach(target, &Scene::bare(&run))?;
    // Attached but not enabled: not counted.
    call_open_tun()?;
    hit_oom_tracepoint()?;
    session.enable()?;
    let mut totals = Totals::default();
    session.drain(&mut totals)?;
    ensure!(totals.0 == expected(target, 0), "{:?} without load", totals.0);
    load()?;
    session.drain(&mut totals)?;
    session.disable()?;
    call_open_tun()?;
    hit_oom_tracepoint()?;
    Ok((session.detach()?, totals.0))
}

/// What of a target was hit: `n` times each.
fn expected(target: &Target, n: u64) -> Vec<Option<u64>> {
    vec![Some(n); target.functions.len() + target.tracepoints.len()]
}

fn each_hit() -> Result<()> {
    crate::load_modules()?;
    for (id, request, _) in METHODS {
        let Some((method, target)) = ready(id, request)? else { continue };
        let (observation, totals) = observe(&*method, &target, call_all).context(*id)?;
        let expected = expected(&target, THREADS * CALLS);
        ensure!(totals == expected, "{id}: counted {totals:?}");
        ensure!(observation.recorded == expected, "{id}: {observation:?}");
        ensure!(observation.lost == Loss::NONE, "{id}: {observation:?}");
        // Unknown where the kernel does not count what it skips, and nothing was skipped here.
        ensure!(matches!(observation.missed, Loss::NONE | Loss::Unknown), "{id}: {observation:?}");
        println!("{id}: missed {:?}, {:?}", observation.missed, observation.attached);
        ensure!(!observation.attached.is_empty() && observation.kernel_memory.0 > 0, "{id}");
        ensure!(observation.bytes_read.0 > 0 && observation.running.0 > 0, "{id}");
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
            .attach(&target, &Scene::bare(&run))
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
