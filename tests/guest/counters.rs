//! The kernel's own counters, against what the load sent and against other readings of the same
//! kernel.

use std::{fs, io::Write as _, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    item::{ItemId, PerItem},
    loss::Loss,
    observation::Observation,
    scenario::{GuestKind, Guests},
    target::Target,
    units::Nanos,
};
use probe_user::{
    kernel::{cputime::ThreadTime, kallsyms::Kallsyms, run::Run, targets},
    methods::{AttachContext, Detection, Observer, ProfilerSample, Share, Sink, Taps, registry},
    sys::tun::Tap,
    workload::{Offered, Placement, Testbed},
};
use serde_json::Value;

use crate::{
    cpus::attached,
    load::dut,
    tool::{Folder, succeed, tracetoll},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("counters::frames_and_bytes_are_those_that_were_sent", sent),
        crate::test("counters::each_frame_that_a_tap_dropped_is_counted", drops),
        crate::test("counters::workers_are_told_as_the_scheduler_accounts_for_them", workers),
        crate::test("counters::the_systems_are_between_two_other_readings", system),
        crate::test("counters::what_is_not_there_is_named", refusals),
    ]
}

const FRAME: usize = 1514;
const KICKS: u64 = 500;

/// Takes the totals of a counter.
#[derive(Default)]
struct Totals(Vec<(ItemId, u64)>);

impl Sink for Totals {
    fn count(&mut self, item: ItemId, total: u64) {
        self.0.push((item, total));
    }

    fn event(&mut self, _: ItemId, _: Nanos) {}

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}

    fn sample(&mut self, _: ProfilerSample<'_>) {}
}

struct Bench {
    run: Run,
    target: Target,
    testbed: Testbed,
    workers: Vec<u32>,
}

impl Bench {
    fn new() -> Result<Self> {
        crate::load_modules()?;
        let run = Run::start()?;
        let target = targets::resolve("vhost", &Kallsyms::load()?)?;
        let kind = GuestKind::Blast;
        let guests = Guests { kind, count: 2, frame: FRAME, ring: 256, ..Guests::default() };
        let testbed = Testbed::of_guests(&run, &guests, &Placement::of(vec![0], vec![1]))?;
        let workers = testbed.worker_threads();
        Ok(Self { run, target, testbed, workers })
    }

    fn attach(&self, id: &str) -> Result<Observer> {
        self.attach_to(id, self.testbed.taps())
    }

    fn attach_to(&self, id: &str, names: &[String]) -> Result<Observer> {
        let method = registry::find(id)?;
        match method.detect(&self.target) {
            Detection::Available => {}
            other => bail!("{id}: {other:?}"),
        }
        let taps = Some(Taps { netns: dut(&self.testbed), names });
        let context =
            AttachContext { taps, workers: &self.workers, ..AttachContext::bare(&self.run) };
        Ok(method.attach(&self.target, &context)?)
    }

    /// Sends, and waits until the workers sleep; gives the number of frames.
    fn send(&self, kicks: u64) -> Result<u64> {
        let mut load = self.testbed.start(Offered::ClosedLoop { kicks })?;
        ensure!(load.wait(Duration::from_secs(120))?, "the closed loop does not get through");
        let sent = load.stop()?.sent.frames;
        let mut before = self.accounts()?;
        loop {
            thread::sleep(Duration::from_millis(10));
            let now = self.accounts()?;
            if now == before && self.workers.iter().all(|&worker| sleeps(worker)) {
                return Ok(sent);
            }
            before = now;
        }
    }

    /// Run time, run delay and switches of all workers.
    fn accounts(&self) -> Result<[u64; 3]> {
        let mut sums = [0; 3];
        for &worker in &self.workers {
            let spent = ThreadTime::of(worker)?.read()?;
            for (sum, more) in sums.iter_mut().zip([spent.run.0, spent.delay.0, switches(worker)?])
            {
                *sum += more;
            }
        }
        Ok(sums)
    }

    /// A total that the session gave while it counted, the last one, and its account.
    fn count(&self, session: Observer) -> Result<([u64; 2], u64, Observation)> {
        let (mut session, mut totals) = (session, Totals::default());
        // Attached but not enabled: not counted.
        self.send(10)?;
        session.enable()?;
        let sent = self.send(KICKS)?;
        session.drain(&mut totals)?;
        session.disable()?;
        self.send(10)?;
        session.drain(&mut totals)?;
        let [(item, first), (same, last)] = totals.0[..] else { bail!("{:?}", totals.0) };
        ensure!(item == same, "{item:?}, {same:?}");
        Ok(([first, last], sent, session.detach()?))
    }
}

fn sleeps(worker: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
}

fn switches(worker: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{worker}/status"))?;
    let lines = status.lines().filter(|line| line.contains("_ctxt_switches:"));
    lines.map(|line| Ok(line.split_whitespace().last().context("cut")?.parse::<u64>()?)).sum()
}

