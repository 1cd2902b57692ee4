//! The exact counters against a load that knows its calls, and against each other.

use std::{net::UdpSocket, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::{
    error::Error,
    model::{
        loss::Loss,
        scenario::{GuestKind, Guests},
        target::Target,
        trial::ReferenceCounts,
    },
};
use probe_user::{
    kernel::{kallsyms::Kallsyms, run::Run, targets},
    measure::reference::{self, ReferenceCounter},
    methods::{AttachContext, registry},
    workload::{Offered, Orders, Placement, Testbed},
};

use crate::load::dut;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("reference::fentry_counts_one_call_per_closed_loop_kick", one_call_per_kick),
        crate::test("reference::the_callers_count_what_the_target_counts", callers_and_target),
        crate::test("reference::each_guests_calls_are_its_own", calls_by_guest),
    ]
}

const KICKS: u64 = 10_000;

fn target() -> Result<Target> {
    crate::load_modules()?;
    Ok(targets::resolve("vhost", &Kallsyms::load()?)?)
}

fn testbed(run: &Run) -> probe_core::error::Result<Testbed> {
    let guests = Guests {
        kind: GuestKind::Blast,
        count: 1,
        frame: 1514,
        ring: 256,
        batch: 1,
        event_idx: true,
        ..Guests::default()
    };
    Testbed::of_guests(run, &guests, &Placement::of(vec![0], vec![1]))
}

fn drive(testbed: &Testbed) -> probe_core::error::Result<u64> {
    let mut load = testbed.start(Offered::ClosedLoop { kicks: KICKS })?;
    if !load.wait(Duration::from_secs(300))? {
        return Err(Error::Inconsistent("the load takes too long".into()));
    }
    Ok(load.stop()?.sent.kicks.unwrap_or_default())
}

/// Three guests, one of which rests; the reference counter knows only the workers of the first and
/// the third.
fn calls_by_guest() -> Result<()> {
    let run = Run::start()?;
    let target = target()?;
    let guests = Guests { count: 3, batch: 1, ..Guests::default() };
    let testbed = Testbed::of_guests(&run, &guests, &Placement::of(vec![0], vec![1]))?;
    let workers: Vec<_> =
        testbed.workers().iter().copied().filter(|worker| worker.guest != 1).collect();
    let reference = ReferenceCounter::attach(&run.programs, &target, &workers)?;
    let before = reference.read();
    let offered = Offered::ClosedLoop { kicks: KICKS };
    let mut load = testbed.start(Orders { senders: 2, ..Orders::from(offered) })?;
    // The resting guest never finishes.
    while load.sent_by_guest()?.iter().map(|sent| sent.frames).ne([KICKS, KICKS, 0]) {
        load.check()?;
        thread::sleep(Duration::from_millis(10));
    }
    load.stop()?;
    let after = reference.read();
    let with_reference = reference.finish(&[before, after])?;
    testbed.close()?;
    // A worker that is preempted in the middle of the program prevents others on its CPU from
    // running it; the kernel counts those.
    let missed = with_reference.series.missed.exact().context("what it missed is not known")?;
    ensure!(missed <= KICKS / 1000, "{with_reference:?}");
    let among = |calls: u64, made: u64| calls <= made && calls + missed >= made;
    let ReferenceCounts::Calls(all) = &with_reference.series.functions[0] else {
        bail!("{with_reference:?}")
    };
    ensure!(all.len() == 1 && among(all[0], 2 * KICKS), "{with_reference:?}");
    let calls: Vec<_> = with_reference.guests.iter().map(|guest| guest.get("handle_tx")).collect();
    // The second guest's calls are in the sum, but belong to no guest.
    let [Some(first), None, Some(resting)] = calls[..] else { bail!("{with_reference:?}") };
    ensure!(first.len() == 1 && among(first[0], KICKS) && *resting == [0], "{with_reference:?}");
    Ok(())
}

fn one_call_per_kick() -> Result<()> {
    let run = Run::start()?;
    let target = target()?;
    let testbed = testbed(&run)?;
    let mut session =
        registry::find("bpf-fentry-count")?.attach(&target, &AttachContext::bare(&run))?;
    session.enable()?;
    let kicks = drive(&testbed)?;
    session.disable()?;
    let observation = session.detach()?;
    testbed.close()?;
    ensure!(kicks == KICKS, "{kicks} kicks");
    let handle_tx = target.functions.iter().position(|function| function.name == "handle_tx");
    let calls = handle_tx.and_then(|index| observation.recorded[index]);
    ensure!(calls == Some(KICKS), "{calls:?} calls");
    ensure!(observation.missed == Loss::NONE && observation.lost == Loss::NONE, "{observation:?}");
    Ok(())
}

fn callers_and_target() -> Result<()> {
    let run = Run::start()?;
    let target = target()?;
    let testbed = testbed(&run)?;
    let checks = reference::verify(&run.programs, &target, || {
        dut(&testbed).run(|| broadcast(&run.interface("br")))??;
        drive(&testbed).map(drop)
    })?;
    testbed.close()?;
    let [tx, rx] = &checks[..] else { bail!("{checks:?}") };
    ensure!(tx.function == "handle_tx" && tx.target == KICKS && tx.reference == KICKS, "{tx:?}");
    ensure!(rx.function == "handle_rx" && rx.target > 0 && rx.reference == rx.target, "{rx:?}");
    Ok(())
}

/// Sends frames that the bridge floods to the guest, one by one, so that vhost delivers them.
fn broadcast(bridge: &str) -> probe_core::error::Result<()> {
    let sent = || -> std::io::Result<()> {
        Command::new("ip").args(["address", "add", "192.0.2.1/24", "dev", bridge]).status()?;
        let socket = UdpSocket::bind("192.0.2.1:0")?;
        socket.set_broadcast(true)?;
        for _ in 0..100 {
            socket.send_to(b"hello", "192.0.2.255:9")?;
        }
        Ok(())
    };
    sent().map_err(|e| Error::call("sendto", bridge, e))
}
