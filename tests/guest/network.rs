//! The network: each kind of switch, its limits, what the sink reports per guest, and what is left
//! behind.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::scenario::{BitRate, Guests, Network as NetworkPlan, Scenario, Switch};
use probe_user::{
    kernel::{
        cpus,
        netdev::NetDevices,
        netlink::{Interface, Netlink},
        netns::Netns,
        run::Run,
    },
    measure::leftovers,
    sys::tun::Tap,
    workload::{
        Offered, Placement, RequestedCpus, Testbed,
        addresses::{PREFIX, SINK_IP},
        iperf,
        network::{Limits, Network},
        scenarios,
    },
};
use rustix::process::Pid;

use crate::victim;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("network::each_switch_carries_every_frame", every_frame),
        crate::test("network::direct_joins_one_guest_only", one_guest_only),
        crate::test("network::a_link_is_capped_and_every_frame_accounted_for", capped),
        crate::test("network::each_guest_has_its_own_limit", own_limits),
        crate::test("network::the_sink_tells_what_it_received_of_each_guest", per_guest),
        crate::test("network::a_tap_has_as_many_queues_as_it_was_asked_for", queues),
        crate::test("network::a_missing_datapath_is_told_with_a_hint", no_datapath),
        crate::test("network::a_killed_owner_leaves_nothing", killed),
    ]
}

/// Long enough for the slowest emulated machine; it decides whether it hangs.
const NO_HANG: Duration = Duration::from_secs(120);

/// Duration of a load whose throughput is compared with another's.
const SPELL: Duration = Duration::from_secs(2);

/// How far limits are below the throughput without them, so that they are effective even if this
/// machine has little time for us.
const BELOW: f64 = 20.0;

const FRAME: usize = 1514;

/// Greatest size of a test's control connection, and of the greeting of its data connection.
const CONTROL: u64 = 4000;

fn plan(switch: Switch) -> NetworkPlan {
    NetworkPlan { switch, ..NetworkPlan::default() }
}

fn placement() -> Result<Placement> {
    let online = cpus::online()?;
    Ok(Placement::choose(
        online.len().saturating_sub(1).max(1),
        &RequestedCpus::default(),
        &online,
    )?)
}

fn guests(count: usize) -> Guests {
    Guests { count, frame: FRAME, ..Guests::default() }
}

fn build(run: &Run, count: usize, network: NetworkPlan) -> Result<Testbed> {
    crate::load_modules()?;
    let scenario = Scenario { guests: guests(count), network, ..scenarios::load("quick")? };
    Ok(Testbed::build(run, &scenario, &placement()?, &Arc::default())?)
}

fn every_frame() -> Result<()> {
    let run = Run::start()?;
    for (switch, count) in [(Switch::Bridge, 3), (Switch::Ovs, 3), (Switch::Direct, 1)] {
        let testbed = build(&run, count, plan(switch))?;
        let (nothing, refused) = (testbed.sink().read()?, testbed.sink().refused()?);
        ensure!((nothing.frames, nothing.bytes.0, refused) == (0, 0, 0), "{switch:?}: {nothing:?}");
        let mut sent = 0;
        for offered in [Offered::ClosedLoop { kicks: 300 }, Offered::Saturated { batch: 64 }] {
            let mut load = testbed.start(offered)?;
            let began = Instant::now();
            while load.sent()?.frames < 300 * count as u64 {
                load.check()?;
                ensure!(began.elapsed() < NO_HANG, "{switch:?} hangs at {:?}", load.sent());
                thread::sleep(Duration::from_millis(10));
            }
            sent += load.stop()?.sent.frames;
            reconcile(&testbed, sent).with_context(|| format!("{switch:?}, {offered:?}"))?;
        }
        let by_guest = testbed.bytes_by_guest()?;
        ensure!(by_guest.iter().sum::<u64>() == sent * FRAME as u64, "{switch:?}: {by_guest:?}");
        testbed.close()?;
        victim::gone(&["ovs-vswitchd", "ovsdb-server"])?;
    }
    Ok(())
}

/// Every frame arrives, or is counted as refused, and none comes from elsewhere.
fn reconcile(testbed: &Testbed, sent: u64) -> Result<()> {
    let began = Instant::now();
    loop {
        let (received, refused) = (testbed.sink().read()?, testbed.sink().refused()?);
        let all = received.frames + refused;
        ensure!(all <= sent, "{sent} frames sent, {received:?}, {refused} refused");
        if all == sent {
            ensure!(received.bytes.0 == received.frames * FRAME as u64, "{received:?}");
            return Ok(());
        }
        // Frames in a limit's queue are in transit.
        let late = began.elapsed() > NO_HANG;
        ensure!(!late, "{sent} frames sent, but {received:?}, {refused} refused");
        thread::sleep(Duration::from_millis(10));
    }
}

