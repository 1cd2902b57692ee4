//! Owners of objects: a killed run's objects are removed at once, by its guard or, if that was
//! killed too, by the next run; objects whose owner may be alive in another container stay.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use tracetoll_tests::kernel_state;

use crate::tool::{
    Folder, Running, children, guard_of, kernel, kill, lives, refuse, said, start_and_await_trials,
    succeed, tiny_run, tracetoll, wait_for,
};

pub(crate) fn tests() -> Vec<Trial> {
    let kill = |method: &'static str| {
        let name = format!("owners::a_guard_removes_what_{method}_leaves");
        crate::test(&name, move || guarded(method))
    };
    vec![
        kill("ftrace-function"),
        kill("ftrace-hist"),
        kill("ftrace-kprobe"),
        kill("perf-kprobe-record"),
        kill("external-trace-cmd-record"),
        kill("external-perf-record"),
        crate::test("owners::a_guard_ends_programs_that_left_their_parents", stray_programs),
        crate::test("owners::a_guard_is_hard_to_end", hard_to_end),
        crate::test("owners::a_killed_guard_is_replaced", killed_guard),
        crate::test("owners::nobody_is_a_guard_of_others", no_guard),
        crate::test("owners::clean_removes_what_a_killed_container_left", killed_container),
        crate::test("owners::another_container_leaves_the_living_alone", other_container),
        crate::test("owners::a_second_campaign_is_refused_or_waits", second_campaign),
        crate::test("owners::what_0_1_left_is_removed_only_when_asked_for", old_objects),
    ]
}

/// How long a guard may take, if it can find out: emulated processors under load are slow.
const SOON: Duration = Duration::from_secs(20);

/// A run of this method whose trials are long, except for the first two.
fn long_run(folder: &Folder, method: &str, out: &Path) -> Result<Command> {
    let mut run = tiny_run(folder, method, out)?;
    run.args(["--parts", "overhead", "--duration", "5s"]);
    Ok(run)
}

/// What exists now and did not before.
fn new_since(before: &BTreeSet<String>) -> Result<Vec<String>> {
    Ok(kernel_state()?.difference(before).cloned().collect())
}

/// Whether the method's own objects exist: those of the trial, not the baseline's.
fn is_attached(before: &BTreeSet<String>) -> Result<bool> {
    let of_a_method = ["tracefs instance", "dynamic event", "probe event", "cgroup"];
    Ok(new_since(before)?.iter().any(|new| of_a_method.iter().any(|kind| new.starts_with(kind))))
}

fn guarded(method: &str) -> Result<()> {
    let folder = Folder::new()?;
    let before = kernel_state()?;
    let mut child =
        start_and_await_trials(long_run(&folder, method, &folder.path().join("out"))?, 1)?;
    wait_for(|| is_attached(&before))?;
    let guard = child.guard()?;
    child.signal("KILL")?;
    let killed = Instant::now();
    child.wait()?;
    loop {
        // Checked before, so that what a guard that has ended removed last is not held against it.
        let at_work = lives(guard) && killed.elapsed() < SOON;
        let left = new_since(&before)?;
        if left.is_empty() {
            break;
        }
        ensure!(at_work, "the guard left {left:#?}");
    }
    println!("{method}: nothing left {} ms after the kill", killed.elapsed().as_millis());
    wait_for(|| Ok(!lives(guard)))?;
    let cleaned = succeed(tracetoll(["clean"])?)?;
    ensure!(cleaned == "nothing to remove\n", "{cleaned}");
    Ok(())
}

