//! A slow kick: the next one only after the vhost worker has served the previous one.

use std::{sync::Arc, time::Duration};

use probe_core::error::{Error, Result};
use probe_user::{
    kernel::{affinity, run::Run},
    measure::hook::Hits,
    methods::{AttachContext, Taps},
    workload::{self, Offered, Testbed, scenarios},
};

use crate::{
    Host,
    meter::CpuTime,
    skip,
    trigger::{self, Place, Trigger},
};

/// Each kick is one call of the function, and one frame, which hits the tracepoint.
const TARGET: &str = "handle_tx,tracepoint:net:net_dev_xmit";

/// Returns the number of failed methods.
pub(crate) fn bench(host: &Host) -> Result<usize> {
    let Some(run) = &host.run else { return Ok(0) };
    match workload::detect() {
        Ok(()) => under_load(host, run),
        Err(why) => {
            skip(host.named("kick"), why);
            Ok(0)
        }
    }
}

fn under_load(host: &Host, run: &Run) -> Result<usize> {
    let scenario = scenarios::load("hooks")?;
    affinity::pin(None, &host.placement.sink)?;
    let testbed = Testbed::build(run, &scenario, &host.placement, &Arc::default())?;
    let failed = on_testbed(host, run, &testbed);
    testbed.close()?;
    failed
}

fn on_testbed(host: &Host, run: &Run, testbed: &Testbed) -> Result<usize> {
    let meter = CpuTime::of(testbed.worker_threads()[0], host.platform)?;
    let mut criterion = host.criterion(meter.clone());
    let kick = |kicks| kick(testbed, kicks);
    let trigger = Trigger { name: host.named("kick"), meter, fire: &kick };
    let target = match trigger::target(TARGET) {
        Ok(target) => target,
        Err(why) => {
            skip(format_args!("all methods, {}", trigger.name), why);
            return Ok(0);
        }
    };
    let taps = testbed.dut().map(|netns| Taps { netns, names: testbed.taps() });
    let workers = testbed.worker_threads();
    let cpus = &host.placement.load;
    let context = AttachContext { run, taps, workers: &workers, cpus, interrupted: None };
    let place = Place { target: &target, context, hits: Hits::Exactly };
    let mut group = trigger.group(&mut criterion);
    let failed = trigger.under(&host.methods, &place, &mut group);
    group.finish();
    Ok(failed)
}

/// Makes this number of kicks with one frame each.
fn kick(testbed: &Testbed, kicks: u64) -> Result<()> {
    let mut load = testbed.start(Offered::ClosedLoop { kicks })?;
    while !load.wait(Duration::from_secs(1))? {}
    let sent = load.stop()?.sent;
    match sent.kicks {
        Some(sent) if sent == kicks => Ok(()),
        other => Err(Error::Inconsistent(format!("{kicks} kicks asked for, {other:?} sent"))),
    }
}
