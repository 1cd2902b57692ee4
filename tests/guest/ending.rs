//! A run that ends early: nothing that was recorded is lost, and nothing of it remains in the
//! kernel.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_user::kernel::tracefs::Tracefs;
use tracetoll_tests::kernel_state;

use crate::tool::{Folder, lives, start_and_await_trials, succeed, tiny_run, tracetoll, wait_for};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("ending::interrupt_keeps_finished_trials", || interrupt(&["INT"])),
        crate::test("ending::a_term_keeps_finished_trials_also_twice", || {
            interrupt(&["TERM", "TERM"])
        }),
        crate::test("ending::a_hangup_keeps_finished_trials_also_twice", || {
            interrupt(&["HUP", "HUP", "HUP"])
        }),
        crate::test("ending::a_closed_terminal_keeps_finished_trials", closed_terminal),
        crate::test("ending::nohup_runs_on", nohup),
        crate::test("ending::who_insists_leaves_the_rest_to_the_guard", insist),
        crate::test("ending::clean_removes_what_a_kill_left", || {
            clean_after_kill("ftrace-kprobe", "dynamic event")
        }),
        crate::test("ending::clean_removes_probe_events_with_triggers", || {
            clean_after_kill("ftrace-hist", "dynamic event")
        }),
        crate::test("ending::the_next_run_removes_what_a_kill_left", run_after_kill),
        crate::test("ending::clean_leaves_the_living_alone", clean_beside_a_living_run),
    ]
}

const METHODS: &str = "off,ftrace-function,bpf-fentry-count";

fn interrupt(signals: &[&str]) -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut child = start_and_await_trials(tiny_run(&folder, METHODS, &out)?, 2)?;
    for signal in signals {
        child.signal(signal)?;
    }
    let status = child.wait()?;
    ensure!(status.code() == Some(130), "{status}");
    kept(&out)
}

/// At least two trials are in the result.
fn kept(out: &Path) -> Result<()> {
    let campaign: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    let trials = campaign["trials"].as_array().context("no trials")?;
    ensure!(trials.len() >= 2, "{} trials kept", trials.len());
    Ok(())
}

/// `script` holds the other end of the terminal: without it writes fail. The kernel notifies the
/// first shell, which ends, and then all processes in the foreground; the second shell reports how
/// the run ended.
fn closed_terminal() -> Result<()> {
    let folder = Folder::new()?;
    let [out, status, file] = ["out", "status", "line"].map(|name| folder.path().join(name));
    let run = tiny_run(&folder, METHODS, &out)?;
    let words: Vec<_> = std::iter::once(run.get_program()).chain(run.get_args()).collect();
    let line = words.join(OsStr::new(" ")).display().to_string();
    fs::write(&file, format!("trap : HUP\n{line}\necho $? > {}\n", status.display()))?;
    let mut script = Command::new("script");
    script.args(["-q", "-c", &format!("sh {}; true", file.display()), "/dev/null"]);
    let mut script = script.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let journal = out.join("journal.jsonl");
    let lines = || fs::read_to_string(&journal).unwrap_or_default().lines().count();
    wait_for(|| Ok(lines() > 2))?;
    script.kill()?;
    script.wait()?;
    wait_for(|| Ok(status.exists() && !fs::read_to_string(&status)?.is_empty()))?;
    let code = fs::read_to_string(&status)?;
    ensure!(code.trim() == "130", "it ended with {code}");
    kept(&out)
}

fn nohup() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let run = tiny_run(&folder, METHODS, &out)?;
    let mut nohup = Command::new("nohup");
    nohup.arg(run.get_program()).args(run.get_args()).stdin(Stdio::null());
    let mut child = start_and_await_trials(nohup, 1)?;
    child.signal("HUP")?;
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    kept(&out)
}

