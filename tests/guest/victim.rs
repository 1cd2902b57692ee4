//! Processes that are killed, to see what they leave behind.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// Long enough for the slowest emulated machine; it decides whether it hangs.
const NO_HANG: Duration = Duration::from_secs(120);

/// Starts this program with `variable` set, waits until it reports that it is ready, and lets
/// `watch` kill it and check.
pub(crate) fn watch(variable: &str, watch: impl FnOnce(&mut Child) -> Result<()>) -> Result<()> {
    let mut victim = Command::new(std::env::current_exe()?)
        .env(variable, "1")
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the victim")?;
    let outcome = await_ready(&mut victim).and_then(|()| watch(&mut victim));
    // Already killed, unless the test failed on the way.
    let _ = victim.kill();
    victim.wait()?;
    outcome
}

fn await_ready(victim: &mut Child) -> Result<()> {
    let mut line = String::new();
    BufReader::new(victim.stdout.take().context("no pipe")?).read_line(&mut line)?;
    ensure!(line == "ready\n", "the victim says {line:?}");
    Ok(())
}

/// Waits until none of these programs is running; nobody else runs them in a test's machine.
pub(crate) fn gone(programs: &[&str]) -> Result<()> {
    let began = Instant::now();
    loop {
        let left = running(programs)?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(began.elapsed() < NO_HANG, "still there: {left:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Which of these programs are running. One that has ended and was not reaped yet holds nothing any
/// more.
pub(crate) fn running(programs: &[&str]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc")? {
        let path = process?.path();
        let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        if programs.contains(&comm.trim()) && !status.contains("State:\tZ") {
            found.insert(comm.trim().to_owned());
        }
    }
    Ok(found)
}
