//! Guests of other processes: found, counted separately, left alone.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    loss::Loss,
    scenario::{GuestKind, Guests},
    trial::ReferenceCounts,
};
use probe_user::{
    kernel::{bpf::chosen::Programs, kallsyms::Kallsyms, run::Run, targets},
    measure::reference::{self, ReferenceCounter},
    workload::{Offered, Placement, Testbed, existing, fleet::Worker},
};

use crate::tool::{Folder, refuse, succeed, tiny_run};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("existing::each_neighbours_calls_and_bytes_are_its_own", neighbours),
        crate::test("existing::the_reference_is_checked_while_others_load_runs_on", alongside),
        crate::test("existing::a_guest_that_ends_is_named", ended),
        crate::test("existing::a_load_beside_guests_of_others_is_refused", refused),
        crate::test("existing::without_any_guest_it_says_what_was_looked_for", nobody),
    ]
}

/// Set for the processes that stand in for virtual machines.
const NEIGHBOUR: &str = "TRACETOLL_TEST_NEIGHBOUR";

fn here() -> Placement {
    Placement::of(vec![0], vec![0])
}

/// The main function of a neighbour: a guest that makes as many kicks as each line of standard
/// input says, until the end of input. Does nothing in any other process.
///
/// # Errors
/// The testbed cannot be built.
pub(crate) fn live_if_neighbour() -> Result<()> {
    if std::env::var_os(NEIGHBOUR).is_none() {
        return Ok(());
    }
    let run = Run::start()?;
    let testbed = Testbed::of_guests(&run, &Guests { batch: 1, ..Guests::default() }, &here())?;
    println!("{} {}", testbed.taps()[0], testbed.workers()[0].tid);
    for line in io::stdin().lines() {
        let mut load = testbed.start(Offered::ClosedLoop { kicks: line?.parse()? })?;
        load.wait(Duration::from_secs(300))?;
        println!("{}", load.stop()?.sent.bytes.0);
    }
    testbed.close()?;
    // Including its lock file, which an exit would leave.
    drop(run);
    std::process::exit(0)
}

fn refused() -> Result<()> {
    let _neighbour = Neighbour::start()?;
    let folder = Folder::new()?;
    let run = || tiny_run(&folder, "off", &folder.path().join("out"));
    refuse(
        run()?,
        1,
        &["virtual machines are running here (", "--scenario existing", "--allow-shared"],
    )?;
    let mut shared = run()?;
    shared.args(["--parts", "overhead", "--allow-shared"]);
    succeed(shared).map(drop)
}

/// A process with a guest. Ended and reaped when it is dropped.
struct Neighbour {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    tap: String,
    worker: u32,
}

