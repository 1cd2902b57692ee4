//! Other programs as methods: the real ones, and shell scripts that do what programs may do.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_user::{
    error::Error,
    kernel::{kallsyms::Kallsyms, run::Run, targets},
    methods::{Detection, Method, Scene, Session, Taps, external, registry},
    model::{
        external::External,
        loss::Loss,
        observation::Observation,
        scenario::{GuestKind, Guests},
        target::Target,
        units::Nanos,
    },
    workload::{Offered, Placement, Stage},
};

use crate::{
    load::machine1,
    sink::Events,
    tool::{Folder, start_and_await_trials, succeed, tiny_run, tracetoll, wait_for},
    triggers::{call_open_tun, call_open_vhost},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("external::bpftrace_counts_each_call", || calls("external-bpftrace-count")),
        crate::test("external::bpftrace_counts_by_kprobe", || {
            calls("external-bpftrace-count:attach=kprobe")
        }),
        crate::test("external::bpftrace_prints_each_call", || {
            calls("external-bpftrace-timestamps")
        }),
        crate::test("external::trace_cmd_records_each_call", || calls("external-trace-cmd-record")),
        crate::test("external::perf_stat_counts_each_call", || calls("external-perf-stat")),
        crate::test("external::perf_record_records_each_call", || calls("external-perf-record")),
        crate::test("external::tcpdump_records_each_frame", frames),
        crate::test("external::a_tree_is_accounted_for_to_its_last_process", tree),
        crate::test("external::processes_take_what_they_say_themselves", processes),
        crate::test("external::groups_of_the_dead_are_swept_wherever_they_are", swept),
        crate::test("external::a_program_that_fails_says_why", failures),
        crate::test("external::an_end_by_itself_is_judged", endings),
        crate::test("external::a_program_runs_where_the_load_does", pinned),
        crate::test("external::an_interrupt_ends_every_wait", interrupted),
        crate::test("external::a_dropped_session_leaves_no_process", dropped),
        crate::test("external::a_campaign_takes_programs_from_anywhere", campaign),
        crate::test("external::nothing_runs_on_after_a_kill", killed),
    ]
}

fn resolve(request: &str) -> Result<Target> {
    crate::load_modules()?;
    Ok(targets::resolve(request, &Kallsyms::load()?)?)
}

fn available(id: &str, target: &Target) -> Result<Box<dyn Method>> {
    let method = registry::find(id)?;
    match method.detect(target) {
        Detection::Available => Ok(method),
        other => bail!("{id}: {other:?}"),
    }
}

fn finish(mut session: Box<dyn Session>) -> Result<Observation> {
    session.disable()?;
    session.drain(&mut Events::default())?;
    Ok(session.detach()?)
}

/// Two functions that are called, and one that is not.
fn calls(id: &str) -> Result<()> {
    const CALLS: u64 = 200;
    // An event's name has no room for the whole of the last one's.
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
    let mut session = method.attach(&target, &Scene::bare(&run))?;
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
        seen.recorded == expected,
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

fn frames() -> Result<()> {
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
    let stage = Stage::of_guests(&run, &guests, &Placement { load: vec![0], sink: vec![1] })?;
    let taps = Taps { netns: machine1(&stage), names: stage.taps() };
    let mut session = method.attach(&target, &Scene { taps: Some(taps), ..Scene::bare(&run) })?;
    session.enable()?;
    let mut load = stage.start(Offered::Lockstep { kicks: KICKS })?;
    ensure!(load.wait(Duration::from_secs(120))?, "lockstep does not get through");
    load.stop()?;
    let seen = finish(session)?;
    stage.close()?;
    let recorded = seen.recorded[target.frames()].context("no count")?;
    let lost = seen.lost.exact().context("its loss is not exact")?;
    ensure!((recorded, lost) == (KICKS, 0), "{recorded} recorded and {lost} lost: {seen:?}");
    Ok(())
}

fn script(text: &str) -> External {
    let argv = ["sh", "-c", text].map(str::to_owned).into();
    External { ready: Some("(?m)^ready$".into()), ..External::new("script", argv) }
}

fn attach(program: External, run: &Run, target: &Target) -> Result<Box<dyn Session>> {
    let methods = external::defined(&[program])?;
    Ok(methods[0].attach(target, &Scene::bare(run))?)
}

/// Processes whose command line holds `mark`, apart from us.
fn living(mark: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(mark) && entry.file_name() != *std::process::id().to_string() {
            found.push(line);
        }
    }
    Ok(found)
}

