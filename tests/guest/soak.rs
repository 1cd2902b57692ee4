//! Many random kills, to find what our own cases missed. They run in the full lane, and by name:
//!
//!     cargo xtask test --kernel 6.12 soak::
//!
//! `TRACETOLL_SOAK_KILLS` is their number, `TRACETOLL_SOAK_SEED` the first seed. Each kill is one
//! run under a random method, ended by SIGKILL at a random moment. Its guard cleans up; `clean` is
//! not called. The last line has the figures.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_user::methods::registry;
use tracetoll_tests::kernel_state;

use crate::{
    tool::{Folder, guard_of, succeed, tiny_blocks, tracetoll},
    victim,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![crate::long_test("soak::random_kills_leave_nothing", soak)]
}

/// Three kernels add up to two hundred.
const KILLS: u64 = 67;

/// A guard that takes longer has failed.
const CLEANED_WITHIN: Duration = Duration::from_secs(60);

/// Programs that may outlive a killed run.
const PROGRAMS: [&str; 6] =
    ["bpftrace", "trace-cmd", "perf", "tcpdump", "tracetoll-guard", "iperf3"];

/// The result of one kill.
#[derive(Debug, Default)]
struct Killed {
    /// Whether it was tracing at that moment.
    traced: bool,
    /// From the kill until nothing of it was traced.
    off: Duration,
    /// From the kill until nothing of it was left.
    gone: Duration,
    left: Vec<String>,
    /// Number of trials that were reported before the last one, but are not in the journal.
    lost: usize,
}

fn soak() -> Result<()> {
    let number = |name: &str, default| -> Result<u64> {
        env::var(name).map_or(Ok(default), |text| text.parse().context(name.to_owned()))
    };
    let (kills, seed) = (number("TRACETOLL_SOAK_KILLS", KILLS)?, number("TRACETOLL_SOAK_SEED", 1)?);
    crate::load_modules()?;
    let methods: Vec<String> =
        registry::select("all")?.iter().map(|method| method.descriptor().id.0.clone()).collect();
    let mut draws = Draws(seed);
    let mut all = BTreeMap::new();
    for kill in 0..kills {
        // All in turn, so that none is missed by chance.
        let method = &methods[(seed + kill) as usize % methods.len()];
        let killed =
            kill_once(method, &mut draws).with_context(|| format!("kill {kill} {method}"))?;
        println!(
            "kill {:>3}  {method:<30} {}; off after {:>4} ms, gone after {:>5} ms; lost {}; left \
             {:?}",
            kill + 1,
            if killed.traced { "traced " } else { "between" },
            killed.off.as_millis(),
            killed.gone.as_millis(),
            killed.lost,
            killed.left,
        );
        all.insert(kill, (method, killed));
    }
    told(seed, &all)
}

fn told(seed: u64, all: &BTreeMap<u64, (&String, Killed)>) -> Result<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let killed = || all.values().map(|(_, killed)| killed);
    let left: usize = killed().map(|killed| killed.left.len()).sum();
    let lost: usize = killed().map(|killed| killed.lost).sum();
    let longest = |of: fn(&Killed) -> Duration| -> Option<String> {
        let (method, killed) = all.values().max_by_key(|(_, killed)| of(killed))?;
        Some(format!("{} ms ({method})", of(killed).as_millis()))
    };
    println!(
        "soak: Linux {}, seed {seed}: {} kills, {} of them while something was traced; left in \
         the kernel {left}; lost journal lines {lost}; longest until the tracer was off {}, until \
         nothing was left {}",
        kernel.trim(),
        all.len(),
        killed().filter(|killed| killed.traced).count(),
        longest(|killed| killed.off).unwrap_or_default(),
        longest(|killed| killed.gone).unwrap_or_default(),
    );
    ensure!(left == 0 && lost == 0, "left {left}, lost {lost}");
    Ok(())
}

fn kill_once(method: &str, draws: &mut Draws) -> Result<Killed> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let before = kernel_state()?;
    let mut run = tiny_blocks(&folder, method, &out, "100")?;
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let told = trials_told(&mut child)?;
    let outcome = wait_and_kill(&mut child, draws, &before);
    let _ = child.kill();
    child.wait()?;
    let mut killed = outcome?;
    // Nobody writes any more: the run and its guard have ended.
    killed.lost = lost(&out, told.join().expect("no panic"))?;
    Ok(killed)
}

/// Counts the trials that it reports, until it stops.
fn trials_told(child: &mut Child) -> Result<JoinHandle<usize>> {
    let stderr = BufReader::new(child.stderr.take().context("no stderr")?);
    Ok(thread::spawn(move || {
        let lines = stderr.lines().map_while(Result::ok);
        lines.filter(|line| line.starts_with("block ")).count()
    }))
}

fn wait_and_kill(
    child: &mut Child,
    draws: &mut Draws,
    before: &BTreeSet<String>,
) -> Result<Killed> {
    let began = Instant::now();
    let guard = loop {
        if let Some(guard) = guard_of(child.id())? {
            break guard;
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended by itself with {status}");
        }
        ensure!(began.elapsed() < CLEANED_WITHIN, "it has no guard");
    };
    thread::sleep(Duration::from_millis(draws.below(9000)));
    if let Some(status) = child.try_wait()? {
        // If this kernel lacks a method, the baseline remains, which does not end so soon.
        bail!("it ended by itself with {status}");
    }
    let traced = tracing()?;
    child.kill()?;
    let at = Instant::now();
    child.wait()?;
    let mut killed = Killed { traced: !traced.is_empty(), ..Killed::default() };
    loop {
        let now = tracing()?;
        if now.is_empty() {
            killed.off = at.elapsed();
            break;
        }
        ensure!(at.elapsed() < CLEANED_WITHIN, "still traced: {now:?}");
        thread::sleep(Duration::from_millis(1));
    }
    while Path::new(&format!("/proc/{guard}")).exists() && at.elapsed() < CLEANED_WITHIN {
        thread::sleep(Duration::from_millis(1));
    }
    killed.gone = at.elapsed();
    killed.left = kernel_state()?.difference(before).cloned().collect();
    killed.left.extend(victim::running(&PROGRAMS)?);
    Ok(killed)
}

/// Everything traced by anybody: nobody else traces in a test's machine.
fn tracing() -> Result<Vec<String>> {
    let root = Path::new("/sys/kernel/tracing");
    let functions = fs::read_to_string(root.join("enabled_functions"))?;
    let mut traced: Vec<_> = functions.lines().map(str::to_owned).collect();
    for instance in fs::read_dir(root.join("instances"))?.flatten() {
        // An instance that is removed meanwhile traces nothing.
        let read = |file| fs::read_to_string(instance.path().join(file)).unwrap_or_default();
        if !matches!(read("current_tracer").trim(), "" | "nop") || !read("set_event").is_empty() {
            traced.push(instance.file_name().display().to_string());
        }
    }
    Ok(traced)
}

/// Lines that are missing from the journal: the last reported trial may not have been written yet.
fn lost(out: &Path, told: usize) -> Result<usize> {
    let journal = out.join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let kept = whole.filter(|line| line.starts_with("{\"trial\"")).count();
    if kept > 0 {
        let mut report = tracetoll(["report", "--quiet"])?;
        report.arg(out);
        succeed(report).context("the journal is not readable")?;
    }
    Ok(told.saturating_sub(1).saturating_sub(kept))
}

/// Pseudo-random numbers, the same for the same seed (splitmix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
