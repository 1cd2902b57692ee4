//! A cheap system call: a thread sets its name to the one that it already has.

use std::hint::black_box;

use criterion::measurement::Measurement as _;
use probe_core::error::{Error, Result};
use probe_user::{
    kernel::{affinity, clock},
    measure::hook::Hits,
    methods::AttachContext,
};

use crate::{
    Host,
    meter::CpuTime,
    skip,
    trigger::{self, Group, Place, Trigger},
};

/// `prctl(PR_SET_NAME)` calls the function, which hits the tracepoint (fs/exec.c). Starting a
/// program anywhere on the host does the same.
const TARGET: &str = "__set_task_comm,tracepoint:task:task_rename";

/// Returns the number of failed methods.
pub(crate) fn bench(host: &Host) -> Result<usize> {
    affinity::pin(None, &host.placement.load)?;
    let meter = CpuTime::own(host.platform);
    let mut criterion = host.criterion(meter.clone());
    let trigger = Trigger { name: host.named("system call"), meter, fire: &rename };
    let mut group = trigger.group(&mut criterion);
    baselines(&trigger.meter, &mut group);
    let target = trigger::target(TARGET);
    let failed = match (&host.run, &target) {
        (Some(run), Ok(target)) => {
            let context = AttachContext { cpus: &host.placement.load, ..AttachContext::bare(run) };
            let place = Place { target, context, hits: Hits::AtLeast };
            trigger.under(&host.methods, &place, &mut group)
        }
        (run, target) => {
            if let (Some(_), Err(why)) = (run, target) {
                skip(format_args!("all methods, {}", trigger.name), why);
            }
            trigger.bare(&mut group);
            0
        }
    };
    group.finish();
    Ok(failed)
}

fn rename(calls: u64) -> Result<()> {
    for _ in 0..calls {
        rustix::thread::set_name(c"tracetoll-bench")
            .map_err(|e| Error::call("prctl(PR_SET_NAME)", "this thread", e.into()))?;
    }
    Ok(())
}

/// The part of every figure that comes from this trigger, and the cost of a timestamp in user
/// space. (In the kernel that is the difference between `bpf-fentry-timestamp` and
/// `bpf-fentry-empty`.)
fn baselines(meter: &CpuTime, group: &mut Group<'_>) {
    let mut one = |name: &str, step: fn()| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|steps| {
                let before = meter.start();
                for _ in 0..steps {
                    step();
                }
                meter.end(before)
            });
        });
    };
    one("empty loop", || {
        black_box(());
    });
    one("clock read", || {
        black_box(clock::now());
    });
}
