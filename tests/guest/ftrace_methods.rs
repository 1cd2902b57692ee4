//! Every method of the family, in one table: exact in what it counts and loses, and removed
//! afterwards.
//!
//! Each session costs seconds of an emulated guest, whatever it records, so each code path is
//! tested once. Those of `ftrace-function` without parameters are in `ftrace`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    sync::OnceLock,
    thread,
    time::Duration,
};

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
    kernel::{clock, kallsyms::Kallsyms, run::Run, targets},
    methods::{AttachContext, Detection, Method, ProfilerSample, Share, Sink, registry},
};

use crate::triggers::{call_open_tun, call_set_name};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("ftrace_methods::each_counts_every_call_and_nothing_else", each_call),
        crate::test("ftrace_methods::late_pages_of_another_clock_keep_their_times", late_pages),
        crate::test("ftrace_methods::a_flooded_buffer_loses_an_exact_number", flood),
        crate::test("ftrace_methods::a_failure_in_the_middle_leaves_nothing", failure),
        crate::test("ftrace_methods::a_kretprobe_misses_an_exact_number", missed),
    ]
}

/// Functions and a tracepoint that only a write of the own name hits; a method observes those that
/// it can.
const TARGET: &str = "tun_chr_open,comm_write,tracepoint:task:task_rename";

const METHODS: &[&str] = &[
    "ftrace-function:clock=x86-tsc",
    "ftrace-function-mmap",
    "ftrace-graph",
    "ftrace-kprobe",
    "ftrace-kretprobe",
    "ftrace-fprobe",
    "ftrace-fprobe:at=return",
    "ftrace-tracepoint",
    "ftrace-hist",
];

/// The first two numbers of a release: `6.12.117` and `6.12 or later` are equal.
fn version(release: &str) -> Vec<u32> {
    let numbers = release.split(|c: char| !c.is_ascii_digit());
    numbers.map_while(|number| number.parse().ok()).take(2).collect()
}

fn resolve(request: &str) -> Result<Target> {
    crate::load_modules()?;
    Ok(targets::resolve(request, &Kallsyms::load()?)?)
}

/// The methods of the table that this kernel has; the others must name a later kernel that has
/// them. Determined once.
fn available() -> Result<&'static [&'static str]> {
    static FOUND: OnceLock<Vec<&str>> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let target = resolve(TARGET)?;
    let mut found = Vec::new();
    for id in METHODS {
        match registry::find(id)?.detect(&target) {
            Detection::Available => found.push(*id),
            Detection::Unsupported { why, hint } => {
                println!("skipped {id}: {why}. {hint}");
                let since = hint.split_once("Linux ").context(*id)?.1;
                ensure!(version(&release) < version(since), "{id}: {why}. {hint}");
            }
            Detection::Inconclusive(error) => bail!("{id}: {error}"),
        }
    }
    Ok(FOUND.get_or_init(|| found))
}

/// What was delivered.
#[derive(Default)]
struct Seen {
    events: BTreeMap<ItemId, Vec<Nanos>>,
    totals: BTreeMap<ItemId, u64>,
}

impl Seen {
    fn of(&self, item: ItemId) -> u64 {
        let events = self.events.get(&item).map_or(0, |events| events.len() as u64);
        events + self.totals.get(&item).copied().unwrap_or(0)
    }
}

impl Sink for Seen {
    fn count(&mut self, item: ItemId, total: u64) {
        self.totals.insert(item, total);
    }

    fn event(&mut self, item: ItemId, at: Nanos) {
        self.events.entry(item).or_default().push(at);
    }

    fn sample(&mut self, _: ProfilerSample<'_>) {}

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}
}

const OPENS: u64 = 90;
const NAMES: u64 = 30;

fn calls() -> Result<()> {
    for call in 0..OPENS {
        call_open_tun()?;
        if call < NAMES {
            call_set_name()?;
        }
    }
    Ok(())
}

fn each_call() -> Result<()> {
    let target = resolve(TARGET)?;
    let run = Run::start()?;
    for id in available()? {
        one_method(registry::find(id)?.as_ref(), &target, &run).context(*id)?;
    }
    Ok(())
}

