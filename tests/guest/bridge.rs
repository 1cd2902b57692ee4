//! Bridge guests: a real iperf3 through the rings of vhost, in both directions.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    scenario::{GuestKind, Guests},
    trial::Sent,
};
use probe_user::{
    kernel::{cpus, run::Run},
    workload::{Offered, Orders, Placement, RequestedCpus, Testbed, fleet::Ended},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("bridge::iperf3_runs_through_the_rings", through),
        crate::test("bridge::guests_take_turns_and_hold_to_a_rate", turns),
        crate::test("bridge::what_tcp_cannot_do_is_refused", refused),
        crate::test("bridge::a_dropped_load_leaves_a_stage_that_works", dropped),
    ]
}

/// Time limit that decides whether it hangs.
const NO_HANG: Duration = Duration::from_secs(120);

fn build(run: &Run, count: usize, offloads: bool) -> Result<Testbed> {
    crate::load_modules()?;
    let online = cpus::online()?;
    let placement = Placement::choose(
        online.len().saturating_sub(1).max(1),
        &RequestedCpus::default(),
        &online,
    )?;
    let guests = Guests { kind: GuestKind::Bridge, count, offloads, ..Guests::default() };
    Ok(Testbed::of_guests(run, &guests, &placement)?)
}

/// Runs a load until every guest has sent `bytes`.
fn send(testbed: &Testbed, orders: impl Into<Orders>, bytes: u64) -> Result<(Vec<Sent>, Ended)> {
    let mut load = testbed.start(orders)?;
    let began = Instant::now();
    while load.sent_by_guest()?.iter().any(|sent| sent.bytes.0 < bytes) {
        load.check()?;
        ensure!(began.elapsed() < NO_HANG, "it hangs at {:?}", load.sent_by_guest());
        thread::sleep(Duration::from_millis(50));
    }
    let (sent, received) = (load.sent_by_guest()?, load.received_by_guest()?);
    println!("{sent:?} and back {received:?} in {:?}", began.elapsed());
    ensure!(
        received.iter().all(|received| received.frames > 0),
        "no acknowledgement: {received:?}"
    );
    Ok((sent, load.stop()?))
}

fn through() -> Result<()> {
    let run = Run::start()?;
    let mut lengths = Vec::new();
    for offloads in [true, false] {
        let testbed = build(&run, 2, offloads)?;
        let (sent, ended) = send(&testbed, Offered::Saturated { batch: 1 }, 20_000_000)?;
        ensure!(ended.rtt.iter().all(|rtt| rtt.iter().all(|&(_, micros)| micros > 0.0)));
        let arrived = testbed.sink().read()?;
        let refused = testbed.sink().refused()?;
        println!("offloads {offloads}: {ended:?}; arrived {arrived:?}, refused {refused}");
        ensure!(arrived.frames + refused == ended.sent.frames, "{arrived:?} of {:?}", ended.sent);
        lengths.push(sent[0].bytes.0 / sent[0].frames);
        testbed.close()?;
    }
    ensure!(lengths[0] > 1514 && lengths[1] <= 1514, "bytes per frame: {lengths:?}");
    Ok(())
}

fn turns() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, 2, true)?;
    let saturated = Offered::Saturated { batch: 1 };
    let mut load = testbed.start(Orders { offered: saturated, senders: 1, hogs: 0 })?;
    let idle = load.sent_by_guest()?[1];
    ensure!(idle.bytes.0 == 0, "guest 1 was to rest: {idle:?}");
    let rate = "1000pps".parse().map_err(anyhow::Error::msg)?;
    for offered in [
        Offered::Paced { rate, batch: 1, per_kick: 1 },
        saturated,
        Offered::Paced { rate, batch: 1, per_kick: 1 },
    ] {
        load.obey(&Orders { offered, senders: 2, hogs: 0 })?;
        let (before, began) = (load.sent_by_guest()?, Instant::now());
        loop {
            load.check()?;
            let now = load.sent_by_guest()?;
            if now.iter().zip(&before).all(|(now, old)| now.bytes.0 > old.bytes.0 + 500_000) {
                break;
            }
            ensure!(began.elapsed() < NO_HANG, "{offered:?} hangs at {now:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }
    // The last client of these runs once the preceding ones have ended.
    let paced = Offered::Paced { rate, batch: 1, per_kick: 1 };
    for (offered, senders) in
        [(saturated, 2), (paced, 2), (saturated, 0), (paced, 1), (saturated, 2)]
    {
        load.obey(&Orders { offered, senders, hogs: 0 })?;
    }
    let (before, began) = (load.sent_by_guest()?, Instant::now());
    // More than can be in transit.
    while load
        .sent_by_guest()?
        .iter()
        .zip(&before)
        .any(|(now, old)| now.bytes.0 < old.bytes.0 + 20_000_000)
    {
        load.check()?;
        ensure!(began.elapsed() < NO_HANG, "it hangs at {:?}", load.sent_by_guest()?);
        thread::sleep(Duration::from_millis(50));
    }
    let ended = load.stop()?;
    ensure!(ended.rtt.iter().all(|rtt| !rtt.is_empty()), "{:?}", ended.rtt);
    ensure!(ended.rtt.iter().all(|rtt| rtt.is_sorted_by_key(|&(at, _)| at)), "{:?}", ended.rtt);
    Ok(testbed.close()?)
}

fn refused() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, 1, true)?;
    let Err(error) = testbed.start(Offered::ClosedLoop { kicks: 1 }) else {
        bail!("a closed loop")
    };
    ensure!(error.to_string().contains("blast"), "{error}");
    let first = testbed.start(Offered::Saturated { batch: 1 })?;
    ensure!(testbed.start(Offered::Saturated { batch: 1 }).is_err(), "two loads at once");
    first.stop()?;
    Ok(testbed.close()?)
}

fn dropped() -> Result<()> {
    let run = Run::start()?;
    let testbed = build(&run, 1, true)?;
    drop(testbed.start(Offered::Saturated { batch: 1 })?);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _load = testbed.start(Offered::Saturated { batch: 1 });
        panic!("on purpose");
    }));
    ensure!(panicked.is_err());
    send(&testbed, Offered::Saturated { batch: 1 }, 1_000_000).context("after both")?;
    Ok(testbed.close()?)
}
