//! Programs in campaigns, through the command line.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::living;
use crate::tool::{Folder, said, start_and_await_trials, succeed, tiny_run, tracetoll, wait_for};

/// From the command line, from the scenario, and a name that is already used.
pub(super) fn campaign() -> Result<()> {
    let folder = Folder::new()?;
    let scenario = folder.path().join("own.toml");
    let sleeper = r#"argv = ["sh", "-c", "echo ready; exec sleep 1000"]"#;
    let table = format!("[[external]]\nname = \"own\"\nready = \"^ready\"\n{sleeper}\n");
    fs::write(&scenario, fs::read_to_string(folder.tiny()?)? + &table)?;
    let run = |out: &Path, named: &str| -> Result<Command> {
        let mut run = tracetoll(["run", "--seed", "1", "--methods", "off", "--blocks", "1"])?;
        run.args(["--parts", "overhead", "--method", named, "--scenario"]).arg(&scenario);
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

/// A program that fills the file system of `{out}`, which also receives its output.
pub(super) fn full() -> Result<()> {
    let folder = Folder::new()?;
    let small = folder.path().join("small");
    fs::create_dir(&small)?;
    let on_it = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(&small);
        succeed(command)
    };
    let out = folder.path().join("out");
    let mut run = tiny_run(&folder, "off", &out)?;
    run.args(["--parts", "overhead", "--method"]).env("TMPDIR", &small);
    run.arg("external:fills=sh -c 'cat /dev/zero > {out}; exit 1'");
    on_it(&["mount", "-t", "tmpfs", "-o", "size=1m", "none"])?;
    let told = run.output();
    on_it(&["umount"])?;
    let told = said(&told?);
    let small = format!(
        "There is no space left for its `{{out}}`, which took 1 MiB in {}",
        small.display()
    );
    ensure!(told.contains(&small) && told.contains("with more in TMPDIR"), "{told}");
    let journal = fs::read_to_string(out.join("journal.jsonl"))?;
    ensure!(journal.contains("There is no space left for its"), "{journal}");
    Ok(())
}

/// SIGKILL for the guard too: only the kernel is left to clean up, and the next `tracetoll clean`.
pub(super) fn killed() -> Result<()> {
    const MARK: &str = "76543210";
    let folder = Folder::new()?;
    let mut run = tiny_run(&folder, "off", &folder.path().join("out"))?;
    run.args(["--parts", "overhead", "--duration", "10s", "--method"]);
    run.arg(format!("external:child=sh -c 'setsid sleep {MARK} & echo ready; exec sleep {MARK}'"));
    // No trial under the program may have to end first: the process that it left ignores the
    // signal, and is waited for.
    let mut child = start_and_await_trials(run, 0)?;
    wait_for(|| Ok(living(&format!("sleep {MARK}"))?.len() >= 3))?;
    child.kill_with_guard()?;
    // The program ends with us; the sweep must remove what left it.
    wait_for(|| Ok(living(&format!("sleep {MARK}"))?.len() <= 1))?;
    let cleaned = succeed(tracetoll(["clean"])?)?;
    ensure!(cleaned.contains("cgroup tracetoll-"), "{cleaned}");
    ensure!(living(MARK)?.is_empty(), "{:?}", living(MARK)?);
    Ok(())
}