fn one_guest_only() -> Result<()> {
    let run = Run::start()?;
    let Err(refused) = build(&run, 2, plan(Switch::Direct)) else { bail!("two guests, direct") };
    ensure!(refused.to_string().contains("Use one guest"), "{refused}");
    Ok(())
}

/// Received bits per second of a load that sends as fast as it can.
fn saturated(testbed: &Testbed) -> Result<f64> {
    let mut load = testbed.start(Offered::Saturated { batch: 64 })?;
    thread::sleep(SPELL / 4);
    let (before, began) = (testbed.sink().read()?, Instant::now());
    thread::sleep(SPELL);
    let (after, spent) = (testbed.sink().read()?, began.elapsed());
    load.check()?;
    load.stop()?;
    Ok((after.bytes.0 - before.bytes.0) as f64 * 8.0 / spent.as_secs_f64())
}

fn limits(link: Option<f64>, guest: Option<f64>) -> Limits {
    Limits { link: link.and_then(BitRate::new), guest: guest.and_then(BitRate::new) }
}

fn capped() -> Result<()> {
    let run = Run::start()?;
    for switch in [Switch::Bridge, Switch::Ovs, Switch::Direct] {
        let mut testbed = build(&run, 1, plan(switch))?;
        let free = saturated(&testbed)?;
        let link = free / BELOW;
        testbed.limit(limits(Some(link), None))?;
        let (before, refused) = (testbed.sink().read()?, testbed.sink().refused()?);
        let load = testbed.start(Offered::Saturated { batch: 64 })?;
        thread::sleep(SPELL);
        let sent = load.stop()?.sent.frames;
        let began = Instant::now();
        let account = loop {
            let received = testbed.sink().read()?.frames - before.frames;
            let dropped = testbed.sink().refused()? - refused;
            if received + dropped == sent || began.elapsed() > NO_HANG {
                break (received, dropped, sent);
            }
            thread::sleep(Duration::from_millis(10));
        };
        ensure!(account.0 + account.1 == sent && account.1 > 0, "{switch:?}: {account:?}");
        let held = saturated(&testbed)?;
        eprintln!("{switch:?}: {free:.0} bit/s when saturated, {held:.0} through {link:.0}");
        ensure!(held < link * 1.15, "{switch:?}: {held} bit/s through a link of {link}");
        ensure!(held > link * 0.5, "{switch:?}: only {held} bit/s through a link of {link}");
        testbed.limit(Limits::default())?;
        let again = saturated(&testbed)?;
        ensure!(again > 2.0 * link, "{switch:?}: {again} bit/s without the limit of {link}");
        testbed.close()?;
    }
    Ok(())
}

fn own_limits() -> Result<()> {
    let run = Run::start()?;
    let mut testbed = build(&run, 2, plan(Switch::Bridge))?;
    let guest = saturated(&testbed)? / BELOW;
    testbed.limit(limits(None, Some(guest)))?;
    let both = saturated(&testbed)?;
    eprintln!("{both:.0} bit/s of two guests with {guest:.0} each");
    // Less if both were in one class; far more if neither was in any.
    ensure!((1.2 * guest..2.3 * guest).contains(&both), "{both} bit/s for two limits of {guest}");
    // The link is slower than both limits together.
    testbed.limit(limits(Some(guest), Some(guest)))?;
    let both = saturated(&testbed)?;
    ensure!(both < 1.15 * guest, "{both} bit/s through a link of {guest}");
    Ok(testbed.close()?)
}

fn queues() -> Result<()> {
    crate::load_modules()?;
    let netns = Netns::new()?;
    let tap = netns.run(|| Tap::with_queues("tap0", 12, 2))??;
    ensure!(tap.files().len() == 2, "{tap:?}");
    let devices = NetDevices::of(&netns)?;
    devices.number::<u32>("tap0", "queues/tx-1/tx_timeout").context("the second queue")?;
    devices.open("tap0", "queues/tx-2/tx_timeout").map(drop).unwrap_err();
    // If no queue was detached, none has to be attached.
    tap.attach()?;
    for queues in [1, 2] {
        let taken = netns.run(|| Tap::with_queues("tap0", 12, queues))?.map(drop);
        ensure!(taken.is_err(), "{queues} queues on a name that is taken");
    }
    Ok(())
}