impl Neighbour {
    fn start() -> Result<Self> {
        crate::load_modules()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env(NEIGHBOUR, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting a neighbour")?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut this = Self { child, orders, answers, tap: String::new(), worker: 0 };
        let line = this.answer()?;
        let (tap, worker) = line.split_once(' ').with_context(|| line.clone())?;
        (this.tap, this.worker) = (tap.into(), worker.parse()?);
        Ok(this)
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn order(&mut self, kicks: u64) -> Result<()> {
        Ok(writeln!(self.orders.as_mut().context("closed")?, "{kicks}")?)
    }

    /// Bytes that it sent with this number of kicks.
    fn kick(&mut self, kicks: u64) -> Result<u64> {
        self.order(kicks)?;
        Ok(self.answer()?.parse()?)
    }

    /// What must not change: the CPUs and names of its threads, and its open files.
    fn state(&self) -> Result<Vec<String>> {
        let process = format!("/proc/{}", self.child.id());
        let mut state = Vec::new();
        for task in fs::read_dir(format!("{process}/task"))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            let keep = |line: &&str| line.starts_with("Name:") || line.starts_with("Cpus_allowed:");
            state.extend(status.lines().filter(keep).map(str::to_owned));
        }
        for descriptor in fs::read_dir(format!("{process}/fd"))? {
            let path = descriptor?.path();
            state.push(format!("{} {}", path.display(), fs::read_link(&path)?.display()));
        }
        let worker = format!("/proc/{}/status", self.worker);
        state.push(fs::read_to_string(worker)?.lines().filter(|l| l.contains("Cpus")).collect());
        state.sort();
        Ok(state)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Its testbed is removed when its input ends; if that takes too long, whoever kills this
        // process also kills it.
        self.orders.take();
        let _ = self.child.wait();
    }
}

fn theirs(run: &Run) -> probe_core::error::Result<Testbed> {
    let guests = Guests { kind: GuestKind::Existing, ..Guests::default() };
    Testbed::of_guests(run, &guests, &here())
}

fn neighbours() -> Result<()> {
    let run = Run::start()?;
    let mut neighbours = [Neighbour::start()?, Neighbour::start()?];
    let before = [neighbours[0].state()?, neighbours[1].state()?];
    let found = existing::guests()?;
    // In the order of their process ids.
    neighbours.sort_by_key(|neighbour| neighbour.child.id());
    for (neighbour, found) in neighbours.iter().zip(&found) {
        ensure!(found.pid == neighbour.child.id() && found.devices == 1, "{found:?}");
        ensure!(found.workers == [neighbour.worker], "{found:?}: {}", neighbour.worker);
        let taps: Vec<_> = found.taps.iter().map(|tap| &tap.name).collect();
        ensure!(taps == [&neighbour.tap], "{found:?}: {}", neighbour.tap);
    }
    ensure!(found.len() == 2, "{found:?}");

    let testbed = theirs(&run)?;
    // Each is in a separate namespace, so no capture could open both.
    ensure!(testbed.dut().is_none() && testbed.taps().len() == 2, "{:?}", testbed.taps());
    let target = targets::resolve("vhost", &Kallsyms::load()?)?;
    let reference = ReferenceCounter::attach(&run.programs, &target, testbed.workers())?;
    let (calls, bytes) = (reference.read(), testbed.bytes_by_guest()?);
    let sent = [neighbours[0].kick(1500)?, neighbours[1].kick(400)?];
    let readings = [calls, reference.read()];
    let grown: Vec<u64> =
        testbed.bytes_by_guest()?.iter().zip(&bytes).map(|(now, then)| now - then).collect();
    let received = testbed.sink().read()?.bytes.0;
    let with_reference = reference.finish(&readings)?;
    testbed.close()?;
    ensure!(with_reference.series.missed == Loss::NONE, "{with_reference:?}");
    ensure!(
        with_reference.series.functions[0] == ReferenceCounts::Calls(vec![1900]),
        "{with_reference:?}"
    );
    let calls: Vec<_> = with_reference.guests.iter().map(|guest| &guest["handle_tx"][..]).collect();
    ensure!(calls == [[1500], [400]], "{with_reference:?}");
    // The TAP counts a frame without its virtio-net header, as the guest does.
    ensure!(grown == sent && received >= sent.iter().sum(), "{grown:?}, sent {sent:?}");
    neighbours.sort_by_key(|neighbour| neighbour.child.id());
    let after = [neighbours[0].state()?, neighbours[1].state()?];
    let both = |mut state: [Vec<String>; 2]| {
        state.sort();
        state
    };
    ensure!(both(before) == both(after), "something of theirs was changed");
    Ok(())
}

fn alongside() -> Result<()> {
    let mut neighbour = Neighbour::start()?;
    let target = targets::resolve("vhost", &Kallsyms::load()?)?;
    // More than it can do before its input ends.
    neighbour.order(20_000)?;
    let checks = reference::verify_alongside(&Programs::default(), &target, 1, || {
        std::thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    neighbour.answer()?;
    let handle_tx = checks.first().context("no check")?;
    ensure!(handle_tx.target > 0 && handle_tx.slack < handle_tx.target, "{handle_tx:?}");
    Ok(())
}

fn ended() -> Result<()> {
    let run = Run::start()?;
    let neighbour = Neighbour::start()?;
    let testbed = theirs(&run)?;
    let mut load = testbed.start(Offered::ClosedLoop { kicks: 0 })?;
    load.check()?;
    let pid = neighbour.child.id();
    drop(neighbour);
    ensure!(!Path::new(&format!("/proc/{pid}")).exists(), "it lives");
    for error in [load.check().err(), testbed.bytes_by_guest().err(), load.stop().err()] {
        let error = error.context("nobody missed it")?.to_string();
        ensure!(error.contains(&format!("(pid {pid})")), "{error}");
    }
    Ok(testbed.close()?)
}

fn nobody() -> Result<()> {
    crate::load_modules()?;
    let error = theirs(&Run::start()?).err().context("found somebody")?.to_string();
    ensure!(error.contains("vhost-PID") && error.contains("vhost=on"), "{error}");
    // A testbed of ours is not a neighbour.
    let run = Run::start()?;
    let testbed = Testbed::of_guests(&run, &Guests::default(), &here())?;
    let (workers, found) = (testbed.workers().to_vec(), existing::guests()?);
    ensure!(found.is_empty() && matches!(workers[..], [Worker { guest: 0, .. }]), "{found:?}");
    Ok(testbed.close()?)
}