/// A child that is waited for, a grandchild whose parent ends before it, and one in a session of its own: what each burns
/// and writes belongs to the tree.
fn tree() -> Result<()> {
    const WRITTEN: u64 = 100_000;
    let burn = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let write = format!("head -c {WRITTEN} /dev/zero > /dev/null");
    let text = format!(
        "trap 'sleep 0.2; echo 41 calls; echo 1 calls; exit 3' INT; \
         ({burn}; {write}); sh -c '({burn}; {write}) &'; setsid sh -c '{burn}; {write}' & \
         sleep 1; echo ready; while :; do sleep 0.1; done"
    );
    let program = External {
        count: Some(r"(\d+) calls".into()),
        lost: Some(r"(\d+) lost".into()),
        exit: vec![3],
        ..script(&text)
    };
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let mut session = attach(program, &run, &target)?;
    session.enable()?;
    let seen = finish(session)?;
    ensure!(seen.recorded == [Some(42)], "{seen:?}");
    ensure!((seen.lost, seen.missed) == (Loss::Unknown, Loss::Unknown), "{seen:?}");
    ensure!(seen.details["exit"].to_string().contains('3'), "{seen:?}");
    let written = seen.details["written_bytes"].as_u64().context("no number")?;
    ensure!((3 * WRITTEN..3 * WRITTEN + 1000).contains(&written), "{written} bytes: {seen:?}");
    let before = seen.details["cpu_ns_before_enable"].as_u64().context("no number")?;
    ensure!(before > 0 && seen.processes_after > Nanos(0), "{seen:?}");
    Ok(())
}

/// A child and an orphan tell what they took between enable and disable; so does one that ends before.
fn processes() -> Result<()> {
    let folder = Folder::new()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    // The shell's own time on a CPU, in ns, as it is at its end.
    let burn = |name: &str| {
        let (made, done) = (at(&format!("{name}-made")), at(name));
        format!(
            "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; \
             read -r ns rest < /proc/$$/schedstat; echo $ns > {made}; mv {made} {done}"
        )
    };
    let text = format!(
        "sh -c '{}'; echo ready; while [ ! -e {} ]; do sleep 0.1; done; \
         sh -c '{}'; sh -c 'sh -c \"{}\" &'; while :; do sleep 0.1; done",
        burn("before"),
        at("go"),
        burn("child"),
        burn("orphan").replace('$', "\\$"),
    );
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let mut session = attach(script(&text), &run, &target)?;
    session.enable()?;
    fs::write(at("go"), "")?;
    wait_for(|| Ok(["child", "orphan"].iter().all(|name| Path::new(&at(name)).exists())))?;
    let seen = finish(session)?;
    let told = |name: &str| -> Result<u64> { Ok(fs::read_to_string(at(name))?.trim().parse()?) };
    let burned = told("child")? + told("orphan")?;
    // What the loops that wait take, and starting everything.
    let most = 2 * burned + 1_000_000_000;
    ensure!((burned..=most).contains(&seen.processes.0), "{burned} ns burned: {seen:?}");
    let before = seen.details["cpu_ns_before_enable"].as_u64().context("no number")?;
    ensure!(before >= told("before")?, "{} ns burned before: {seen:?}", told("before")?);
    Ok(())
}

/// A group of a dead run in another group than ours, with a group and a process inside.
fn swept() -> Result<()> {
    const MARK: &str = "54321098";
    let mut dead = Command::new("true").spawn()?;
    dead.wait()?;
    let outer = Path::new("/sys/fs/cgroup").join(format!("outer-{}", std::process::id()));
    let inner = outer.join(format!("tracetoll-{}-external", dead.id())).join("inner");
    fs::create_dir_all(&inner)?;
    let mut sleeper = Command::new("sleep").arg(MARK).spawn()?;
    fs::write(inner.join("cgroup.procs"), sleeper.id().to_string())?;
    let cleaned = tracetoll(["clean"]).and_then(succeed);
    let gone = !inner.exists() && !inner.with_file_name("").exists();
    let _ = sleeper.kill();
    let status = sleeper.wait()?;
    let removed = fs::remove_dir(&outer);
    ensure!(cleaned?.contains(&format!("cgroup tracetoll-{}-external", dead.id())));
    ensure!(gone && !status.success(), "it is still there; its process: {status}");
    Ok(removed?)
}

