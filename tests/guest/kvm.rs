//! Guests that are real VMs, in a machine that emulates the processor's virtualization.
//!
//! They run in a separate machine (`cargo xtask test` starts it for tests whose names begin with
//! `kvm::`), since no other test needs KVM, three CPUs, or so much time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    scenario::{GuestKind, Guests, HogKind, Scenario},
    units::Nanos,
};
use probe_user::{
    kernel::{
        cpus, cputime::ThreadTime, kallsyms::Kallsyms, netdev::NetDevices, run::Run, targets,
    },
    measure::leftovers,
    methods::{AttachContext, Observer, registry},
    sys::tun,
    workload::{Load, Offered, Orders, Placement, RequestedCpus, Testbed, scenarios},
};

use crate::{load::HandleTx, victim};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("kvm::guests_send_and_hog_as_they_are_told", send_and_hog),
        crate::test("kvm::each_pair_of_queues_has_a_worker", queues),
        crate::test("kvm::a_boot_can_be_interrupted", interrupted),
        crate::test("kvm::a_killed_vm_is_an_error_and_leaves_nothing", killed_vm),
        crate::test("kvm::what_is_missing_is_named", missing),
        crate::test("kvm::a_killed_owner_leaves_nothing", killed_owner),
    ]
}

/// Long enough for VMs on a shared emulated processor; it decides whether they hang.
const NO_HANG: Duration = Duration::from_secs(300);

const PROGRAMS: [&str; 2] = ["qemu-system-x86", "iperf3"];

/// Folder of the image, from the harness.
pub(crate) fn image() -> Result<PathBuf> {
    let folder = std::env::var_os("TRACETOLL_IMAGE").context("TRACETOLL_IMAGE is not set")?;
    Ok(folder.into())
}

fn guests(count: usize) -> Result<Guests> {
    let image = Some(image()?);
    Ok(Guests { kind: GuestKind::Kvm, count, image, huge_pages: true, ..Guests::default() })
}

fn build(run: &Run, guests: Guests) -> Result<Testbed> {
    build_unless(run, guests, &Arc::default())
}

fn build_unless(run: &Run, guests: Guests, interrupted: &Arc<AtomicBool>) -> Result<Testbed> {
    crate::load_modules()?;
    let online = cpus::online()?;
    let placement = Placement::choose(
        online.len().saturating_sub(1).max(1),
        &RequestedCpus::default(),
        &online,
    )?;
    let hogs = HogKind { threads: 2, pinned: false };
    let scenario = Scenario { guests, hogs, ..scenarios::load("quick")? };
    Ok(Testbed::build(run, &scenario, &placement, interrupted)?)
}

fn orders(senders: usize, hogs: usize) -> Orders {
    Orders { offered: Offered::Saturated { batch: 1 }, senders, hogs }
}