fn one_method(method: &dyn Method, target: &Target, run: &Run) -> Result<()> {
    let mut session = method.attach(target, &AttachContext::bare(run))?;
    // Attached but not enabled.
    call_open_tun()?;
    call_set_name()?;
    let mut seen = Seen::default();
    let begin = clock::now();
    session.enable()?;
    session.drain(&mut seen)?;
    ensure!(target.items().all(|(item, _)| seen.of(item) == 0), "calls where none was made");
    calls()?;
    session.drain(&mut seen)?;
    calls()?;
    session.disable()?;
    let end = clock::now();
    call_open_tun()?;
    call_set_name()?;
    session.drain(&mut seen)?;
    let observation = session.detach()?;

    let expected = match method.descriptor().id.0.as_str() {
        "ftrace-tracepoint" => [None, None, Some(2 * NAMES)].to_vec(),
        _ => [2 * OPENS, 2 * NAMES].map(Some).to_vec(),
    };
    ensure!(*observation.recorded == *expected, "{observation:?}");
    ensure!(observation.lost == Loss::NONE, "{observation:?}");
    let counts_misses = ["ftrace-kprobe", "ftrace-kretprobe", "ftrace-hist"];
    let missed = match counts_misses.contains(&method.descriptor().id.0.as_str()) {
        true => Loss::NONE,
        false => Loss::Unknown,
    };
    ensure!(observation.missed == missed, "{observation:?}");
    for (item, expected) in ItemId(0).onward().zip(expected) {
        ensure!(seen.of(item) == expected.unwrap_or(0), "{} of {item:?}", seen.of(item));
    }
    let slack =
        observation.details.get("clock_pairs_widest_ns").and_then(serde_json::Value::as_u64);
    let slack = slack.unwrap_or(0);
    let window = begin.0.saturating_sub(slack)..=end.0 + slack;
    let outside = seen.events.values().flatten().filter(|at| !window.contains(&at.0)).count();
    ensure!(outside == 0, "{outside} times outside of {window:?}");
    durations(method, &observation)
}

fn durations(method: &dyn Method, observation: &Observation) -> Result<()> {
    if method.descriptor().id.0 != "ftrace-graph" {
        ensure!(observation.durations.is_empty(), "durations of {observation:?}");
        return Ok(());
    }
    for (durations, calls) in observation.durations.iter().zip([2 * OPENS, 2 * NAMES]) {
        let buckets = &durations.as_ref().context("no histogram")?.log2_ns;
        let timed: u64 = buckets.iter().sum();
        ensure!(timed == calls, "{timed} of {calls} calls timed");
        // No call takes less than 2 ns or more than an hour.
        let long = buckets.iter().skip(42).sum::<u64>();
        ensure!(buckets[0] == 0 && long == 0, "{buckets:?}");
    }
    ensure!(observation.durations.len() == 2, "{:?}", observation.durations);
    ensure!(observation.details["unpaired_at_least"] == 0, "{observation:?}");
    ensure!(!observation.details.contains_key("durations_of_a_part"), "{observation:?}");
    Ok(())
}

/// At a low rate, splice delivers no page before the end: its events are as old as the session.
fn late_pages() -> Result<()> {
    const CALLS: u64 = 30;
    let target = resolve("comm_write")?;
    let run = Run::start()?;
    let method = registry::find("ftrace-function:reader=splice:clock=local")?;
    let mut session = method.attach(&target, &AttachContext::bare(&run))?;
    let mut seen = Seen::default();
    session.enable()?;
    let mut windows = Vec::new();
    for _ in 0..CALLS {
        let begin = clock::now();
        call_set_name()?;
        windows.push((begin, clock::now()));
        session.drain(&mut seen)?;
        thread::sleep(Duration::from_millis(20));
    }
    let early = seen.of(ItemId(0));
    session.disable()?;
    // As the end of a trial may be: two marks with hardly anything in between.
    session.drain(&mut seen)?;
    session.drain(&mut seen)?;
    let observation = session.detach()?;
    ensure!(early == 0, "{early} events came early, so that this test proves nothing");
    ensure!(*observation.recorded == [Some(CALLS)], "{observation:?}");
    let widest = observation.details["clock_pairs_widest_ns"].as_u64().context("no number")?;
    let mut times = seen.events.remove(&ItemId(0)).unwrap_or_default();
    times.sort_unstable();
    println!("pairs of at most {widest} ns");
    ensure!(times.len() == windows.len(), "{} times of {CALLS} calls", times.len());
    for (at, (begin, end)) in times.into_iter().zip(windows) {
        let window = begin.0 - widest..=end.0 + widest;
        ensure!(window.contains(&at.0), "{at:?} of a call in {window:?}");
    }
    Ok(())
}

/// Each way of reading, each way to be full, and each way to account for it, once.
const FLOODED: &[(&str, &str)] = &[
    ("ftrace-function:reader=splice", "true"),
    ("ftrace-function:reader=splice", "false"),
    ("ftrace-function-mmap", "true"),
    ("ftrace-graph", "true"),
    ("ftrace-graph", "false"),
    ("ftrace-kprobe", "true"),
    ("ftrace-tracepoint", "false"),
];