/// A process in its own session, which does not end with its parent.
fn stray_programs() -> Result<()> {
    const MARK: &str = "65432109";
    let folder = Folder::new()?;
    let before = kernel_state()?;
    let mut run = long_run(&folder, "off", &folder.path().join("out"))?;
    run.arg("--method");
    run.arg(format!("external:child=sh -c 'setsid sleep {MARK} & echo ready; exec sleep {MARK}'"));
    let mut child = start_and_await_trials(run, 0)?;
    let guard = child.guard()?;
    let sleepers = || -> Result<usize> {
        let lines = fs::read_dir("/proc")?.flatten().map(|process| process.path().join("cmdline"));
        let lines = lines.map(|file| fs::read(file).unwrap_or_default());
        Ok(lines.filter(|line| *line == format!("sleep\0{MARK}\0").as_bytes()).count())
    };
    wait_for(|| Ok(sleepers()? == 2))?;
    child.signal("KILL")?;
    child.wait()?;
    wait_for(|| Ok(!lives(guard)))?;
    ensure!(sleepers()? == 0, "a program lives on");
    let left = new_since(&before)?;
    ensure!(left.is_empty(), "left {left:#?}");
    Ok(())
}

/// What ends a run through its terminal or its service must not end its guard earlier.
fn hard_to_end() -> Result<()> {
    let folder = Folder::new()?;
    let before = kernel_state()?;
    let run = long_run(&folder, "ftrace-function", &folder.path().join("out"))?;
    let mut child = start_and_await_trials(run, 1)?;
    let guard = child.guard()?;
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{signal}"), &guard.to_string()]);
        succeed(kill)?;
    }
    let stat = |pid: u32| -> Result<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, rest) = text.rsplit_once(')').context("no name")?;
        Ok(rest.split_whitespace().map(str::to_owned).collect())
    };
    // It has its own group; and it sleeps: its CPU time does not grow.
    ensure!(stat(guard)?[2] == guard.to_string() && stat(child.id())?[2] != guard.to_string());
    let time = || fs::read_to_string(format!("/proc/{guard}/schedstat"));
    // Until it has seen the signals.
    let mut used = time()?;
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = time()?;
        if now == used {
            break;
        }
        used = now;
    }
    wait_for(|| is_attached(&before))?;
    ensure!(time()? == used, "the guard ran: {used} before, {} after", time()?);
    child.signal("KILL")?;
    child.wait()?;
    wait_for(|| Ok(!lives(guard)))?;
    let left = new_since(&before)?;
    ensure!(left.is_empty(), "left {left:#?}");
    Ok(())
}

/// The running trial ends normally, and the run when it is asked to.
fn undisturbed(mut run: Running, out: &Path) -> Result<()> {
    let done = || fs::read_to_string(out.join("journal.jsonl")).map(|text| text.lines().count());
    let before = done()?;
    wait_for(|| Ok(done()? > before))?;
    run.signal("INT")?;
    let status = run.wait()?;
    ensure!(status.code() == Some(130), "the living run was disturbed: {status}");
    let campaign = fs::read_to_string(out.join("campaign.json"))?;
    ensure!(!campaign.contains("\"failed\""), "a trial was disturbed: {campaign}");
    Ok(())
}

/// The next trial has a guard again, which does what the first would have done.
fn killed_guard() -> Result<()> {
    let folder = Folder::new()?;
    let before = kernel_state()?;
    let run = long_run(&folder, "ftrace-function", &folder.path().join("out"))?;
    let mut child = start_and_await_trials(run, 1)?;
    let first = child.guard()?;
    kill(first)?;
    let second = || Ok(guard_of(child.id())?.filter(|guard| *guard != first && lives(*guard)));
    wait_for(|| second().map(|guard| guard.is_some()))?;
    let guard = second()?.context("no second guard")?;
    wait_for(|| is_attached(&before))?;
    child.signal("KILL")?;
    child.wait()?;
    wait_for(|| Ok(!lives(guard)))?;
    let left = new_since(&before)?;
    ensure!(left.is_empty(), "left {left:#?}");
    Ok(())
}