fn per_guest() -> Result<()> {
    let run = Run::start()?;
    crate::load_modules()?;
    let placement = placement()?;
    let (mut network, taps) = Network::build(&run, &plan(Switch::Bridge), &guests(2), &placement)?;
    network.serve(&run, &placement.sink)?;
    ensure!(network.bytes_by_guest()? == [0, 0]);
    // The device under test itself acts as the guests, behind the bridge's own interface.
    let (bridge, dut) = (run.interface("br"), network.dut());
    let index = NetDevices::of(dut)?.number(&bridge, "ifindex")?;
    let address = "10.84.9.9".parse()?;
    let mut links = dut.run(Netlink::open)??;
    links.add_address(Interface { name: &bridge, index }, address, PREFIX)?;

    let mut bounds = [(0, 0), (0, 0)];
    for (guest, bytes) in [(0, 3_000_000), (1, 20_000_000), (0, 5_000_000)] {
        let client = iperf::client_to(SINK_IP, iperf::port(guest), Some(bytes));
        let report = iperf::parse(&dut.run(|| output(&client))??)?;
        ensure!(report.sent >= bytes, "{report:?}");
        let (read, sent) = &mut bounds[usize::from(guest)];
        *read += report.received.context("the server's total")?;
        *sent += report.sent + CONTROL;
    }
    let seen = network.bytes_by_guest()?;
    for (seen, (read, sent)) in seen.iter().zip(&bounds) {
        ensure!((read..=sent).contains(&seen), "{seen} bytes, {read} read of {sent}");
    }
    interrupted_client(&network)?;
    let later = network.bytes_by_guest()?;
    ensure!(later[0] == seen[0] && later[1] > seen[1], "{seen:?}, then {later:?}");
    drop(taps);
    network.close()?;
    victim::gone(&["iperf3"])
}

fn output(argv: &[String]) -> Result<String> {
    let output = Command::new(&argv[0]).args(&argv[1..]).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

/// A client that a signal ends writes a complete report, apart from what the server says.
fn interrupted_client(network: &Network) -> Result<()> {
    let argv = iperf::client(1, None);
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).stdout(Stdio::piped());
    let client = network.dut().run(|| command.spawn())??;
    let (before, began) = (network.bytes_by_guest()?[1] + CONTROL, Instant::now());
    while network.bytes_by_guest()?[1] <= before {
        ensure!(began.elapsed() < NO_HANG, "the client does not send");
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(SPELL);
    iperf::interrupt(Pid::from_child(&client), NO_HANG)?;
    let report = iperf::parse(&String::from_utf8(client.wait_with_output()?.stdout)?)?;
    ensure!(report.received.is_none() && !report.intervals.is_empty(), "{report:?}");
    ensure!(report.intervals.iter().all(|i| i.rtt.is_some_and(|rtt| rtt > 0.0)), "{report:?}");
    Ok(())
}

fn no_datapath() -> Result<()> {
    const MODPROBE: &str = "/proc/sys/kernel/modprobe";
    let run = Run::start()?;
    let loader = fs::read_to_string(MODPROBE)?;
    let removed = Command::new("modprobe").args(["-r", "openvswitch"]).status()?;
    ensure!(removed.success(), "modprobe -r openvswitch: {removed}");
    fs::write(MODPROBE, "/nowhere")?;
    let built = build(&run, 1, plan(Switch::Ovs));
    fs::write(MODPROBE, loader.trim())?;
    let Err(refused) = built else { bail!("Open vSwitch without its module") };
    ensure!(refused.to_string().contains("modprobe openvswitch"), "{refused}");
    victim::gone(&["ovs-vswitchd", "ovsdb-server"])
}

/// Set for the process that [`killed`] kills.
const VICTIM: &str = "TRACETOLL_TEST_NETWORK_VICTIM";

/// The victim's main function: Open vSwitch under load, and servers. Does nothing in any other
/// process.
///
/// # Errors
/// They cannot be built.
pub(crate) fn live_if_victim() -> Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let run = Run::start()?;
    let testbed = build(&run, 2, plan(Switch::Ovs))?;
    let placement = placement()?;
    let (mut network, _taps) = Network::build(&run, &plan(Switch::Bridge), &guests(1), &placement)?;
    network.serve(&run, &placement.sink)?;
    let _load = testbed.start(Offered::Saturated { batch: 8 })?;
    println!("ready");
    loop {
        thread::park();
    }
}

fn killed() -> Result<()> {
    victim::watch(VICTIM, watch_its_end)
}

fn watch_its_end(victim: &mut Child) -> Result<()> {
    const PROGRAMS: [&str; 3] = ["iperf3", "ovs-vswitchd", "ovsdb-server"];
    let alive = victim::running(&PROGRAMS)?;
    ensure!(alive.len() == PROGRAMS.len(), "only {alive:?} run");
    victim.kill()?;
    victim.wait()?;
    victim::gone(&PROGRAMS)?;
    let swept = leftovers::sweep(false).outcome()?.removed;
    let named = |part: &str| swept.iter().any(|line| line.contains(part));
    ensure!(named("-ovs") && named("-iperf3"), "swept {swept:?}");
    ensure!(leftovers::sweep(false).outcome()?.removed.is_empty(), "a second sweep finds more");
    Ok(())
}
