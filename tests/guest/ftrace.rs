//! The function tracer on real pages: exact in what it recorded and lost; targets and their
//! holders.

use std::{
    fs::{self, File},
    io::Write as _,
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    loss::Loss,
    observation::Observation,
    scenario::{GuestKind, Guests},
    target::{Function, Target},
};
use probe_user::{
    kernel::{
        bpf::{
            chosen::Programs,
            counter::Counter,
            loader::{Loader, Spot},
        },
        clock, holders,
        kallsyms::Kallsyms,
        owner::Judge,
        run::Run,
        swept::Swept,
        tag::Tag,
        targets,
        tracefs::Tracefs,
        traces,
    },
    methods::{AttachContext, Detection, Observer, registry},
    workload::{Offered, Placement, Testbed},
};

use crate::sink::Events;
use crate::triggers::{call_open_tun, call_open_vhost, call_set_name};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("ftrace::records_each_call_of_module_and_kernel_functions", each_call),
        crate::test("ftrace::records_one_call_per_closed_loop_kick", closed_loop),
        crate::test("ftrace::an_overflowing_buffer_loses_an_exact_number", overflow),
        crate::test("ftrace::a_slow_reader_loses_an_exact_number", slow_reader),
        crate::test("ftrace::a_failed_attach_leaves_nothing", failed_attach),
        crate::test("ftrace::a_dropped_session_leaves_nothing", dropped_session),
        crate::test("ftrace::a_held_target_is_told", held_target),
        crate::test("ftrace::a_sweep_takes_only_what_dead_runs_left", sweep),
        crate::test("ftrace::the_preset_needs_its_module", preset),
    ]
}

const TARGET: &str = "vhost_net_open,tun_chr_open,comm_write";

fn call_show_name() -> Result<()> {
    fs::read("/proc/self/comm").map(drop).context("/proc/self/comm")
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

fn resolve(request: &str) -> Result<Target> {
    crate::load_modules()?;
    Ok(targets::resolve(request, &Kallsyms::load()?)?)
}

fn session(run: &Run, target: &Target, buffer_kib: u32) -> Result<Observer> {
    let tracer = registry::find(&format!("ftrace-function:buffer_kib_per_cpu={buffer_kib}"))?;
    Ok(tracer.attach(target, &AttachContext::bare(run))?)
}

fn each_call() -> Result<()> {
    const THREADS: u64 = 4;
    const CALLS: u64 = 100;
    let target = resolve(TARGET)?;
    let run = Run::start()?;
    let mut session = session(&run, &target, 1408)?;
    // Attached but not enabled: not recorded.
    call_open_tun()?;
    let mut events = Events::default();
    session.drain(&mut events)?;
    let begin = clock::now();
    session.enable()?;
    let threads: Vec<_> = (0..THREADS).map(|_| thread::spawn(|| calls(CALLS))).collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        session.drain(&mut events)?;
        thread::yield_now();
    }
    threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))?;
    session.disable()?;
    let end = clock::now();
    call_open_tun()?;
    session.drain(&mut events)?;
    let observation = session.detach()?;
    let calls = THREADS * CALLS;
    let expected = [calls, calls, calls / 5];
    ensure!(*observation.recorded == expected.map(Some), "recorded {:?}", observation.recorded);
    ensure!(observation.lost == Loss::NONE, "lost {:?}", observation.lost);
    for (function, expected) in expected.into_iter().enumerate() {
        let seen = events.0.iter().filter(|event| event.0.0 == function).count() as u64;
        ensure!(seen == expected, "function {function}: {seen} events for {expected} calls");
    }
    let outside = events.0.iter().filter(|(_, at)| !(begin..=end).contains(at)).count();
    ensure!(outside == 0, "{outside} time stamps outside of {begin} to {end}");
    Ok(())
}

fn calls(count: u64) -> Result<()> {
    for call in 0..count {
        call_open_vhost()?;
        call_open_tun()?;
        if call % 5 == 0 {
            call_set_name()?;
        }
    }
    Ok(())
}

/// Enabled before the load is built, so that the call made by setting the backend is recorded too.
fn closed_loop() -> Result<()> {
    const KICKS: u64 = 10_000;
    let target = resolve("vhost")?;
    let run = Run::start()?;
    let mut session = session(&run, &target, 1408)?;
    session.enable()?;
    let kind = GuestKind::Blast;
    let guests = Guests {
        kind,
        count: 1,
        frame: 1514,
        ring: 256,
        batch: 1,
        event_idx: true,
        ..Guests::default()
    };
    let testbed = Testbed::of_guests(&run, &guests, &Placement::of(vec![0], vec![1]))?;
    let mut load = testbed.start(Offered::ClosedLoop { kicks: KICKS })?;
    let mut events = Events::default();
    while !load.wait(Duration::from_millis(100))? {
        session.drain(&mut events)?;
    }
    let sent = load.stop()?.sent;
    testbed.close()?;
    session.disable()?;
    session.drain(&mut events)?;
    let observation = session.detach()?;
    ensure!(sent.kicks == Some(KICKS), "{sent:?}");
    ensure!(observation.recorded[0] == Some(KICKS + 1), "{observation:?}");
    ensure!(observation.lost == Loss::NONE, "{observation:?}");
    Ok(())
}

