//! The sampling profiler on a known load: where its samples fall, and what a full ring costs.

use std::{
    fs::File,
    io::Read as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    item::{ItemId, PerItem},
    loss::Loss,
    scenario::{GuestKind, Guests},
    target::Target,
    units::Nanos,
};
use probe_user::{
    kernel::{clock, cpus, kallsyms::Kallsyms, run::Run, targets},
    methods::{AttachContext, Detection, ProfilerSample, Share, Sink, registry},
    workload::{Offered, Placement, Testbed},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("perf::samples_fall_on_the_functions_that_run", samples_fall),
        crate::test("perf::without_chains_a_sample_is_its_instructions", own_samples),
        crate::test("perf::vhost_functions_are_found_in_call_chains", vhost_chains),
        crate::test("perf::a_full_ring_loses_an_exact_number", full_ring),
        crate::test("perf::the_id_names_the_event_that_is_there", the_id),
    ]
}

/// A function that every read uses, and one that nothing calls meanwhile.
fn target() -> Result<Target> {
    Ok(targets::resolve("vfs_read,vfs_rename", &Kallsyms::load()?)?)
}

#[derive(Debug, Default)]
struct Samples(Vec<(Nanos, Vec<ItemId>, Option<ItemId>)>);

impl Sink for Samples {
    fn count(&mut self, _: ItemId, _: u64) {}

    fn event(&mut self, _: ItemId, _: Nanos) {}

    fn sample(&mut self, sample: ProfilerSample<'_>) {
        self.0.push((sample.at, sample.functions.to_vec(), sample.innermost));
    }

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}
}

impl Samples {
    fn with(&self, function: usize) -> u64 {
        self.0.iter().filter(|(_, functions, _)| functions.contains(&ItemId(function))).count()
            as u64
    }
}

/// Reads from /dev/zero, nearly always inside `vfs_read`, until told to stop.
fn reading(stop: &AtomicBool) -> Result<()> {
    let mut zero = File::open("/dev/zero")?;
    let mut buffer = vec![0; 1 << 20];
    while !stop.load(Ordering::Relaxed) {
        zero.read_exact(&mut buffer)?;
    }
    Ok(())
}

/// Runs `body` while another thread reads.
pub(crate) fn while_reading<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| reading(&stop));
        let outcome = body();
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("no panic")?;
        outcome
    })
}

fn samples_fall() -> Result<()> {
    let target = target()?;
    let profiler = registry::find("perf-sample-499-callchain:event=cpu-clock")?;
    ensure!(matches!(profiler.detect(&target), Detection::Available));
    let run = Run::start()?;
    let mut session = profiler.attach(&target, &AttachContext::bare(&run))?;
    let mut samples = Samples::default();
    let begin = clock::now();
    session.enable()?;
    while_reading(|| {
        while samples.with(0) < 100 {
            thread::sleep(Duration::from_millis(20));
            session.drain(&mut samples)?;
        }
        Ok(())
    })?;
    session.disable()?;
    let end = clock::now();
    session.drain(&mut samples)?;
    let observation = session.detach()?;
    let (inclusive, all) = (samples.with(0), samples.0.len() as u64);
    let own = samples.0.iter().filter(|sample| sample.2 == Some(ItemId(0))).count() as u64;
    ensure!(*observation.recorded == [Some(inclusive), Some(samples.with(1))], "{observation:?}");
    ensure!(samples.with(1) == 0, "{} samples in a function that nothing calls", samples.with(1));
    // The reader fills one CPU: a good part of all samples, though hardly any of them in vfs_read's
    // own code.
    ensure!(inclusive * 10 > all && own < inclusive, "{inclusive} of {all}, {own} of its own");
    ensure!(observation.lost == Loss::NONE, "lost {:?}", observation.lost);
    let outside = samples.0.iter().filter(|sample| !(begin..=end).contains(&sample.0)).count();
    ensure!(outside == 0, "{outside} time stamps outside of {begin} to {end}");
    Ok(())
}

