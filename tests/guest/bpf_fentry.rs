//! Every method on function entries: what it accounts for, what a full ring costs, what it leaves
//! behind.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    item::{ItemId, PerItem},
    loss::Loss,
    method::Class,
    observation::{EstimatedCalls, Observation},
    target::{Function, Target},
    units::Nanos,
};
use probe_user::{
    kernel::{
        affinity,
        bpf::{
            chosen::Programs,
            counter::Counter,
            loader::{Loader, Spot},
        },
        clock, cpus,
        run::Run,
    },
    methods::{AttachContext, Cadence, Detection, Method, ProfilerSample, Share, Sink, registry},
};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::triggers::{call_open_tun, call_open_vhost};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("bpf_fentry::every_call_is_accounted_for", every_call),
        crate::test("bpf_fentry::a_full_ring_loses_exactly_what_is_not_recorded", full_rings),
        crate::test("bpf_fentry::a_failed_enable_leaves_nothing", failed_enable),
        crate::test("bpf_fentry::a_budget_is_kept_to_and_the_estimate_holds", budget),
        crate::test("bpf_fentry::records_wake_the_reader_as_the_method_says", wakes),
        crate::test("bpf_fentry::calls_behind_the_last_bin_are_counted", late_calls),
    ]
}

/// All methods of the group whose programs run at function entries.
const METHODS: &[&str] = &[
    "bpf-fentry-empty",
    "bpf-fentry-timestamp",
    "bpf-fentry-count",
    "bpf-fentry-count-percpu",
    "bpf-fentry-count-hash",
    "bpf-fentry-ringbuf",
    "bpf-fentry-ringbuf:wake=adaptive",
    "bpf-fentry-ringbuf:wake=64",
    "bpf-fentry-perfbuf",
    "bpf-fentry-perfbuf:wake=1",
    "bpf-fentry-bins",
    "bpf-fentry-sample-3",
    "bpf-fentry-budget",
    "bpf-fentry-budget:budget_pct=0.01:window_ms=1",
];

fn target(functions: &[(&str, &str)]) -> Target {
    let function = |(name, module): &(&str, &str)| Function {
        name: (*name).to_owned(),
        module: Some((*module).to_owned()),
        addresses: Default::default(),
    };
    Target { functions: functions.iter().map(function).collect(), ..Target::default() }
}

const VHOST: (&str, &str) = ("vhost_net_open", "vhost_net");
const TUN: (&str, &str) = ("tun_chr_open", "tun");
/// Nothing calls it while no interface is created.
const UNUSED: (&str, &str) = ("tun_chr_ioctl", "tun");

/// What was delivered, by item.
#[derive(Debug, Default)]
struct Seen {
    totals: PerItem<u64>,
    events: Vec<(ItemId, Nanos, f64)>,
}

impl Seen {
    fn weight(&self, item: usize) -> f64 {
        self.events.iter().filter(|event| event.0.0 == item).map(|event| event.2).sum()
    }

    fn records(&self, item: usize) -> u64 {
        self.events.iter().filter(|event| event.0.0 == item).count() as u64
    }
}

impl Sink for Seen {
    fn count(&mut self, item: ItemId, total: u64) {
        *self.totals.entry(item) = total;
    }

    fn event(&mut self, item: ItemId, at: Nanos) {
        self.events.push((item, at, 1.0));
    }

    fn weighted(&mut self, item: ItemId, at: Nanos, weight: f64) {
        self.events.push((item, at, weight));
    }

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}

    fn sample(&mut self, _: ProfilerSample<'_>) {}
}

struct Outcome {
    seen: Seen,
    observation: Observation,
    span: (Nanos, Nanos),
}

/// Runs `load` under `method`, with a call before and one after that must not be counted.
fn observe(
    method: &dyn Method,
    target: &Target,
    load: impl FnOnce() -> Result<()>,
) -> Result<Outcome> {
    let run = Run::start()?;
    let mut session = method.attach(target, &AttachContext::bare(&run))?;
    call_open_tun()?;
    let mut seen = Seen::default();
    let start = clock::now();
    session.enable()?;
    load()?;
    session.disable()?;
    let end = clock::now();
    call_open_tun()?;
    session.drain(&mut seen)?;
    let observation = session.detach()?;
    Ok(Outcome { seen, observation, span: (start, end) })
}