fn accounted(observation: &Observation) -> Result<(u64, u64)> {
    let recorded = observation.recorded.iter().flatten().sum();
    let lost = observation.lost.exact().context("loss is not exact")?;
    Ok((recorded, lost))
}

fn overflow() -> Result<()> {
    const CALLS: u64 = 2000;
    let target = resolve("comm_write")?;
    let run = Run::start()?;
    let mut session = session(&run, &target, 8)?;
    session.enable()?;
    (0..CALLS).try_for_each(|_| call_set_name())?;
    session.disable()?;
    let mut events = Events::default();
    session.drain(&mut events)?;
    let observation = session.detach()?;
    let (recorded, lost) = accounted(&observation)?;
    ensure!(recorded == events.0.len() as u64, "{recorded} recorded, {} given", events.0.len());
    ensure!(lost > 0 && recorded > 0, "{recorded} recorded, {lost} lost");
    ensure!(recorded + lost == CALLS, "{recorded} recorded + {lost} lost is not {CALLS}");
    let by_pages = observation.details["missed_by_pages"].as_u64().context("no number")?;
    let uncounted = &observation.details["pages_with_uncounted_misses"];
    ensure!(
        by_pages == lost || uncounted != 0,
        "pages say {by_pages} missed (and {uncounted} uncounted), the kernel {lost}"
    );
    Ok(())
}

fn slow_reader() -> Result<()> {
    const ROUNDS: u64 = 40;
    const CALLS: u64 = 700;
    let target = resolve("comm_write,comm_show")?;
    let run = Run::start()?;
    let mut session = session(&run, &target, 8)?;
    let mut events = Events::default();
    session.enable()?;
    for _ in 0..ROUNDS {
        // Both CPUs, so that their buffers have different fill levels.
        let other = thread::spawn(|| (0..CALLS).try_for_each(|_| call_show_name()));
        (0..CALLS).try_for_each(|_| call_set_name())?;
        session.drain(&mut events)?;
        other.join().expect("no panic")?;
    }
    session.disable()?;
    session.drain(&mut events)?;
    let (recorded, lost) = accounted(&session.detach()?)?;
    ensure!(lost > 0 && recorded > 0, "{recorded} recorded, {lost} lost");
    let made = 2 * ROUNDS * CALLS;
    ensure!(recorded + lost == made, "{recorded} recorded + {lost} lost is not {made}");
    Ok(())
}

/// A function that exists and that ftrace does not trace: its own.
const UNTRACEABLE: &str = "ftrace_stub";

fn failed_attach() -> Result<()> {
    let target = resolve(&format!("tun_chr_open,{UNTRACEABLE}"))?;
    let run = Run::start()?;
    let tracer = registry::find("ftrace-function")?;
    match tracer.detect(&target) {
        Detection::Unsupported { why, .. } => ensure!(why.contains(UNTRACEABLE), "{why}"),
        other => bail!("detect says {other:?}"),
    }
    let Err(error) = tracer.attach(&target, &AttachContext::bare(&run)) else {
        bail!("it attached")
    };
    ensure!(error.to_string().contains("set_ftrace_filter"), "{error}");
    match tracer.detect(&resolve(TARGET)?) {
        Detection::Available => Ok(()),
        other => bail!("detect says {other:?}"),
    }
}

fn dropped_session() -> Result<()> {
    let target = resolve("tun_chr_open")?;
    let run = Run::start()?;
    let mut session = session(&run, &target, 64)?;
    session.enable()?;
    call_open_tun()?;
    drop(session);
    Ok(())
}

/// Appends a line to `kprobe_events`: opening it otherwise would remove everybody's events.
fn kprobe_event(tracefs: &Tracefs, line: &str) -> Result<()> {
    let mut file = File::options().append(true).open(tracefs.path("kprobe_events"))?;
    file.write_all(format!("{line}\n").as_bytes()).with_context(|| line.to_owned())
}