/// A process that is called like a guard without being one removes nothing.
fn no_guard() -> Result<()> {
    let folder = Folder::new()?;
    let before = kernel_state()?;
    let out = folder.path().join("out");
    let child = start_and_await_trials(long_run(&folder, "ftrace-function", &out)?, 2)?;
    wait_for(|| is_attached(&before))?;
    let objects = new_since(&before)?;
    let instance = objects.iter().find_map(|new| new.strip_prefix("tracefs instance tracetoll-"));
    let tag = instance.and_then(|name| name.split('-').next()).context("no instance")?;
    refuse(tracetoll(["guard-of", tag])?, 1, &[])?;
    refuse(tracetoll(["guard-of", "x"])?, 1, &[])?;
    undisturbed(child, &out)
}

/// `line` in its own PID and mount namespace, with its own `/proc` and `/run`.
fn in_container(line: &str) -> Command {
    let mut command = Command::new("unshare");
    let line = format!("mount -t proc none /proc && mount -t tmpfs none /run && {line}");
    command.args(["-p", "-m", "-f", "sh", "-c", &line]).stdin(Stdio::null());
    command
}

/// A command as a line for a shell.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| format!("'{}'", word.display())).collect::<Vec<_>>().join(" ")
}

/// Whether the kernel makes vhost's workers threads of the device's owner, which a container sees;
/// it does not see kernel threads.
fn containers_see_workers() -> Result<bool> {
    Ok(kernel()? >= (6, 4))
}

/// If a run cannot see the workers, it is refused before it creates a folder.
fn refused_in_container(run: &Command, out: &Path) -> Result<()> {
    refuse(in_container(&line(run)), 1, &["hides kernel threads", "--pid=host"])?;
    ensure!(!out.exists(), "a folder was made for nothing");
    Ok(())
}

/// A container's first process ends together with the run and its guard.
fn killed_container() -> Result<()> {
    let folder = Folder::new()?;
    if !containers_see_workers()? {
        let out = folder.path().join("out");
        return refused_in_container(&long_run(&folder, "off", &out)?, &out);
    }
    let before = kernel_state()?;
    let run = long_run(&folder, "ftrace-kprobe", &folder.path().join("out"))?;
    // Two commands, so that the shell does not replace itself by the run.
    let mut container = start_and_await_trials(in_container(&format!("{}; true", line(&run))), 2)?;
    wait_for(|| is_attached(&before))?;
    let first = children(container.id())?[0];
    let guard = guard_of(children(first)?[0])?.context("no guard")?;
    kill(first)?;
    container.wait()?;
    ensure!(!lives(guard), "the guard outlives its container");
    let left = new_since(&before)?;
    ensure!(
        left.iter().any(|new| new.starts_with("dynamic event")),
        "this proves nothing: {left:?}"
    );
    // Each container has the impression that nobody else is alive.
    let cleaned = succeed(in_container(&line(&tracetoll(["clean"])?)))?;
    ensure!(cleaned.contains("removed probe event tracetoll_"), "{cleaned}");
    let left = new_since(&before)?;
    ensure!(left.is_empty(), "clean left {left:#?}");
    Ok(())
}

fn other_container() -> Result<()> {
    let folder = Folder::new()?;
    let before = kernel_state()?;
    let out = folder.path().join("out");
    let child = start_and_await_trials(long_run(&folder, "ftrace-kprobe", &out)?, 2)?;
    wait_for(|| is_attached(&before))?;
    let cleaned = succeed(in_container(&line(&tracetoll(["clean"])?)));
    undisturbed(child, &out)?;
    let cleaned = cleaned?;
    ensure!(cleaned.contains("nothing to remove\nleft tracefs instance tracetoll-"), "{cleaned}");
    ensure!(cleaned.contains(": its owner lives"), "{cleaned}");
    Ok(())
}