/// A second request, some time after the first, ends the process at once: here a run that waits for
/// a reader of its journal.
fn insist() -> Result<()> {
    let folder = Folder::new()?;
    let journal = folder.path().join("journal");
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.arg(&journal);
    succeed(mkfifo)?;
    let mut run = tracetoll(["run", "--methods", "off", "--blocks", "1", "--scenario"])?;
    run.arg(folder.tiny()?).arg("--journal").arg(&journal);
    let mut child = start_and_await_trials(run, 0)?;
    let guard = child.guard()?;
    // Both reach it at the same moment, when it goes on: on a busy machine, two signals that are
    // sent one after the other may not.
    for signal in ["STOP", "INT", "TERM", "CONT"] {
        child.signal(signal)?;
    }
    thread::sleep(Duration::from_millis(1500));
    ensure!(child.is_running()?, "it did not wait, so that this test proves nothing");
    // The program counts from when it receives a signal, which on a busy machine is later than it
    // was sent.
    for _ in 0..20 {
        child.signal("TERM")?;
        thread::sleep(Duration::from_millis(1500));
        if !child.is_running()? {
            break;
        }
    }
    ensure!(!child.is_running()?, "it does not end");
    let status = child.wait()?;
    ensure!(status.code() == Some(130), "{status}");
    wait_for(|| Ok(!lives(guard)))
}

/// `kind` is what a kill leaves at least.
fn clean_after_kill(method: &str, kind: &str) -> Result<()> {
    let folder = Folder::new()?;
    let (before, left) = kill_in_a_trial(&folder, method)?;
    let proves = left.iter().any(|object| object.starts_with(kind));
    ensure!(proves, "the kill left no {kind}, so that this test proves nothing: {left:#?}");
    succeed(tracetoll(["clean"])?)?;
    let after = kernel_state()?;
    let still: Vec<_> = after.difference(&before).collect();
    ensure!(still.is_empty(), "clean left {still:#?}");
    let again = succeed(tracetoll(["clean"])?)?;
    ensure!(again.contains("nothing to remove"), "{again}");
    let mut report = tracetoll(["report"])?;
    report.arg(folder.path().join("out"));
    succeed(report).map(drop)
}

fn run_after_kill() -> Result<()> {
    let folder = Folder::new()?;
    kill_in_a_trial(&folder, "ftrace-function")?;
    let text = succeed(tiny_run(&folder, "off", &folder.path().join("next"))?)?;
    ensure!(text.contains("removed what a killed run left"), "{text}");
    Ok(())
}

/// Kills a run while this ftrace method is attached, and a probe event of `ftrace-kprobe` is
/// enabled; returns the kernel's state before it, and what it left.
fn kill_in_a_trial(folder: &Folder, method: &str) -> Result<(BTreeSet<String>, Vec<String>)> {
    let before = kernel_state()?;
    let out = folder.path().join("out");
    let mut run = tiny_run(folder, method, &out)?;
    run.args(["--parts", "overhead", "--duration", "5s"]);
    // The closed loop of both methods has ended: the first of the long, paced trials is next.
    let mut child = start_and_await_trials(run, 2)?;
    let attached = || -> Result<bool> {
        let instance = |object: &String| object.starts_with("tracefs instance tracetoll-");
        let there = kernel_state()?.difference(&before).any(instance);
        Ok(there && (method != "ftrace-kprobe" || an_event_is_on()?))
    };
    wait_for(attached)?;
    child.kill_with_guard()?;
    ensure!(attached()?, "the trial ended before the kill, so that this test proves nothing");
    let left = kernel_state()?.difference(&before).cloned().collect();
    Ok((before, left))
}

/// Whether an instance of a run has an enabled event.
fn an_event_is_on() -> Result<bool> {
    for entry in fs::read_dir(Tracefs::find()?.path("instances"))? {
        let entry = entry?;
        // An instance that is removed meanwhile has none.
        let on = fs::read_to_string(entry.path().join("set_event")).unwrap_or_default();
        if entry.file_name().to_string_lossy().starts_with("tracetoll-") && !on.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn clean_beside_a_living_run() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut child = start_and_await_trials(tiny_run(&folder, METHODS, &out)?, 1)?;
    let cleaned = tracetoll(["clean"]).and_then(succeed);
    let status = child.wait()?;
    ensure!(status.success(), "the living run was disturbed: {status}");
    ensure!(cleaned?.contains("nothing to remove"), "it removed something");
    Ok(())
}