/// Without chains, a sample belongs to the function of its instruction, and takes a third of the
/// space.
fn own_samples() -> Result<()> {
    // Below vfs_read, one of these fills the buffer with zeros: which one depends on kernel and
    // CPU.
    let fillers = [
        "read_zero",
        "read_iter_zero",
        "iov_iter_zero",
        "clear_user_erms",
        "clear_user_rep_good",
        "clear_user_original",
        "rep_stos_alternative",
    ];
    let symbols = Kallsyms::load()?;
    let there: Vec<_> = ["vfs_read"].into_iter().chain(fillers).collect();
    let there: Vec<_> =
        there.into_iter().filter(|name| targets::resolve(name, &symbols).is_ok()).collect();
    let target = targets::resolve(&there.join(","), &symbols)?;
    let filled = |samples: &Samples| (1..there.len()).map(|i| samples.with(i)).sum::<u64>();
    let profiler = registry::find("perf-sample-499:event=cpu-clock")?;
    let run = Run::start()?;
    let mut session = profiler.attach(&target, &AttachContext::bare(&run))?;
    let mut samples = Samples::default();
    session.enable()?;
    while_reading(|| {
        while filled(&samples) < 50 {
            thread::sleep(Duration::from_millis(20));
            session.drain(&mut samples)?;
        }
        Ok(())
    })?;
    session.disable()?;
    session.drain(&mut samples)?;
    let observation = session.detach()?;
    let innermost = samples
        .0
        .iter()
        .all(|(_, functions, innermost)| functions.iter().copied().eq(innermost.iter().copied()));
    ensure!(innermost, "a sample without a chain has more than its own function");
    // Nearly all of vfs_read's time is spent in its callees.
    ensure!(samples.with(0) < filled(&samples), "{} of vfs_read itself", samples.with(0));
    let counted: Vec<_> = (0..there.len()).map(|i| Some(samples.with(i))).collect();
    ensure!(*observation.recorded == counted, "{observation:?}, not {counted:?}");
    ensure!(observation.lost == Loss::NONE, "{observation:?}");
    // Header, instruction, thread and time.
    ensure!(observation.bytes_read.0 == 32 * samples.0.len() as u64, "{observation:?}");
    Ok(())
}

/// The purpose of the method: handle_tx has hardly any samples of its own, but many in its callees.
fn vhost_chains() -> Result<()> {
    crate::load_modules()?;
    let target = targets::resolve("vhost", &Kallsyms::load()?)?;
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
    let profiler = registry::find("perf-sample-997-callchain:event=cpu-clock")?;
    let mut session = profiler.attach(&target, &AttachContext::bare(&run))?;
    let mut samples = Samples::default();
    session.enable()?;
    let load = testbed.start(Offered::Saturated { batch: 64 })?;
    while samples.with(0) < 100 {
        thread::sleep(Duration::from_millis(20));
        session.drain(&mut samples)?;
    }
    load.stop()?;
    session.disable()?;
    let observation = session.detach()?;
    testbed.close()?;
    let own = samples.0.iter().filter(|sample| sample.2 == Some(ItemId(0))).count() as u64;
    ensure!(own < samples.with(0) / 2, "{own} of {} samples of its own", samples.with(0));
    ensure!(observation.lost == Loss::NONE, "{observation:?}");
    Ok(())
}

fn full_ring() -> Result<()> {
    let target = target()?;
    let profiler =
        registry::find("perf-sample-997-callchain:event=cpu-clock:buffer_kib_per_cpu=4")?;
    let run = Run::start()?;
    let mut session = profiler.attach(&target, &AttachContext::bare(&run))?;
    session.enable()?;
    // A ring of 4 KiB holds no more than 102 samples, so three seconds overflow it many times.
    while_reading(|| {
        thread::sleep(Duration::from_secs(3));
        Ok(())
    })?;
    session.disable()?;
    let mut samples = Samples::default();
    session.drain(&mut samples)?;
    let observation = session.detach()?;
    let Loss::Exact(lost) = observation.lost else { bail!("lost {:?}", observation.lost) };
    let given = samples.0.len() as u64;
    ensure!(given > 0 && lost > given, "{given} samples, {lost} lost");
    // Each CPU's clock ticks at most 997 times a second, so no more can have been taken than that.
    let cpus = cpus::online()?.len() as u64;
    let ticks = (observation.enabled.as_secs() * 997.0) as u64 * cpus + cpus;
    ensure!(given + lost <= ticks, "{given} + {lost} samples of {ticks} ticks");
    Ok(())
}

fn the_id() -> Result<()> {
    let target = target()?;
    let method = registry::find("perf-sample-999")?;
    let id = &method.descriptor().id.0;
    ensure!(matches!(method.detect(&target), Detection::Available), "{id}");
    // Whether there are cycles decides which one it is; if there are none, requesting them is
    // refused.
    match registry::find("perf-sample-999:event=cycles")?.detect(&target) {
        Detection::Available => ensure!(id == "perf-sample-999:event=cycles", "{id}"),
        Detection::Unsupported { hint, .. } => {
            ensure!(id == "perf-sample-999:event=cpu-clock", "{id}");
            ensure!(hint.contains("cpu-clock"), "{hint}");
        }
        Detection::Inconclusive(error) => bail!("{error}"),
    }
    Ok(())
}
