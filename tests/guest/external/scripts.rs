//! What a program may do while it observes: start others, fail, end by itself, miss its signal.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use probe_core::{
    error::Error,
    model::{external::External, loss::Loss, target::Target, units::Nanos},
};
use probe_user::{
    kernel::{run::Run, tag::Tag},
    methods::{AttachContext, Observer, external},
};

use super::{finish, living, resolve};
use crate::tool::{Folder, succeed, tracetoll, wait_for};

fn script(text: &str) -> External {
    let argv = ["sh", "-c", text].map(str::to_owned).into();
    External { ready: Some("(?m)^ready$".into()), ..External::new("script", argv) }
}

fn attach(program: External, run: &Run, target: &Target) -> Result<Observer> {
    let methods = external::defined(&[program])?;
    Ok(methods[0].attach(target, &AttachContext::bare(run))?)
}

/// A child that is waited for, a grandchild whose parent ends before it, and one in its own
/// session: what each of them burns and writes belongs to the tree.
pub(super) fn tree() -> Result<()> {
    const WRITTEN: u64 = 100_000;
    let burn = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let write = format!("head -c {WRITTEN} /dev/zero > /dev/null");
    let text = format!(
        "trap 'sleep 0.2; echo 41 calls; echo 1 calls; exit 3' INT; ({burn}; {write}); sh -c \
         '({burn}; {write}) &'; setsid sh -c '{burn}; {write}' & sleep 1; echo ready; while :; do \
         sleep 0.1; done"
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
    ensure!(*seen.recorded == [Some(42)], "{seen:?}");
    ensure!((seen.lost, seen.missed) == (Loss::Unknown, Loss::Unknown), "{seen:?}");
    ensure!(seen.details["exit"].to_string().contains('3'), "{seen:?}");
    let written = seen.details["written_bytes"].as_u64().context("no number")?;
    ensure!((3 * WRITTEN..3 * WRITTEN + 1000).contains(&written), "{written} bytes: {seen:?}");
    let before = seen.details["cpu_ns_before_enable"].as_u64().context("no number")?;
    ensure!(before > 0 && seen.processes_after > Nanos(0), "{seen:?}");
    Ok(())
}

/// A child and an orphan count what they took between enable and disable; so does one that ends
/// earlier.
pub(super) fn processes() -> Result<()> {
    let folder = Folder::new()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    // The shell's own CPU time in ns, at its end.
    let burn = |name: &str| {
        let (made, done) = (at(&format!("{name}-made")), at(name));
        format!(
            "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; read -r ns rest < \
             /proc/$$/schedstat; echo $ns > {made}; mv {made} {done}"
        )
    };
    let text = format!(
        "sh -c '{}'; echo ready; while [ ! -e {} ]; do sleep 0.1; done; sh -c '{}'; sh -c 'sh -c \
         \"{}\" &'; while :; do sleep 0.1; done",
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
    // The cost of the waiting loops, and of starting everything.
    let most = 2 * burned + 1_000_000_000;
    ensure!((burned..=most).contains(&seen.processes.0), "{burned} ns burned: {seen:?}");
    let before = seen.details["cpu_ns_before_enable"].as_u64().context("no number")?;
    ensure!(before >= told("before")?, "{} ns burned before: {seen:?}", told("before")?);
    Ok(())
}

/// A dead run's group inside another group than ours, with a group and a process inside.
pub(super) fn swept() -> Result<()> {
    const MARK: &str = "54321098";
    let dead = Tag::draw();
    let outer = Path::new("/sys/fs/cgroup").join(format!("outer-{}", std::process::id()));
    let inner = outer.join(format!("tracetoll-{dead}-external")).join("inner");
    fs::create_dir_all(&inner)?;
    let mut sleeper = Command::new("sleep").arg(MARK).spawn()?;
    fs::write(inner.join("cgroup.procs"), sleeper.id().to_string())?;
    let cleaned = tracetoll(["clean"]).and_then(succeed);
    let gone = !inner.exists() && !inner.with_file_name("").exists();
    let _ = sleeper.kill();
    let status = sleeper.wait()?;
    let removed = fs::remove_dir(&outer);
    ensure!(cleaned?.contains(&format!("cgroup tracetoll-{dead}-external")));
    ensure!(gone && !status.success(), "it is still there; its process: {status}");
    Ok(removed?)
}

pub(super) fn failures() -> Result<()> {
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
    // Ready in time even on a slow machine, or this would test the wrong failure.
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

/// It waits repeatedly, and misses the first signal, like bpftrace if that arrives between two of
/// its waits.
const OVERLOOKS: &str =
    "my $told = 0; $SIG{INT} = sub { $told++ }; select undef, undef, undef, 0.1 until $told > 1;";

/// How a program ends after the signal shows whether it did its work.
pub(super) fn endings() -> Result<()> {
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

/// Its report is pinned too.
pub(super) fn pinned() -> Result<()> {
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
        let mut session =
            method.attach(&target, &AttachContext { cpus: &[cpu], ..AttachContext::bare(&run) })?;
        session.enable()?;
        let seen = finish(session)?;
        ensure!(*seen.recorded == [Some(2 * u64::from(cpu))], "pinned to {cpu}: {seen:?}");
    }
    Ok(())
}

pub(super) fn interrupted() -> Result<()> {
    const MARK: &str = "65432109";
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let asked = Arc::new(AtomicBool::new(true));
    let context = AttachContext { interrupted: Some(&asked), ..AttachContext::bare(&run) };
    let attach = |program: &External| {
        external::defined(std::slice::from_ref(program))?[0].attach(&target, &context)
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

pub(super) fn dropped() -> Result<()> {
    const MARK: &str = "87654321";
    let target = resolve("tun:tun_chr_open")?;
    let run = Run::start()?;
    let session = attach(script(&format!("sleep {MARK} & echo ready; wait")), &run, &target)?;
    // It reports ready as soon as the other one is forked, which has no command line while it
    // executes `sleep`.
    wait_for(|| Ok(living(MARK)?.len() >= 2))?;
    drop(session);
    ensure!(living(MARK)?.is_empty(), "{:?}", living(MARK)?);
    Ok(())
}