fn flood() -> Result<()> {
    const CALLS: u64 = 1500;
    let target = resolve("comm_write,tracepoint:task:task_rename")?;
    let run = Run::start()?;
    let here = available()?;
    let missing = |id: &str| METHODS.contains(&id) && !here.contains(&id);
    for (id, overwrite) in FLOODED.iter().filter(|(id, _)| !missing(id)) {
        let word = format!("{id}:buffer_kib_per_cpu=8:overwrite={overwrite}");
        let method = registry::find(&word)?;
        let observation = flooded(method.as_ref(), &target, &run, CALLS).context(word)?;
        let recorded: u64 = observation.recorded.iter().flatten().sum();
        let lost = match observation.lost {
            Loss::Exact(n) => n,
            // Its entries and exits are lost alike.
            Loss::AtLeast(n) if *id == "ftrace-graph" => n,
            other => bail!("{id}: lost {other:?}"),
        };
        ensure!(lost > 0 && recorded > 0, "{id}: {observation:?}");
        let all = recorded + lost;
        // A call whose entry found no room leaves no exit either, if nothing is overwritten.
        let fits = match (*id, *overwrite) {
            ("ftrace-graph", "false") => all <= CALLS,
            _ => all == CALLS,
        };
        ensure!(fits, "{id}, overwrite={overwrite}: {recorded} + {lost} lost of {CALLS}");
        let part = observation.details.contains_key("durations_of_a_part");
        ensure!(part == (*id == "ftrace-graph"), "{id}: {observation:?}");
    }
    Ok(())
}

fn flooded(method: &dyn Method, target: &Target, run: &Run, calls: u64) -> Result<Observation> {
    let mut session = method.attach(target, &AttachContext::bare(run))?;
    session.enable()?;
    (0..calls).try_for_each(|_| call_set_name())?;
    session.disable()?;
    let mut seen = Seen::default();
    session.drain(&mut seen)?;
    let observation = session.detach()?;
    let given: u64 = seen.events.values().map(|events| events.len() as u64).sum();
    let recorded: u64 = observation.recorded.iter().flatten().sum();
    ensure!(given == recorded, "{recorded} recorded, {given} given");
    Ok(observation)
}

/// A function that exists and that neither ftrace nor kprobes can be attached to.
const UNTRACEABLE: &str = "ftrace_stub";

fn failure() -> Result<()> {
    let run = Run::start()?;
    let good = resolve(TARGET)?;
    let mut bad = resolve(&format!("tun_chr_open,{UNTRACEABLE}"))?;
    bad.tracepoints.clone_from(&good.tracepoints);
    bad.tracepoints.push(probe_core::model::target::Tracepoint {
        group: "task".into(),
        name: "no_such_event".into(),
    });
    let here = available()?;
    for id in ["ftrace-graph", "ftrace-kprobe", "ftrace-fprobe", "ftrace-tracepoint", "ftrace-hist"]
    {
        if !here.contains(&id) {
            continue;
        }
        let method = registry::find(id)?;
        if let Detection::Available = method.detect(&bad) {
            bail!("{id}: detect says that it can be attached to {UNTRACEABLE}")
        }
        ensure!(method.attach(&bad, &AttachContext::bare(&run)).is_err(), "{id} attached");
    }
    // Dropped while they are enabled, to test the backstop: with an enabled probe event, and with
    // one that has a trigger.
    for id in ["ftrace-kprobe", "ftrace-hist"] {
        let mut session = registry::find(id)?.attach(&good, &AttachContext::bare(&run))?;
        session.enable()?;
        call_open_tun()?;
    }
    Ok(())
}

/// Several readers sleep in a traced function, more than the kretprobe can track.
fn missed() -> Result<()> {
    const CALLS: u64 = 4;
    let target = resolve("eventfd_read")?;
    let run = Run::start()?;
    let method = registry::find("ftrace-kretprobe:maxactive=1")?;
    let mut session = method.attach(&target, &AttachContext::bare(&run))?;
    session.enable()?;
    let semaphore = File::from(semaphore()?);
    let threads: Vec<_> = (0..CALLS)
        .map(|_| {
            let mut semaphore = semaphore.try_clone()?;
            Ok(thread::spawn(move || semaphore.read_exact(&mut [0; 8])))
        })
        .collect::<Result<_>>()?;
    // Wait until all sleep there; nobody would miss a thread that is late.
    thread::sleep(Duration::from_millis(300));
    (&semaphore).write_all(&CALLS.to_ne_bytes())?;
    for thread in threads {
        thread.join().expect("no panic")?;
    }
    session.disable()?;
    session.drain(&mut Seen::default())?;
    let observation = session.detach()?;
    let recorded = observation.recorded[0].context("not observed")?;
    let missed = observation.missed.exact().context("not exact")?;
    ensure!(missed > 0 && recorded > 0, "{recorded} recorded, {missed} missed");
    ensure!(recorded + missed == CALLS, "{recorded} recorded + {missed} missed of {CALLS}");
    Ok(())
}

fn semaphore() -> Result<OwnedFd> {
    use rustix::event::{EventfdFlags, eventfd};
    Ok(eventfd(0, EventfdFlags::SEMAPHORE | EventfdFlags::CLOEXEC)?)
}