fn sent() -> Result<()> {
    let bench = Bench::new()?;
    let frames = bench.target.frames();
    for (id, each) in [
        ("counters-netdev", 1),
        ("counters-netdev:of=bytes", FRAME as u64),
        ("counters-netdev:of=drops", 0),
    ] {
        let (totals, sent, seen) = bench.count(bench.attach(id)?)?;
        ensure!(sent == 2 * KICKS, "{sent} frames of 2 guests");
        ensure!(totals == [each * sent; 2], "{id}: {totals:?} of {sent} frames");
        ensure!(seen.details["total"] == each * sent, "{id}: {seen:?}");
        let expected = (each == 1).then_some(sent);
        ensure!(seen.recorded.get(frames).copied() == expected, "{id}: {seen:?}");
        ensure!(seen.recorded.iter().flatten().count() == usize::from(each == 1), "{id}: {seen:?}");
        ensure!((seen.lost, seen.missed) == (Loss::NONE, Loss::NONE), "{id}: {seen:?}");
        ensure!(seen.bytes_read.0 > 0 && seen.attached.len() >= 2, "{id}: {seen:?}");
    }
    Ok(bench.testbed.close()?)
}

/// A TAP that is down takes no frame.
fn drops() -> Result<()> {
    const FRAMES: u64 = 7;
    let bench = Bench::new()?;
    let down = dut(&bench.testbed).run(|| Tap::create(&bench.run.interface("in"), 12))??;
    let mut session = bench.attach_to("counters-netdev:of=drops", &[down.name().to_owned()])?;
    session.enable()?;
    for _ in 0..FRAMES {
        ensure!(down.file().write(&[0; 12 + 60]).is_err(), "{} took a frame", down.name());
    }
    session.disable()?;
    let seen = session.detach()?;
    ensure!(seen.details["total"] == FRAMES, "{seen:?}");
    drop(down);
    Ok(bench.testbed.close()?)
}

/// While a worker sleeps, its account is exact.
fn workers() -> Result<()> {
    let bench = Bench::new()?;
    for (at, id) in ["counters-worker-time", "counters-worker-delay", "counters-worker-switches"]
        .into_iter()
        .enumerate()
    {
        bench.send(10)?;
        let mut session = bench.attach(id)?;
        let nothing = attached()?;
        let before = bench.accounts()?;
        session.enable()?;
        ensure!(attached()? == nothing, "{id} attached something");
        bench.send(KICKS)?;
        session.disable()?;
        let after = bench.accounts()?;
        bench.send(10)?;
        let mut totals = Totals::default();
        session.drain(&mut totals)?;
        let seen = session.detach()?;
        let truth = after[at] - before[at];
        ensure!(
            totals.0.iter().all(|(_, total)| *total == truth),
            "{id}: {totals:?} of {truth}",
            totals = totals.0
        );
        ensure!(seen.details["total"] == truth, "{id}: {seen:?} of {truth}");
        ensure!(truth > 0 || at == 1, "{id}: nothing for {KICKS} kicks");
        ensure!(seen.recorded.iter().flatten().count() == 0, "{id}: {seen:?}");
        ensure!(seen.attached.len() == 2, "{id}: {:?}", seen.attached);
    }
    Ok(bench.testbed.close()?)
}

/// Other work of the system counts too, so a total lies between the difference of two readings
/// inside and that of two outside.
fn system() -> Result<()> {
    let bench = Bench::new()?;
    for id in [
        "counters-softirq",
        "counters-softirq:of=net-tx",
        "counters-softirq:of=squeezed",
        "counters-psi",
    ] {
        if id == "counters-psi" && !Path::new("/proc/pressure/cpu").exists() {
            continue;
        }
        let mut session = bench.attach(id)?;
        let outer = reading(id)?;
        session.enable()?;
        let inner = reading(id)?;
        bench.send(KICKS)?;
        let inner = reading(id)? - inner;
        session.disable()?;
        let outer = reading(id)? - outer;
        let seen = session.detach()?;
        let total = seen.details["total"].as_u64().context("no total")?;
        ensure!((inner..=outer).contains(&total), "{id}: {total}, not {inner} to {outer}");
        ensure!(inner > 0 || id != "counters-softirq", "{id}: nothing for {KICKS} kicks");
    }
    Ok(bench.testbed.close()?)
}

/// The same number, read in another way.
fn reading(id: &str) -> Result<u64> {
    let row = |name: &str| -> Result<u64> {
        let text = fs::read_to_string("/proc/softirqs")?;
        let row = text.split(name).nth(1).context("no row")?.lines().next().context("empty")?;
        row.split_whitespace().map(|count| Ok(count.parse::<u64>()?)).sum()
    };
    match id {
        "counters-softirq" => row("NET_RX:"),
        "counters-softirq:of=net-tx" => row("NET_TX:"),
        "counters-psi" => {
            let text = fs::read_to_string("/proc/pressure/cpu")?;
            let total = text.split("total=").nth(1).context("no total")?;
            Ok(total.split_whitespace().next().context("empty")?.parse()?)
        }
        _ => {
            let text = fs::read_to_string("/proc/net/softnet_stat")?;
            let third =
                |line: &str| Ok(u64::from_str_radix(line.get(18..26).context(text.clone())?, 16)?);
            text.lines().map(third).sum()
        }
    }
}

