//! The load on the kernel's own vhost-net: what it makes the kernel do, what arrives, what is left
//! behind.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    scenario::{GuestKind, Guests},
    trial::Sent,
    units::Nanos,
};
use probe_user::{
    kernel::{
        cpus,
        cputime::{SystemTime, ThreadTime},
        netdev::NetDevices,
        netlink::Netlink,
        netns::Netns,
        run::Run,
    },
    sys::tun::Tap,
    workload::{Load, Offered, Placement, Testbed, addresses, blast::frame},
};

use crate::victim;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("load::closed_loop_makes_one_call_per_kick", one_call_per_kick),
        crate::test("load::closed_loop_is_preempted_at_each_kick", preempted_at_each_kick),
        crate::test("load::setting_the_backend_makes_one_call", one_call_by_itself),
        crate::test("load::every_frame_sent_arrives_or_is_counted_as_refused", all_frames),
        crate::test("load::guests_receive_what_is_sent_to_them", receiving),
        crate::test("load::one_load_runs_at_a_time", one_at_a_time),
        crate::test("load::what_cannot_be_built_is_refused", refusals),
        crate::test("load::cpu_times_move", cpu_times),
        crate::test("load::a_dropped_testbed_leaves_nothing", dropped_testbed),
        crate::test("load::a_killed_testbed_leaves_nothing", killed_testbed),
    ]
}

/// Long enough for the slowest emulated machine; it decides whether it hangs.
const NO_HANG: Duration = Duration::from_secs(120);

fn guests(count: usize) -> Guests {
    let kind = GuestKind::Blast;
    Guests { kind, count, frame: 1514, ring: 256, batch: 64, event_idx: true, ..Guests::default() }
}

/// The sink on the last CPU, the load on the others; both on the only one if there is no other.
fn placement() -> Result<Placement> {
    let mut load = cpus::online()?.to_vec();
    let sink = vec![load.pop().context("no CPU is online")?];
    if load.is_empty() {
        load.clone_from(&sink);
    }
    Ok(Placement::of(load, sink))
}

/// The network namespace of a testbed's TAPs: ours have one.
pub(crate) fn dut(testbed: &Testbed) -> &Netns {
    testbed.dut().expect("one namespace")
}

fn build(run: &Run, guests: &Guests) -> Result<Testbed> {
    crate::load_modules()?;
    Ok(Testbed::of_guests(run, guests, &placement()?)?)
}

/// An independent count of handle_tx: a kprobe event of the top-level tracer.
pub(crate) struct HandleTx;

impl HandleTx {
    const TRACEFS: &str = "/sys/kernel/tracing";

    pub(crate) fn attach() -> Result<Self> {
        append("kprobe_events", "p:guest_test/handle_tx vhost_net:handle_tx")?;
        let this = Self;
        append("events/guest_test/handle_tx/enable", "1")?;
        Ok(this)
    }

    /// Calls since it was attached; misses are in the third column.
    pub(crate) fn calls(&self) -> Result<u64> {
        let profile = fs::read_to_string(Path::new(Self::TRACEFS).join("kprobe_profile"))?;
        let fields: Vec<_> = profile.split_whitespace().collect();
        match fields[..] {
            ["handle_tx", hits, "0"] => Ok(hits.parse()?),
            _ => bail!("kprobe_profile: {profile}"),
        }
    }
}

impl Drop for HandleTx {
    fn drop(&mut self) {
        let _ = append("events/guest_test/handle_tx/enable", "0");
        let _ = append("kprobe_events", "-:guest_test/handle_tx");
    }
}

