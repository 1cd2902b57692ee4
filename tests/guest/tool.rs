//! Runs the `tracetoll` under test as its users do.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

/// A minimal scenario: a few hundred kicks, eight bins.
const TINY: &str = r#"
name = "tiny"
summary = "the smallest campaign"
bin = "100ms"
settle = "50ms"
load_cpus = 1
[guests]
kind = "blast"
count = 1
frame = 1514
ring = 256
batch = 64
[overhead]
closed_loop = { kicks = 300 }
paced = { rate = "1kpps", duration = "200ms" }
saturated = { duration = "200ms" }
[fidelity]
sections = [{ hogs = 0, duration = "400ms" }, { hogs = 1, duration = "400ms" }]
"#;

/// A folder of the test, removed when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let id = std::process::id();
        let path = (0..)
            .map(|n| std::env::temp_dir().join(format!("tracetoll-test-{id}-{n}")))
            .find(|path| fs::create_dir(path).is_ok())
            .context("no folder")?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The tiny scenario as a file in the folder.
    pub(crate) fn tiny(&self) -> Result<PathBuf> {
        let file = self.0.join("tiny.toml");
        fs::write(&file, TINY)?;
        Ok(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The binary under test.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = std::env::var_os("TRACETOLL_BIN").context("TRACETOLL_BIN is not set")?;
    Ok(path.into())
}

/// `tracetoll` with these arguments.
pub(crate) fn tracetoll<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(words).stdin(Stdio::null());
    Ok(command)
}

/// `tracetoll run` of the tiny scenario, one block of `methods`, into `out`.
pub(crate) fn tiny_run(folder: &Folder, methods: &str, out: &Path) -> Result<Command> {
    tiny_blocks(folder, methods, out, "1")
}

/// Like [`tiny_run`], with more blocks.
pub(crate) fn tiny_blocks(
    folder: &Folder,
    methods: &str,
    out: &Path,
    blocks: &str,
) -> Result<Command> {
    let mut command = tracetoll(["run", "--seed", "1", "--methods", methods, "--blocks", blocks])?;
    command.arg("--scenario").arg(folder.tiny()?).arg("--out").arg(out);
    Ok(command)
}

/// Version of the kernel: major, minor.
pub(crate) fn kernel() -> Result<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("{release} is no version"),
    }
}

/// Its output on both streams.
pub(crate) fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// Runs a command, which must succeed.
pub(crate) fn succeed(mut command: Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    Ok(said(&output))
}

/// Runs a command, which must fail with exit status `status` and print each of `words` in its last
/// paragraph.
pub(crate) fn refuse(mut command: Command, status: i32, words: &[&str]) -> Result<()> {
    let output = command.output()?;
    let said = said(&output);
    ensure!(
        output.status.code() == Some(status),
        "{command:?}: {} instead of {status}\n{said}",
        output.status
    );
    for word in words {
        ensure!(said.contains(word), "{command:?} does not say `{word}`:\n{said}");
    }
    Ok(())
}

/// A running `tracetoll`; it is killed with the test.
pub(crate) struct Running(Child);

impl Running {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its guard's process id.
    pub(crate) fn guard(&self) -> Result<u32> {
        guard_of(self.id())?.context("it has no guard")
    }

    /// Kills its guard, and then itself, so that nobody is left to clean up.
    pub(crate) fn kill_with_guard(&mut self) -> Result<()> {
        // So that it does not start another guard in between.
        self.signal("STOP")?;
        kill(self.guard()?)?;
        self.signal("KILL")?;
        self.wait().map(drop)
    }

    /// Sends it a signal, by its short name.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &self.0.id().to_string()]);
        succeed(kill).map(drop)
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.0.wait()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The guard among the children of process `pid`.
pub(crate) fn guard_of(pid: u32) -> Result<Option<u32>> {
    for child in children(pid)? {
        let comm = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        if comm.trim() == "tracetoll-guard" {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

/// The children of process `pid`, whichever of its threads started them.
pub(crate) fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let listed = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(listed.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(found)
}

/// Kills process `pid`.
pub(crate) fn kill(pid: u32) -> Result<()> {
    let mut kill = Command::new("kill");
    kill.args(["-KILL", &pid.to_string()]);
    succeed(kill).map(drop)
}

/// Whether process `pid` is alive; one that was not reaped is not.
pub(crate) fn lives(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// Starts a command, and waits until `lines` trials have ended; for none, until it prints anything.
/// After that nobody reads its output.
pub(crate) fn start_and_await_trials(mut command: Command, lines: usize) -> Result<Running> {
    let mut child = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
    let stderr = child.0.stderr.take().context("no stderr")?;
    let mut seen = String::new();
    let mut trials = 0;
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        trials += usize::from(line.starts_with("block "));
        seen += &line;
        seen.push('\n');
        if trials == lines {
            return Ok(child);
        }
    }
    let status = child.wait()?;
    bail!("it ended before {lines} trials had: {status}\n{seen}")
}

/// Polls until `condition` holds. If it never does, the test fails; how long it takes does not
/// matter.
pub(crate) fn wait_for(condition: impl Fn() -> Result<bool>) -> Result<()> {
    const NO_HANG: Duration = Duration::from_secs(300);
    let began = Instant::now();
    while !condition()? {
        ensure!(began.elapsed() < NO_HANG, "it never came to pass");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