fn all_methods() -> impl Iterator<Item = Result<Box<dyn Method>>> {
    METHODS.iter().map(|word| registry::find(word).with_context(|| (*word).to_owned()))
}

const THREADS: u64 = 3;
const CALLS: u64 = 300;

/// Calls `tun_chr_open` the given number of times and `vhost_net_open` once in 20, from several
/// threads.
fn threads() -> Result<()> {
    let one = || -> Result<()> {
        for call in 0..CALLS {
            call_open_tun()?;
            // Closing it waits for a grace period of RCU, which takes a hundred times as long.
            if call % 20 == 0 {
                call_open_vhost()?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

fn every_call() -> Result<()> {
    crate::load_modules()?;
    let target = target(&[TUN, VHOST, UNUSED]);
    let truth = [THREADS * CALLS, THREADS * CALLS / 20, 0];
    // All of them load for detection, and load again to attach: one answer is enough.
    let detection = registry::find("bpf-fentry-budget")?.detect(&target);
    ensure!(matches!(detection, Detection::Available), "{detection:?}");
    for method in all_methods() {
        let method = method?;
        let id = &method.descriptor().id;
        let outcome = observe(&*method, &target, threads).with_context(|| id.to_string())?;
        check(method.descriptor().class, &outcome, &truth)
            .with_context(|| format!("{id}: {:?}", outcome.observation))?;
    }
    Ok(())
}

fn check(class: Class, outcome: &Outcome, truth: &[u64]) -> Result<()> {
    let Outcome { seen, observation, span } = outcome;
    ensure!(observation.lost == Loss::NONE && observation.missed == Loss::NONE, "losses");
    ensure!(observation.attached.len() == truth.len() && observation.kernel_memory.0 > 0);
    ensure!(seen.events.iter().all(|event| (span.0..=span.1).contains(&event.1)), "times");
    for (item, &truth) in truth.iter().enumerate() {
        let recorded = observation.recorded.get(ItemId(item)).copied();
        match class {
            Class::Nothing => ensure!(recorded.is_none(), "{item}"),
            Class::Sampled => sampled(observation, item, truth)?,
            _ => ensure!(recorded == Some(truth), "{item} of {truth}"),
        }
        let Some(recorded) = recorded else { continue };
        match (class, seen.totals.get(ItemId(item))) {
            (Class::Exact, Some(&total)) => ensure!(total == recorded, "{item}: {total}"),
            // Bins.
            (Class::Exact, None) => ensure!(seen.weight(item) == recorded as f64, "{item}"),
            _ => ensure!(seen.records(item) == recorded, "{item}: {}", seen.records(item)),
        }
    }
    Ok(())
}

/// A count that is exact, and an estimate that contains the truth; within five standard deviations
/// where it promises two, and ten times the greatest weight, since a sum of a few heavy records is
/// not normal: so one run in a million fails by chance.
fn sampled(observation: &Observation, item: usize, truth: u64) -> Result<()> {
    let (counted, estimate) = (observation.counted[item], observation.estimates[item]);
    ensure!(counted == Some(truth), "counted {counted:?} of {truth}");
    let EstimatedCalls { calls, lo, hi, .. } = estimate.context("no estimate")?;
    ensure!(lo <= calls && calls <= hi, "{estimate:?}");
    let truth = truth as f64;
    let few = 10.0 * greatest_weight(observation, item) + 1.0;
    let (low, high) = (calls - 2.6 * (calls - lo) - few, calls + 2.6 * (hi - calls) + few);
    ensure!((low..=high).contains(&truth), "{truth} is not in {low} to {high}");
    Ok(())
}

/// The greatest weight that a record of a method with a budget can have had; 0 for other methods.
fn greatest_weight(observation: &Observation, item: usize) -> f64 {
    let least = observation.details.get("least_probability_per_function");
    least.and_then(|all| all[item].as_f64()).map_or(0.0, |least| 1.0 / least)
}

fn full_rings() -> Result<()> {
    const FLOOD: u64 = 1500;
    // A ring of a page, or one on each CPU; the smallest record takes 16 bytes.
    let room = 4096 / 16 * cpus::online()?.len() as u64;
    crate::load_modules()?;
    for word in [
        "bpf-fentry-ringbuf:buffer_kib=4",
        "bpf-fentry-perfbuf:buffer_kib_per_cpu=4",
        "bpf-fentry-sample-1:buffer_kib=4",
        "bpf-fentry-budget:buffer_kib=4:budget_pct=100:window_ms=60000",
    ] {
        let method = registry::find(word)?;
        let flood = || (0..FLOOD).try_for_each(|_| call_open_tun());
        let Outcome { seen, observation, .. } = observe(&*method, &target(&[TUN]), flood)?;
        let recorded = observation.recorded[0].context("not observed")?;
        let lost = observation.lost.exact().context("not exact")?;
        ensure!(recorded > 0 && recorded == seen.records(0), "{word}: {observation:?}");
        ensure!(recorded <= room && lost > 0, "{word}: {observation:?}");
        ensure!(observation.missed == Loss::NONE, "{word}: {observation:?}");
        // The budget is large enough for all, so each was drawn, except for rounding.
        let drawn = recorded + lost;
        ensure!(drawn == FLOOD || (word.contains("budget") && drawn <= FLOOD), "{word}: {drawn}");
        if method.descriptor().class == Class::Sampled {
            sampled(&observation, 0, FLOOD).with_context(|| word.to_owned())?;
        }
    }
    Ok(())
}

/// One function accepts no further program, the other does: the link on the latter must be removed
/// again.
fn failed_enable() -> Result<()> {
    crate::load_modules()?;
    let mut loader = Loader::new(&Programs::default(), "crowd")?;
    let crowded = target(&[VHOST]);
    let mut crowd = Vec::new();
    loop {
        ensure!(crowd.len() < 100, "the kernel took 100 programs on one function");
        let mut counter = Counter::load(&mut loader, Spot::Fentry(&crowded.functions[0]))?;
        if counter.probe.attach().is_err() {
            break;
        }
        crowd.push(counter);
    }
    let before = links()?;
    // All methods share the session; these have more to undo than programs, or less.
    for id in ["bpf-fentry-empty", "bpf-fentry-perfbuf", "bpf-fentry-sample-100"] {
        let (method, run) = (registry::find(id)?, Run::start()?);
        let mut session = method.attach(&target(&[TUN, VHOST]), &AttachContext::bare(&run))?;
        let Err(error) = session.enable() else { bail!("{id}: one program too many was taken") };
        ensure!(error.to_string().contains("vhost_net_open"), "{id}: {error}");
        let after = links()?;
        ensure!(before == after, "{id}: links {before:?} became {after:?}");
    }
    crowd.iter_mut().try_for_each(|counter| counter.probe.detach())?;
    Ok(())
}

fn links() -> Result<Vec<u32>> {
    aya::programs::loaded_links().map(|link| Ok(link?.id())).collect()
}

/// The rate rises tenfold. Asserted are numbers of calls: that all were counted, that not all were
/// recorded, and that the records' weights represent the calls of each part.
fn budget() -> Result<()> {
    const SLOW: u64 = 200;
    const FAST: u64 = 3000;
    crate::load_modules()?;
    let method = registry::find("bpf-fentry-budget:budget_pct=0.1:window_ms=20")?;
    let mut step = None;
    let Outcome { seen, observation, .. } = observe(&*method, &target(&[TUN]), || {
        for _ in 0..SLOW {
            call_open_tun()?;
            thread::sleep(Duration::from_millis(1));
        }
        step = Some(clock::now());
        (0..FAST).try_for_each(|_| call_open_tun())
    })?;
    let step = step.context("no step")?;
    sampled(&observation, 0, SLOW + FAST)?;
    ensure!(observation.recorded[0] < Some(SLOW + FAST), "{observation:?}");
    let greatest = greatest_weight(&observation, 0);
    for (part, truth) in [(true, SLOW), (false, FAST)] {
        let of_part = seen.events.iter().filter(|event| (event.1 < step) == part);
        let (sum, squares, most) = of_part.fold((0.0, 0.0, 1.0), |(sum, squares, most), event| {
            (sum + event.2, squares + event.2 * event.2, f64::max(most, event.2))
        });
        // If the hook alone takes more than the budget, hardly any late call leaves a record.
        let behind = if part { most } else { greatest };
        let slack = 5.0 * f64::max(squares - sum, 0.0).sqrt() + 10.0 * behind;
        let away = (sum - truth as f64).abs();
        ensure!(away <= slack, "{sum} for {truth} calls is {away} away: {observation:?}");
    }
    kept(&observation).with_context(|| format!("{observation:?}"))
}

/// By the measured costs, no more was spent than the budget gave and the buckets held.
fn kept(observation: &Observation) -> Result<()> {
    let number = |name: &str| {
        let value = observation.details.get(name).with_context(|| name.to_owned())?;
        value.as_f64().with_context(|| name.to_owned())
    };
    let (call, record) = (number("price_of_call_ns")?, number("price_of_record_ns")?);
    let share = number("budget_pct_of_cpu_per_function")? / 100.0;
    let cpus = cpus::online()?.len() as f64;
    let given = cpus * (share * observation.enabled.0 as f64 + number("capacity_ns")?);
    // Each CPU may exceed it by what it does between two checks of the bucket, and by the records
    // at the minimum probability: 2^-16, so five are many.
    let calls = observation.counted[0].context("not counted")? as f64;
    let beyond = cpus * (64.0 * call + record) + 5.0 * record;
    let exceeded = &observation.details["budget_exceeded_by_hook"][0];
    // No probability makes the hook cheaper: if it takes everything, the records get what remains,
    // and those at the minimum probability.
    let of_calls =
        if exceeded.as_bool().context("no word on the hook")? { 0.0 } else { calls * call };
    let lost = observation.lost.exact().context("not exact")?;
    let records = (observation.recorded[0].context("not observed")? + lost) as f64 * record;
    let spent = of_calls + records;
    ensure!(spent <= given + beyond, "spent {spent} ns of {given} and {beyond}");
    Ok(())
}

/// How many calls it takes until the kernel wakes the reader. No thread reads meanwhile, so the
/// answer depends on the number of calls alone.
fn wakes() -> Result<()> {
    crate::load_modules()?;
    // It confines itself to one CPU, which must not last beyond this test.
    thread::spawn(wakes_on_one_cpu).join().expect("no panic")
}

fn wakes_on_one_cpu() -> Result<()> {
    // After the first wake-up, does one more call wake a reader that has read nothing?
    for (word, calls, again) in [
        ("bpf-fentry-ringbuf:wake=adaptive", 1, false),
        ("bpf-fentry-ringbuf:wake=64", 64, true),
        ("bpf-fentry-perfbuf:wake=1", 1, true),
    ] {
        // The rings of perf count the records of their own CPU.
        affinity::pin(None, &cpus::online()?[..1])?;
        let (method, run) = (registry::find(word)?, Run::start()?);
        let mut session = method.attach(&target(&[TUN]), &AttachContext::bare(&run))?;
        ensure!(session.cadence() == Cadence::Woken, "{word}: {:?}", session.cadence());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
        for fd in session.ready() {
            epoll::add(&epoll, fd, epoll::EventData::new_u64(0), edges)?;
        }
        session.enable()?;
        let woken = || -> Result<bool> {
            // The wake-up is an interrupt of its own, shortly after the call.
            let wait = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
            let mut events = Vec::with_capacity(8);
            Ok(epoll::wait(&epoll, spare_capacity(&mut events), Some(&wait))? > 0)
        };
        (1..calls).try_for_each(|_| call_open_tun())?;
        ensure!(calls == 1 || !woken()?, "{word}: woken before call {calls}");
        call_open_tun()?;
        ensure!(woken()?, "{word}: not woken by call {calls}");
        call_open_tun()?;
        ensure!(woken()? == again, "{word}: call {} woke: {}", calls + 1, !again);
        session.drain(&mut Seen::default())?;
        (0..calls).try_for_each(|_| call_open_tun())?;
        ensure!(woken()?, "{word}: not woken after it had read");
        session.disable()?;
        session.drain(&mut Seen::default())?;
        session.detach()?;
    }
    Ok(())
}

fn late_calls() -> Result<()> {
    crate::load_modules()?;
    let method = registry::find("bpf-fentry-bins:bin_ms=100:span_s=1")?;
    let Outcome { seen, observation, .. } = observe(&*method, &target(&[TUN]), || {
        (0..30).try_for_each(|_| call_open_tun())?;
        thread::sleep(Duration::from_millis(1100));
        (0..20).try_for_each(|_| call_open_tun())
    })?;
    ensure!(*observation.recorded == [Some(50)], "{observation:?}");
    let late = &observation.details["calls_behind_the_last_bin_per_function"][0];
    let late = late.as_u64().context("no number")?;
    // On a machine that stands still for a second, more of them are late.
    ensure!(late >= 20 && seen.weight(0) == (50 - late) as f64, "{late} late: {seen:?}");
    Ok(())
}