fn failures() -> Result<()> {
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let short = Duration::from_millis(300);
    let cases = [
        (script("echo 'no such thing' >&2; exit 2"), "no such thing"),
        (External { timeout: short, ..script("echo wait a bit; sleep 1000") }, "wait a bit"),
        (External::new("absent", vec!["no-such-program".into()]), "no-such-program"),
    ];
    for (program, word) in cases {
        let argv = program.argv.clone();
        let Err(error) = attach(program, &run, &target) else { bail!("{argv:?} attached") };
        ensure!(format!("{error:#}").contains(word), "{argv:?}: {error:#}");
    }
    let stubborn = External {
        timeout: short,
        ..script("trap '' INT; echo ready; while :; do sleep 0.1; done")
    };
    // Ready in time, even on a slow machine, or this tests the wrong failure.
    let stubborn = External { settle: short, ready: None, ..stubborn };
    let mut session =
        attach(External { timeout: Duration::from_secs(2), ..stubborn }, &run, &target)?;
    session.enable()?;
    let Err(error) = session.disable() else { bail!("it ended on a signal that it ignores") };
    ensure!(error.to_string().contains("was killed"), "{error}");
    drop(session);
    let mut session =
        attach(External { settle: short, ready: None, ..script("sleep 1") }, &run, &target)?;
    session.enable()?;
    std::thread::sleep(Duration::from_secs(2));
    let Err(error) = session.disable() else { bail!("it had ended before") };
    ensure!(error.to_string().contains("ended by itself"), "{error}");
    Ok(())
}

/// It waits in turns, and overlooks the first signal, as bpftrace does when that comes between two of its waits.
const OVERLOOKS: &str = "my $told = 0; $SIG{INT} = sub { $told++ }; \
    select undef, undef, undef, 0.1 until $told > 1;";

/// How a program ends after the signal tells whether it did its work.
fn endings() -> Result<()> {
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let ends =
        |how: &str| script(&format!("trap '{how}' INT; echo ready; while :; do sleep 0.1; done"));
    let by_signal = script("echo ready; exec sleep 1000");
    let well = [
        ends("exit 0"),
        by_signal,
        External { exit: vec![3, 4], ..ends("exit 4") },
        External::new("overlooks", ["perl", "-e", OVERLOOKS].map(str::to_owned).into()),
    ];
    let badly = [
        ends("echo disk full; exit 1"),
        External { exit: vec![3], ..ends("echo disk full; exit 4") },
        ends("echo disk full; kill -TERM $$"),
    ];
    for program in well {
        let argv = program.argv.clone();
        let mut session = attach(program, &run, &target)?;
        session.enable()?;
        finish(session).with_context(|| format!("{argv:?}"))?;
    }
    for program in badly {
        let argv = program.argv.clone();
        let mut session = attach(program, &run, &target)?;
        session.enable()?;
        let Err(error) = session.disable() else { bail!("{argv:?} is taken for well") };
        ensure!(error.to_string().contains("disk full"), "{argv:?}: {error}");
    }
    Ok(())
}

/// Its report, too.
fn pinned() -> Result<()> {
    const TELL: &str = "grep Cpus_allowed_list /proc/self/status";
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let program = External {
        report: ["sh", "-c", TELL].map(str::to_owned).into(),
        // Matches a list of one CPU; the sum is of two.
        count: Some(r"(?m)^Cpus_allowed_list:\s+(\d+)$".into()),
        linger: Duration::ZERO,
        ..script(&format!("{TELL}; echo ready; exec sleep 1000"))
    };
    let method = external::defined(&[program])?.remove(0);
    for cpu in [0, 1] {
        let mut session = method.attach(&target, &Scene { cpus: &[cpu], ..Scene::bare(&run) })?;
        session.enable()?;
        let seen = finish(session)?;
        ensure!(seen.recorded == [Some(2 * u64::from(cpu))], "pinned to {cpu}: {seen:?}");
    }
    Ok(())
}

