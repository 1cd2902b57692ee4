//! Real programs, each compared with the true number of calls or frames.

use std::{fs, io::Read as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use probe_core::model::{
    loss::Loss,
    scenario::{GuestKind, Guests},
    units::Nanos,
};
use probe_user::{
    kernel::run::Run,
    methods::{AttachContext, Taps},
    workload::{Offered, Placement, Testbed},
};

use super::{available, finish, resolve};
use crate::{
    load::dut,
    triggers::{call_open_tun, call_open_vhost},
};

/// Two functions that are called, and one that is not.
pub(super) fn calls(id: &str) -> Result<()> {
    const CALLS: u64 = 200;
    // An event's name is too short for the whole name of the last one.
    const LONG: &str = "proc_tcp_available_congestion_control";
    const LONG_FILE: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    let by_events = id.starts_with("external-perf-");
    let mut request = "vhost_net:vhost_net_open,tun:tun_chr_open,vhost_net:handle_rx".to_owned();
    if by_events {
        request += &format!(",{LONG}");
    }
    let target = resolve(&request)?;
    let method = available(id, &target)?;
    let run = Run::start()?;
    let mut session = method.attach(&target, &AttachContext::bare(&run))?;
    session.enable()?;
    for call in 0..CALLS {
        call_open_tun()?;
        if call % 4 == 0 {
            call_open_vhost()?;
            // One read, one call.
            ensure!(fs::File::open(LONG_FILE)?.read(&mut [0; 4096])? > 0);
        }
    }
    let seen = finish(session)?;
    let mut expected = [CALLS / 4, CALLS, 0].map(Some).to_vec();
    if by_events {
        expected.push(Some(CALLS / 4));
        // The kernel's own count of hits agrees.
        ensure!((seen.lost, seen.missed) == (Loss::NONE, Loss::NONE), "{id}: {seen:?}");
    }
    ensure!(
        *seen.recorded == expected,
        "{id}: {:?} instead of {expected:?}: {seen:?}",
        seen.recorded
    );
    ensure!(seen.processes_after > Nanos(0), "{id}: it ended for nothing: {seen:?}");
    ensure!(seen.details["cpu_ns_before_enable"].as_u64() > Some(0), "{id}: {seen:?}");
    ensure!(seen.details["written_bytes"].as_u64() > Some(0), "{id}: {seen:?}");
    if method.descriptor().parameters["argv"].to_string().contains("{out}") {
        ensure!(seen.details["out_bytes"].as_u64() > Some(0), "{id}: {seen:?}");
    }
    Ok(())
}

pub(super) fn frames() -> Result<()> {
    const KICKS: u64 = 500;
    let target = resolve("vhost")?;
    let method = available("external-tcpdump", &target)?;
    let run = Run::start()?;
    let kind = GuestKind::Blast;
    let guests = Guests {
        kind,
        count: 1,
        frame: 1514,
        ring: 256,
        batch: 64,
        event_idx: true,
        ..Guests::default()
    };
    let testbed = Testbed::of_guests(&run, &guests, &Placement::of(vec![0], vec![1]))?;
    let taps = Taps { netns: dut(&testbed), names: testbed.taps() };
    let mut session =
        method.attach(&target, &AttachContext { taps: Some(taps), ..AttachContext::bare(&run) })?;
    session.enable()?;
    let mut load = testbed.start(Offered::ClosedLoop { kicks: KICKS })?;
    ensure!(load.wait(Duration::from_secs(120))?, "the closed loop does not get through");
    load.stop()?;
    let seen = finish(session)?;
    testbed.close()?;
    let recorded = seen.recorded.get(target.frames()).copied().context("no count")?;
    let lost = seen.lost.exact().context("its loss is not exact")?;
    ensure!((recorded, lost) == (KICKS, 0), "{recorded} recorded and {lost} lost: {seen:?}");
    Ok(())
}