fn append(file: &str, text: &str) -> Result<()> {
    let path = Path::new(HandleTx::TRACEFS).join(file);
    let mut file = fs::OpenOptions::new().append(true).open(&path)?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

fn closed_loop(testbed: &Testbed, kicks: u64) -> Result<Box<dyn Load>> {
    let mut load = testbed.start(Offered::ClosedLoop { kicks })?;
    if !load.wait(NO_HANG)? {
        load.stop()?;
        bail!("the closed loop does not get through");
    }
    Ok(load)
}

fn one_call_per_kick() -> Result<()> {
    let run = Run::start()?;
    let usual = guests(1);
    let cases = [
        (usual.clone(), 10_000),
        (Guests { event_idx: false, ..usual.clone() }, 2_000),
        (Guests { ring: 4, frame: 60, ..usual.clone() }, 2_000),
        // Longer than a page: vhost sends it without its own batch.
        (Guests { frame: 9014, ..usual.clone() }, 2_000),
        (Guests { ring: 64, frame: frame::MAX, ..usual.clone() }, 500),
        (guests(3), 2_000),
    ];
    for (guests, kicks) in cases {
        let testbed = build(&run, &guests)?;
        let calls = HandleTx::attach()?;
        let sent = closed_loop(&testbed, kicks)?.stop()?.sent;
        let all = kicks * guests.count as u64;
        ensure!((sent.kicks, sent.frames) == (Some(all), all), "{guests:?}: {sent:?}");
        ensure!(calls.calls()? == all, "{guests:?}: {} calls for {all} kicks", calls.calls()?);
        reconcile(&testbed, &sent, guests.frame)?;
        drop(calls);
        testbed.close()?;
    }
    Ok(())
}

/// The worker has finished when the load first checks. If the scheduler had not switched to it at
/// the kick, the load would have to yield.
fn preempted_at_each_kick() -> Result<()> {
    const KICKS: u64 = 2_000;
    let run = Run::start()?;
    crate::load_modules()?;
    // Guest and worker on one CPU.
    let testbed = Testbed::of_guests(&run, &guests(1), &Placement::of(vec![0], vec![1]))?;
    let yields = Yields::count()?;
    closed_loop(&testbed, KICKS)?.stop()?;
    let yields = yields.end()?;
    testbed.close()?;
    println!("yielded {yields} times in {KICKS} kicks");
    ensure!(yields < KICKS / 50, "yielded {yields} times in {KICKS} kicks");
    Ok(())
}

/// Counts calls of sched_yield(2), with an ftrace instance.
struct Yields(PathBuf);

impl Yields {
    fn count() -> Result<Self> {
        let instance = Self("/sys/kernel/tracing/instances/load_test".into());
        fs::create_dir(&instance.0)?;
        fs::write(instance.0.join("events/syscalls/sys_enter_sched_yield/enable"), "1")?;
        Ok(instance)
    }

    fn end(self) -> Result<u64> {
        let mut all = 0;
        for cpu in fs::read_dir(self.0.join("per_cpu"))? {
            let stats = fs::read_to_string(cpu?.path().join("stats"))?;
            let of = |name: &str| stats.lines().find_map(|line| line.strip_prefix(name));
            for count in [of("entries:"), of("overrun:")] {
                all += count.context("no count")?.trim().parse::<u64>()?;
            }
        }
        Ok(all)
    }
}

impl Drop for Yields {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Every frame has arrived, or was refused because the sink's CPU did not get to run; none came
/// from elsewhere.
fn reconcile(testbed: &Testbed, sent: &Sent, frame: usize) -> Result<()> {
    let (received, refused) = (testbed.sink().read()?, testbed.sink().refused()?);
    let accounts = format!("{sent:?}, {received:?}, {refused} refused");
    ensure!(received.frames > 0 && received.frames + refused == sent.frames, "{accounts}");
    ensure!(received.bytes.0 == received.frames * frame as u64, "{accounts}");
    ensure!(sent.bytes.0 == sent.frames * frame as u64, "{accounts}");
    Ok(())
}

fn one_call_by_itself() -> Result<()> {
    let run = Run::start()?;
    build(&run, &guests(1))?.close()?;
    let calls = HandleTx::attach()?;
    let testbed = build(&run, &guests(2))?;
    ensure!(calls.calls()? == 2, "{} calls for 2 backends", calls.calls()?);
    // A testbed serves several loads, and a load that is stopped early also has made as many calls
    // as kicks.
    let mut kicks = 2;
    for offered in [Offered::ClosedLoop { kicks: 100 }, Offered::ClosedLoop { kicks: u64::MAX }] {
        let mut load = testbed.start(offered)?;
        while load.sent()?.kicks < Some(150) {
            load.check()?;
            thread::sleep(Duration::from_millis(1));
        }
        kicks += load.stop()?.sent.kicks.context("not counted")?;
    }
    ensure!(calls.calls()? == kicks, "{} calls for {kicks}", calls.calls()?);
    drop(calls);
    Ok(testbed.close()?)
}

fn all_frames() -> Result<()> {
    let run = Run::start()?;
    let rate = "5kpps".parse().map_err(anyhow::Error::msg)?;
    for guests in [guests(1), guests(4), Guests { event_idx: false, ..guests(1) }] {
        let batch = guests.batch;
        for offered in [Offered::Paced { rate, batch, per_kick: 1 }, Offered::Saturated { batch }] {
            let testbed = build(&run, &guests)?;
            let began = Instant::now();
            let mut load = testbed.start(offered)?;
            while load.sent_by_guest()?.iter().any(|sent| sent.frames < 3000) {
                load.check()?;
                ensure!(began.elapsed() < NO_HANG, "{offered:?} hangs at {:?}", load.sent()?);
                thread::sleep(Duration::from_millis(10));
            }
            let sent = load.stop()?.sent;
            reconcile(&testbed, &sent, guests.frame)?;
            if let Offered::Paced { rate, .. } = offered {
                let most = began.elapsed().as_secs_f64() * rate.per_second() + 1.0;
                let most = most * guests.count as f64;
                ensure!(sent.frames as f64 <= most, "{sent:?}: more than {most} were due");
            }
            testbed.close()?;
        }
    }
    Ok(())
}

fn receiving() -> Result<()> {
    const LENGTHS: [usize; 5] = [60, 1514, 2036, 2037, 9014];
    const ROUNDS: usize = 300;
    let run = Run::start()?;
    for event_idx in [true, false] {
        let testbed = build(&run, &Guests { frame: 9014, event_idx, ring: 64, ..guests(1) })?;
        let mut load = testbed.start(Offered::ClosedLoop { kicks: 0 })?;
        // A second way into the bridge: a TAP that we write to ourselves.
        let dut = dut(&testbed);
        let way_in = dut.run(|| Tap::create(&run.interface("in"), 12))??;
        let bridge = NetDevices::of(dut)?.number(&run.interface("br"), "ifindex")?;
        let mut links = dut.run(Netlink::open)??;
        links.join(way_in.name(), 9000, bridge)?;
        links.up(way_in.name())?;
        let mut expected = 0;
        for length in LENGTHS.repeat(ROUNDS) {
            let mut frame = vec![0; 12 + length];
            frame[12..18].copy_from_slice(&addresses::guest_mac(0).0);
            frame[18..24].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
            frame[24..26].copy_from_slice(&[0x88, 0xb5]);
            ensure!(way_in.file().write(&frame)? == frame.len());
            expected += length as u64;
            // After the port's start, which may drop the first ones, never more than the TAP's
            // queue holds.
            await_received(&mut *load, expected)?;
        }
        let received = load.received_by_guest()?[0];
        ensure!(received.frames == (LENGTHS.len() * ROUNDS) as u64, "{received:?}");
        ensure!(received.bytes.0 == expected, "{received:?}, sent {expected}");
        ensure!(load.stop()?.sent.frames == 0);
        drop(way_in);
        testbed.close()?;
    }
    Ok(())
}

fn await_received(load: &mut dyn Load, bytes: u64) -> Result<()> {
    let began = Instant::now();
    while load.received_by_guest()?[0].bytes.0 < bytes {
        load.check()?;
        ensure!(began.elapsed() < NO_HANG, "{:?} of {bytes}", load.received_by_guest()?);
        thread::yield_now();
    }
    Ok(())
}

fn one_at_a_time() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, &guests(2))?;
    let mut first = testbed.start(Offered::Saturated { batch: 1 })?;
    let refused =
        testbed.start(Offered::Saturated { batch: 1 }).err().context("two loads at once")?;
    ensure!(refused.to_string().contains("already"), "{refused}");
    first.check()?;
    first.stop()?;
    testbed.start(Offered::Saturated { batch: 1 })?.stop()?;
    let running = testbed.start(Offered::Saturated { batch: 1 })?;
    let closed = testbed.close();
    ensure!(closed.is_err(), "closed under a running load");
    running.stop()?;
    Ok(())
}