fn refusals() -> Result<()> {
    crate::load_modules()?;
    let run = Run::start()?;
    let target = targets::resolve("vhost", &Kallsyms::load()?)?;
    let context = AttachContext::bare(&run);
    for (id, why) in [
        ("counters-netdev", "there are no TAPs"),
        ("counters-worker-time", "there are no vhost workers"),
        ("counters-worker-delay", "there are no vhost workers"),
        ("counters-worker-switches", "there are no vhost workers"),
    ] {
        let method = registry::find(id)?;
        ensure!(matches!(method.detect(&target), Detection::Available), "{id}");
        let Err(error) = method.attach(&target, &context) else { bail!("{id} counts nothing") };
        ensure!(error.to_string().contains(why), "{id}: {error}");
    }
    let psi = registry::find("counters-psi")?.detect(&target);
    let has = Path::new("/proc/pressure/cpu").exists();
    match psi {
        Detection::Available => ensure!(has, "there is no pressure"),
        Detection::Unsupported { hint, .. } => ensure!(!has && hint.contains("psi=1"), "{hint}"),
        Detection::Inconclusive(error) => bail!("{error}"),
    }
    // No VM runs here; tests of `kvm` have some.
    let kvm = registry::find("counters-kvm")?;
    match kvm.detect(&target) {
        Detection::Available => {
            let Err(error) = kvm.attach(&target, &context) else { bail!("it counts nothing") };
            ensure!(error.to_string().contains("no VM under KVM"), "{error}");
        }
        Detection::Unsupported { hint, .. } => ensure!(hint.contains("debugfs"), "{hint}"),
        Detection::Inconclusive(error) => bail!("{error}"),
    }
    Ok(())
}

pub(crate) fn campaign() -> Result<()> {
    // One that is the throughput itself, and one that is not.
    const METHODS: [(&str, &str); 2] =
        [("counters-netdev", "frames"), ("counters-worker-time", "ns of worker run time")];
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let methods = METHODS.map(|(id, _)| id).join(",") + ",counters-kvm";
    // What is asserted are numbers of frames, not how many a machine can send in a fifth of a
    // second.
    let scenario = folder.tiny()?;
    let tiny = fs::read_to_string(&scenario)?;
    let lines =
        tiny.lines().filter(|line| !["paced", "saturated"].iter().any(|p| line.starts_with(p)));
    fs::write(&scenario, lines.collect::<Vec<_>>().join("\n").replace("400ms", "2s"))?;
    let mut run = tracetoll(["run", "--blocks", "1", "--methods", &methods, "--scenario"])?;
    run.arg(scenario).arg("--out").arg(&out);
    let said = succeed(run)?;
    // Its guests are no VMs.
    ensure!(
        said.contains("left out: counters-kvm: ") && said.contains("no VM under KVM"),
        "{said}"
    );
    let campaign: Value = serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    let methods = campaign["summary"]["methods"].as_array().context("no methods")?;
    for (id, shows) in METHODS {
        let method = methods.iter().find(|method| method["id"] == id).context(id)?;
        ensure!(method["shows_instead"] == shows, "{id}: {}", method["shows_instead"]);
        let (figures, events) = (&method["fidelity"], &method["events"]);
        let noted = figures["r_m"].to_string().contains(shows);
        ensure!(figures["r_m"]["estimate"].is_null() || noted, "{id}: {}", figures["r_m"]);
        ensure!(figures["series_error"]["why"]["kind"] == "not_calls", "{id}: {figures}");
        let reconciles = if shows == "frames" { "exact" } else { "not_applicable" };
        ensure!(events["reconciles"]["kind"] == reconciles, "{id}: {events}");
    }
    for trial in campaign["trials"].as_array().context("no trials")? {
        let done = trial["outcome"].get("done").with_context(|| trial.to_string())?;
        let Some((_, shows)) = METHODS.iter().find(|(id, _)| trial["method"] == *id) else {
            continue;
        };
        let series = done["series"].as_array().context("no series")?;
        let [one] = &series[..] else { bail!("{series:?}") };
        ensure!(one["function"] == *shows, "{one}");
        // The increases between all edges are the whole.
        let sum: f64 =
            one["values"].as_array().context("no bins")?.iter().filter_map(Value::as_f64).sum();
        let total = done["observation"]["details"]["total"].as_f64().context("no total")?;
        ensure!(sum > 0.0 && sum <= total, "{trial}");
    }
    Ok(())
}