fn held_target() -> Result<()> {
    let target = resolve("tun_chr_open,vhost_net_open")?;
    let tracefs = Tracefs::find()?;
    let held = || Ok::<_, anyhow::Error>(holders::holders(&target, &tracefs)?);
    ensure!(held()?.is_empty(), "held before: {:?}", held()?);

    let run = Run::start()?;
    let tracer = session(&run, &resolve("vhost_net_open")?, 64)?;
    let by_tracer = held()?;
    ensure!(by_tracer.len() == 1, "by the function tracer: {by_tracer:?}");
    ensure!(by_tracer[0].function == "vhost_net_open [vhost_net]", "{by_tracer:?}");
    tracer.detach()?;

    let mut loader = Loader::new(&Programs::default(), "held")?;
    let mut counter = Counter::load(&mut loader, Spot::Fentry(&target.functions[0]))?;
    counter.probe.attach()?;
    let by_program = held()?;
    counter.probe.detach()?;
    ensure!(by_program.len() == 1, "by an fentry program: {by_program:?}");
    ensure!(by_program[0].function == "tun_chr_open [tun]", "{by_program:?}");

    kprobe_event(&tracefs, "p:not_ours/held tun:tun_chr_open")?;
    let enable = tracefs.path("events/not_ours/held/enable");
    fs::write(&enable, "1")?;
    let by_kprobe = held();
    fs::write(&enable, "0")?;
    kprobe_event(&tracefs, "-:not_ours/held")?;
    ensure!(!by_kprobe?.is_empty(), "a kprobe is not seen");
    ensure!(held()?.is_empty(), "held after: {:?}", held()?);
    Ok(())
}

fn sweep() -> Result<()> {
    crate::load_modules()?;
    let tracefs = Tracefs::find()?;
    let run = Run::start()?;
    // Its owner is gone: nobody holds it.
    let dead = Tag::draw();
    let instance = |name: &str| tracefs.path(&format!("instances/{name}"));
    let living = run.object("function");
    let left = format!("tracetoll-{dead}-function");
    for name in [living.as_str(), left.as_str(), "not-ours"] {
        fs::create_dir(instance(name))?;
    }
    for group in [&format!("tracetoll_{dead}"), &run.probe_group(), "not_ours"] {
        kprobe_event(&tracefs, &format!("p:{group}/x tun:tun_chr_open"))?;
    }
    // Enabled in the dead run's own instance, as a killed run leaves it.
    fs::write(instance(&left).join(format!("events/tracetoll_{dead}/x/enable")), "1")?;
    fs::write(instance(&left).join("current_tracer"), "function")?;

    let mut swept = Swept::default();
    traces::sweep(&tracefs, &Judge::by_locks(false), &mut swept);
    let swept = swept.outcome();
    let listed = fs::read_to_string(tracefs.path("kprobe_events"))?;
    let kept = [living.as_str(), "not-ours"].map(|name| instance(name).exists());
    let gone = !instance(&left).exists();
    for name in [living.as_str(), "not-ours"] {
        fs::remove_dir(instance(name))?;
    }
    for group in [&run.probe_group(), "not_ours"] {
        kprobe_event(&tracefs, &format!("-:{group}/x"))?;
    }

    let expected = [format!("tracefs instance {left}"), format!("probe event tracetoll_{dead}/x")];
    let swept = swept?;
    ensure!(swept.removed == expected, "removed {:?}", swept.removed);
    let kept_for_life = swept.left.iter().filter(|left| left.why == "its owner lives").count();
    ensure!(kept_for_life == 2, "left {:?}", swept.left);
    ensure!(gone && kept == [true; 2], "gone {gone}, kept {kept:?}");
    ensure!(listed.lines().count() == 2 && listed.contains(":not_ours/x"), "left {listed}");
    Ok(())
}

fn preset() -> Result<()> {
    crate::load_modules()?;
    succeed(Command::new("modprobe").args(["-r", "vhost_net"]))?;
    let unloaded = targets::resolve("vhost", &Kallsyms::load()?);
    crate::load_modules()?;
    let Err(error) = unloaded else { bail!("resolved without the module") };
    ensure!(error.to_string().contains("modprobe vhost_net"), "{error}");

    let symbols = Kallsyms::load()?;
    let target = targets::resolve("vhost", &symbols)?;
    let names: Vec<_> = target.functions.iter().map(Function::listed).collect();
    ensure!(names == ["handle_tx [vhost_net]", "handle_rx [vhost_net]"], "{names:?}");
    targets::check_traceable(&target, &Tracefs::find()?)?;
    let Err(error) = targets::resolve("handel_tx", &symbols) else { bail!("resolved a typo") };
    ensure!(error.to_string().contains("handle_tx [vhost_net]"), "{error}");
    Ok(())
}