/// Waits until `done`, and checks the load meanwhile.
fn until(load: &mut dyn Load, what: &str, done: impl Fn(&dyn Load) -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !done(load)? {
        load.check()?;
        ensure!(began.elapsed() < NO_HANG, "{what}: not within {NO_HANG:?}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn send_and_hog() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, guests(2)?)?;
    let numbers: Vec<_> = testbed.workers().iter().map(|worker| worker.guest).collect();
    ensure!(numbers == [0, 1], "workers of guests {numbers:?}");
    let calls = HandleTx::attach()?;
    let mut load = testbed.start(orders(1, 0))?;
    until(&mut *load, "frames of vm1", |load| Ok(load.sent_by_guest()?[0].frames > 2000))?;
    ensure!(calls.calls()? > 0, "no call of handle_tx");
    // The sink's answers come in the other direction.
    ensure!(load.received_by_guest()?[0].frames > 0, "nothing came back to vm1");

    hogs_spin_and_rest(&mut *load)?;
    let ended = load.stop()?;
    ensure!(ended.sent.frames > 2000, "{:?}", ended.sent);
    let [sender, idle] = &ended.rtt[..] else { anyhow::bail!("rtt of {} guests", ended.rtt.len()) };
    ensure!(!sender.is_empty() && idle.is_empty(), "rtt {sender:?}, {idle:?}");
    ensure!(sender.iter().all(|&(_, micros)| micros > 0.0), "rtt {sender:?}");
    ensure!(sender.is_sorted_by_key(|&(at, _)| at), "rtt {sender:?}");

    // Another load on the same VMs, in which both send.
    let before = testbed.bytes_by_guest()?[1];
    let mut load = testbed.start(orders(2, 0))?;
    until(&mut *load, "bytes of vm2", |_| Ok(testbed.bytes_by_guest()?[1] > before + 1_000_000))?;
    // The last client of each runs once its server is done with the preceding ones.
    let rate = "1000pps".parse().map_err(anyhow::Error::msg)?;
    load.obey(&Orders { offered: Offered::Paced { rate, batch: 1, per_kick: 1 }, ..orders(2, 0) })?;
    load.obey(&orders(1, 1))?;
    load.obey(&orders(2, 0))?;
    let before = testbed.bytes_by_guest()?;
    // More than can be in transit.
    until(&mut *load, "bytes of both", |_| {
        let now = testbed.bytes_by_guest()?;
        Ok(now.iter().zip(&before).all(|(now, before)| *now > before + 10_000_000))
    })?;
    let refused = load.obey(&orders(2, 1)).unwrap_err().to_string();
    ensure!(refused.contains("1 hogs beside 2 senders"), "{refused}");
    let ended = load.stop()?;
    ensure!(ended.rtt.iter().all(|rtt| rtt.is_sorted_by_key(|&(at, _)| at)), "{:?}", ended.rtt);
    // One right after the other, and ended as soon as it runs.
    testbed.start(orders(2, 0))?.stop()?;
    drop(calls);
    testbed.close()?;
    victim::gone(&PROGRAMS)
}

/// The second VM's processor is used while two `yes` run in it, but not before and after.
fn hogs_spin_and_rest(load: &mut dyn Load) -> Result<()> {
    // A spinning processor reaches this within seconds; an idle one within minutes at most.
    const SPUN: Nanos = Nanos(2_000_000_000);
    let processor = *load.threads().last().context("no threads")?;
    let name = fs::read_to_string(format!("/proc/{processor}/comm"))?;
    ensure!(name.starts_with("CPU "), "the last thread is {name}");
    let used = || -> Result<Nanos> { Ok(ThreadTime::of(processor)?.read()?.run) };
    load.obey(&orders(1, 1))?;
    let before = used()?;
    until(load, "a hog spins", |_| Ok(used()?.since(before) > SPUN))?;
    load.obey(&orders(1, 0))?;
    // Idle: at least once no tenth of a second within one second.
    until(load, "a hog rests", |_| {
        let before = used()?;
        thread::sleep(Duration::from_secs(1));
        Ok(used()?.since(before) < Nanos(100_000_000))
    })
}

fn queues() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, Guests { vcpus: 2, queues: 2, ..guests(1)? })?;
    let [one, two] = testbed.workers() else { anyhow::bail!("workers {:?}", testbed.workers()) };
    ensure!(one.guest == 0 && two.guest == 0 && one.tid != two.tid, "{one:?}, {two:?}");
    // QEMU detaches all but the first until the guest's driver uses them.
    let devices = NetDevices::of(testbed.dut().context("several namespaces")?)?;
    devices
        .number::<u32>(&testbed.taps()[0], "queues/tx-1/tx_timeout")
        .context("the second queue")?;
    let calls = HandleTx::attach()?;
    let before = exits()?;
    let counted = counters(&run)?;
    let mut load = testbed.start(orders(1, 0))?;
    until(&mut *load, "frames", |load| Ok(load.sent_by_guest()?[0].frames > 2000))?;
    ensure!(calls.calls()? > 0, "no call of handle_tx");
    for mut counter in counted {
        counter.disable()?;
        let seen = counter.detach()?;
        let total = seen.details["total"].as_u64().context("no total")?;
        // The numbers are exits, or follow from one.
        ensure!((1..=exits()? - before).contains(&total), "{seen:?}, from {before}");
    }
    for worker in [one, two] {
        ensure!(ThreadTime::of(worker.tid)?.read()?.run > Nanos(0), "{worker:?} never ran");
    }
    load.stop()?;
    drop(calls);
    testbed.close()?;
    victim::gone(&PROGRAMS)
}

/// Exits of all VMs so far.
fn exits() -> Result<u64> {
    Ok(fs::read_to_string("/sys/kernel/debug/kvm/exits")?.trim_end().parse()?)
}

/// Each counter of KVM, enabled.
fn counters(run: &Run) -> Result<Vec<Observer>> {
    let target = targets::resolve("vhost", &Kallsyms::load()?)?;
    let enabled = |id: &str| -> Result<Observer> {
        let mut counter = registry::find(id)?.attach(&target, &AttachContext::bare(run))?;
        counter.enable()?;
        Ok(counter)
    };
    ["counters-kvm", "counters-kvm:of=halts", "counters-kvm:of=wakeups"]
        .into_iter()
        .map(enabled)
        .collect()
}