fn second_campaign() -> Result<()> {
    let folder = Folder::new()?;
    let at = |name: &str| folder.path().join(name);
    let mut first = tiny_run(&folder, "off", &at("first"))?;
    first.args(["--parts", "overhead", "--duration", "8s"]);
    let mut first = start_and_await_trials(first, 1)?;
    let second = |name: &str, flag: &str| -> Result<Command> {
        let mut run = tiny_run(&folder, "off", &at(name))?;
        run.arg(flag);
        Ok(run)
    };
    let told = ["measuring, or trying methods, on this kernel", "--wait"];
    let whom = format!("process {} (tracetoll)", first.id());
    refuse(second("refused", "--quiet")?, 1, &[&told[..], &[&whom]].concat())?;
    let hidden = ["a process that is not visible from here"];
    let contained = in_container(&line(&second("contained", "--quiet")?));
    refuse(contained, 1, &[told, [hidden[0], "vhost-net"]].concat())?;
    ensure!(!at("refused").exists() && !at("contained").exists(), "a folder was made for nothing");

    // A waiting run can be ended, and measures when the first has ended.
    let mut ended = start_and_await_trials(second("ended", "--wait")?, 0)?;
    ended.signal("INT")?;
    ensure!(ended.wait()?.code() == Some(130), "who waits is deaf");
    if !containers_see_workers()? {
        let first = first.wait()?;
        ensure!(first.success(), "the first was disturbed: {first}");
        return refused_in_container(&second("waits", "--wait")?, &at("waits"));
    }
    let waits = in_container(&line(&second("waits", "--wait")?))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let first = first.wait()?;
    let waited = waits.wait_with_output()?;
    ensure!(first.success(), "the first was disturbed: {first}");
    ensure!(waited.status.success(), "{}: {}", waited.status, said(&waited));
    ensure!(said(&waited).contains("waiting for the campaign of"), "{}", said(&waited));
    let campaign = fs::read_to_string(at("waits").join("campaign.json"))?;
    ensure!(!campaign.contains("\"failed\""), "they met: {campaign}");
    Ok(())
}

/// Objects with names as in 0.1, with a live process; with the former `pid-namespace`.
fn old_objects() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let mut sleeper = Command::new("sleep").arg("1000").spawn()?;
    let name = format!("tracetoll-{}-external", sleeper.id());
    let group = Path::new("/sys/fs/cgroup").join(&name);
    let own = temporary.path().join(format!("{name}-x1Y2z3"));
    // A user's results, by their name.
    let results = temporary.path().join("tracetoll-2026-11-30");
    fs::create_dir(&results)?;
    let other = temporary.path().join("tracetoll-k3f9x2b-external-0123456789ab-x1Y2z3");
    let instance = PathBuf::from("/sys/kernel/tracing/instances").join(&name);
    for folder in [&group, &own, &other, &instance] {
        fs::create_dir(folder)?;
    }
    fs::write(group.join("cgroup.procs"), sleeper.id().to_string())?;
    let clean = |words: &[&str]| -> Result<String> {
        let mut clean = tracetoll(words)?;
        clean.env("TMPDIR", temporary.path());
        succeed(clean)
    };
    let left = clean(&["clean"])?;
    let all = [&group, &own, &other, &instance].iter().all(|folder| folder.exists());
    let lived = lives(sleeper.id());
    let asked = clean(&["clean", "--old", "--format", "json"])?;
    let gone = [&group, &own, &instance].iter().all(|folder| !folder.exists());
    sleeper.wait()?;
    ensure!(all && lived && left.contains("nothing to remove"), "{left}");
    ensure!(
        left.contains(&format!(
            "left cgroup {name} with processes {} (sleep): its name",
            sleeper.id()
        )),
        "{left}"
    );
    ensure!(gone && other.exists() && results.exists(), "{asked}");
    let asked: serde_json::Value = serde_json::from_str(&asked)?;
    let told = asked["left"][0]["why"].as_str().context("no reason")?;
    ensure!(told.contains("another kernel") && told.contains("rm -r"), "{asked}");
    ensure!(asked["removed"].as_array().is_some_and(|removed| removed.len() == 3), "{asked}");
    Ok(())
}