fn interrupted() -> Result<()> {
    const MARK: &str = "65432109";
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let asked = Arc::new(AtomicBool::new(true));
    let scene = Scene { interrupted: Some(&asked), ..Scene::bare(&run) };
    let attach = |program: &External| {
        external::defined(std::slice::from_ref(program))?[0].attach(&target, &scene)
    };
    let hour = Duration::from_secs(3600);
    let sleep = format!("exec sleep {MARK}");
    let never_ready = External { timeout: hour, ..script(&sleep) };
    let outcome = attach(&never_ready).map(drop);
    ensure!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    let quiet = External { linger: hour, timeout: hour, ..script(&format!("echo ready; {sleep}")) };
    let stubborn = script(&format!("trap '' INT; echo ready; {sleep}"));
    let stubborn = External { linger: Duration::ZERO, timeout: hour, ..stubborn };
    for program in [quiet, stubborn] {
        asked.store(false, Ordering::Relaxed);
        let mut session = attach(&program)?;
        session.enable()?;
        asked.store(true, Ordering::Relaxed);
        let outcome = session.disable();
        ensure!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
        drop(session);
        ensure!(living(MARK)?.is_empty(), "{:?}", living(MARK)?);
    }
    Ok(())
}

fn dropped() -> Result<()> {
    const MARK: &str = "87654321";
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let session = attach(script(&format!("sleep {MARK} & echo ready; wait")), &run, &target)?;
    // It says that it is ready as soon as the other one is forked, which has no command line while it executes `sleep`.
    wait_for(|| Ok(living(MARK)?.len() >= 2))?;
    drop(session);
    ensure!(living(MARK)?.is_empty(), "{:?}", living(MARK)?);
    Ok(())
}

/// From the command line, from the scenario, and a name that is taken.
fn campaign() -> Result<()> {
    let folder = Folder::new()?;
    let scenario = folder.path().join("own.toml");
    let sleeper = r#"argv = ["sh", "-c", "echo ready; exec sleep 1000"]"#;
    let table = format!("[[external]]\nname = \"own\"\nready = \"^ready\"\n{sleeper}\n");
    fs::write(&scenario, fs::read_to_string(folder.tiny()?)? + &table)?;
    let run = |out: &Path, named: &str| -> Result<Command> {
        let mut run = tracetoll(["run", "--seed", "1", "--methods", "off", "--blocks", "1"])?;
        run.args(["--parts", "toll", "--method", named, "--scenario"]).arg(&scenario);
        run.arg("--out").arg(out);
        Ok(run)
    };
    let out = folder.path().join("out");
    succeed(run(&out, "external:sleeper=sh -c 'echo a, b; exec sleep 1000'")?)?;
    let text = fs::read_to_string(out.join("campaign.json"))?;
    let campaign: serde_json::Value = serde_json::from_str(&text)?;
    for trial in campaign["trials"].as_array().context("no trials")? {
        ensure!(trial["outcome"].get("done").is_some(), "{} {}", trial["method"], trial["outcome"]);
    }
    for id in ["external:own", "external:sleeper"] {
        let methods = campaign["summary"]["methods"].as_array().context("no methods")?;
        ensure!(methods.iter().any(|method| method["id"] == id), "no {id}: {methods:?}");
    }
    let taken = run(&folder.path().join("taken"), "external:own=sleep 1000")?;
    crate::tool::refuse(taken, 1, &["external:own", "Rename"])
}

/// SIGKILL: nobody is left to clean up but the kernel, and the next `tracetoll clean`.
fn killed() -> Result<()> {
    const MARK: &str = "76543210";
    let folder = Folder::new()?;
    let mut run = tiny_run(&folder, "off", &folder.path().join("out"))?;
    run.args(["--parts", "toll", "--duration", "10s", "--method"]);
    run.arg(format!("external:child=sh -c 'setsid sleep {MARK} & echo ready; exec sleep {MARK}'"));
    // No trial under the program may have to end first: what it left does not heed the signal, and is waited for.
    let mut child = start_and_await_trials(run, 0)?;
    wait_for(|| Ok(living(&format!("sleep {MARK}"))?.len() >= 3))?;
    child.signal("KILL")?;
    child.wait()?;
    // The program goes with us; what left it is for the sweep.
    wait_for(|| Ok(living(&format!("sleep {MARK}"))?.len() <= 1))?;
    let cleaned = succeed(tracetoll(["clean"])?)?;
    ensure!(cleaned.contains("cgroup tracetoll-"), "{cleaned}");
    ensure!(living(MARK)?.is_empty(), "{:?}", living(MARK)?);
    Ok(())
}