fn interrupted() -> Result<()> {
    let run = Run::start()?;
    let error =
        build_unless(&run, guests(2)?, &Arc::new(AtomicBool::new(true))).map(drop).unwrap_err();
    ensure!(error.to_string() == "interrupted", "{error}");
    victim::gone(&PROGRAMS)
}

fn killed_vm() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, guests(2)?)?;
    let mut load = testbed.start(orders(1, 0))?;
    let qemu = load.threads()[0];
    ensure!(Command::new("kill").args(["-9", &qemu.to_string()]).status()?.success(), "kill");
    let began = Instant::now();
    let error = loop {
        if let Err(error) = load.check() {
            break error.to_string();
        }
        ensure!(began.elapsed() < NO_HANG, "nobody misses the VM");
        thread::sleep(Duration::from_millis(50));
    };
    ensure!(error.contains("vm1: QEMU has ended (signal: 9"), "{error}");
    ensure!(load.stop().is_err(), "the load ends as if nothing had been");
    testbed.close()?;
    victim::gone(&PROGRAMS)
}

fn missing() -> Result<()> {
    let run = Run::start()?;
    let says = |guests: Guests, parts: &[&str]| -> Result<()> {
        let error = build(&run, guests).map(drop).unwrap_err().to_string();
        ensure!(parts.iter().all(|part| error.contains(part)), "{error}");
        Ok(())
    };
    let folder = tempfile::tempdir()?;
    let within =
        || Ok::<_, anyhow::Error>(Guests { image: Some(folder.path().into()), ..guests(1)? });
    says(within()?, &["/kernel", "--install"])?;
    says(Guests { image: None, ..guests(1)? }, &["--guest-image"])?;
    let much = Guests { memory_mib: 1 << 20, ..guests(1)? };
    says(much.clone(), &["524288 pages of 2 MiB", "vm.nr_hugepages"])?;
    says(Guests { huge_pages: false, ..much }, &["MiB are available", "memory_mib"])?;

    let kvm = Path::new("/dev/kvm");
    let away = kvm.with_extension("away");
    fs::rename(kvm, &away)?;
    let refused = says(guests(1)?, &["/dev/kvm", "modprobe kvm_amd", "firmware"]);
    fs::rename(&away, kvm)?;
    refused?;

    fs::write(folder.path().join("kernel"), "no kernel")?;
    fs::write(folder.path().join("initramfs"), "")?;
    says(within()?, &["vm1: QEMU has ended", "console"])?;

    fs::copy(image()?.join("kernel"), folder.path().join("kernel"))?;
    // The kernel panics without a first program.
    says(within()?, &["vm1: QEMU has ended", "panic"])?;
    let mut initramfs = fs::read(image()?.join("initramfs"))?;
    initramfs.extend(without_iperf3());
    fs::write(folder.path().join("initramfs"), initramfs)?;
    says(within()?, &["no iperf3", "--install"])?;
    victim::gone(&PROGRAMS)
}

/// An archive (Documentation/driver-api/early-userspace/buffer-format.rst) that, appended to the
/// image's own, makes its iperf3 a file that cannot be executed.
fn without_iperf3() -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, mode) in [("bin/iperf3\0", 0o100_644), ("TRAILER!!!\0", 0)] {
        archive.extend(b"070701");
        let fields = [9999, mode, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len(), 0];
        fields.iter().for_each(|field| archive.extend(format!("{field:08x}").into_bytes()));
        archive.extend(name.as_bytes());
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

/// Set in the process that will be killed.
const VICTIM: &str = "TRACETOLL_TEST_KVM_VICTIM";

/// The victim's main function: a VM under load. Does nothing in any other process.
///
/// # Errors
/// It cannot be built.
pub(crate) fn live_if_victim() -> Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let run = Run::start()?;
    let testbed = build(&run, guests(1)?)?;
    let _load = testbed.start(orders(1, 0))?;
    println!("ready");
    thread::sleep(NO_HANG);
    Ok(())
}

fn killed_owner() -> Result<()> {
    tun::detect()?;
    victim::watch(VICTIM, watch_its_end)
}

fn watch_its_end(victim: &mut Child) -> Result<()> {
    victim.kill()?;
    victim.wait()?;
    // The TAP is in an unnamed namespace, and is removed with the last descriptor, which was
    // QEMU's.
    victim::gone(&PROGRAMS)?;
    let swept = leftovers::sweep(false).outcome()?.removed;
    ensure!(swept.iter().any(|line| line.contains("-vms")), "swept {swept:?}");
    ensure!(leftovers::sweep(false).outcome()?.removed.is_empty(), "a second sweep finds more");
    Ok(())
}