fn refusals() -> Result<()> {
    let run = Run::start()?;
    build(&run, &guests(1))?.close()?;
    let usual = guests(1);
    let nowhere = Placement::of(vec![700], vec![0]);
    let nothing = Placement::of(vec![], vec![0]);
    let here = placement()?;
    let cases = [
        (Guests { count: 0, ..usual.clone() }, &here, "guests.count"),
        (Guests { count: 101, ..usual.clone() }, &here, "guests.count"),
        (Guests { frame: 59, ..usual.clone() }, &here, "guests.frame"),
        (Guests { frame: 65_536, ..usual.clone() }, &here, "guests.frame"),
        (Guests { ring: 100, ..usual.clone() }, &here, "ring"),
        (usual.clone(), &nowhere, "700"),
        (usual, &nothing, "placement"),
    ];
    for (guests, placement, named) in cases {
        match Testbed::of_guests(&run, &guests, placement) {
            Ok(_) => bail!("{guests:?} on {placement:?} was built"),
            Err(refused) => ensure!(refused.to_string().contains(named), "{refused}"),
        }
    }
    Ok(())
}

fn cpu_times() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, &guests(2))?;
    let workers = testbed.worker_threads();
    let [first, second] = workers[..] else { bail!("{workers:?}") };
    ensure!(first != second, "both guests have worker {first}");
    let mut worker = ThreadTime::of(first)?;
    let mut system = SystemTime::open()?;
    let (cpu, all) = (worker.read()?, system.read()?);
    let load = closed_loop(&testbed, 500)?;
    let mut guest = ThreadTime::of(load.threads()[0])?;
    ensure!(guest.read()?.run > Nanos(0), "a guest that is through has no CPU time");
    let spent = worker.read()?.since(cpu).run;
    let busy: u64 =
        system.read()?.iter().zip(&all).map(|((_, new), (_, old))| new.since(*old).run.0).sum();
    ensure!(spent > Nanos(0) && busy > spent.0, "worker {spent}, system {busy} ns");
    load.stop()?;
    Ok(testbed.close()?)
}

fn dropped_testbed() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, &guests(2))?;
    let mut load = testbed.start(Offered::Saturated { batch: 8 })?;
    drop(testbed);
    // The guests still have their devices and TAPs, which are in a network without a bridge.
    load.check()?;
    drop(load);
    let held = descriptors_of(std::process::id())?;
    ensure!(held.is_empty(), "namespaces held by {held:?}");
    Ok(())
}

/// Set for the process that [`killed_testbed`] kills.
const VICTIM: &str = "TRACETOLL_TEST_VICTIM";

/// The victim's main function: a testbed under load. Does nothing in any other process.
///
/// # Errors
/// The testbed cannot be built.
pub(crate) fn live_if_victim() -> Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let run = Run::start()?;
    let testbed = build(&run, &guests(2))?;
    let _load = testbed.start(Offered::Saturated { batch: 8 })?;
    println!("ready");
    loop {
        thread::park();
    }
}

fn killed_testbed() -> Result<()> {
    victim::watch(VICTIM, watch_its_end)
}

/// An unnamed namespace is not visible from outside once its holder is dead. So put a cable into
/// each: the end of the namespace cuts it.
fn watch_its_end(victim: &mut Child) -> Result<()> {
    let namespaces = descriptors_of(victim.id())?;
    ensure!(namespaces.len() == 2, "{namespaces:?}");
    let mut cables = Vec::new();
    for (number, namespace) in namespaces.iter().enumerate() {
        let cable = format!("canary{number}");
        let peer = ["type", "veth", "peer", "name", "canary", "netns"];
        let added =
            Command::new("ip").args(["link", "add", &cable]).args(peer).arg(namespace).status()?;
        ensure!(added.success(), "ip link add {cable}: {added}");
        cables.push(Path::new("/sys/class/net").join(cable));
    }
    ensure!(cables.iter().all(|cable| cable.exists()), "{cables:?}");
    victim.kill()?;
    victim.wait()?;
    let began = Instant::now();
    while cables.iter().any(|cable| cable.exists()) {
        ensure!(began.elapsed() < NO_HANG, "the victim's namespaces live on: {cables:?}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Descriptors of a process that hold a network namespace.
fn descriptors_of(pid: u32) -> Result<Vec<PathBuf>> {
    let mut held = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let path = entry?.path();
        if fs::read_link(&path).is_ok_and(|to| to.to_string_lossy().starts_with("net:[")) {
            held.push(path);
        }
    }
    Ok(held)
}
