//! Open vSwitch: the real `ovs-vswitchd` and `ovsdb-server`, with their own database and run
//! folder.
//!
//! Its kernel part, the datapath, belongs to the network namespace of the programs: nobody else
//! uses it, and it ends with the device under test. A frame that matches no flow of the datapath is
//! passed up to `ovs-vswitchd`, which adds a flow. If that does not get to run, the datapath loses
//! what its socket cannot hold, and counts it ([`Datapath::lost`]). So flows are kept
//! ([`FOREVER`]), and the network creates them before anything is measured.

use std::{
    fs,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use netlink_packet_core::{NLM_F_DUMP, NlasIterator};
use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
use tempfile::TempDir;

use super::Port;
use crate::{
    kernel::{clock, genetlink::Family, netns::Netns, run::Run},
    workload::process_group::{self, Confinement, ProcessGroup},
};

const PACKAGE: &str = "openvswitch-switch";

/// Settings of `ovs-vswitchd`: a flow is removed after this many ms without a frame (10,000 by
/// default), and never because it has few frames while the revalidators hardly run.
const FOREVER: [&str; 2] = ["other_config:max-idle=86400000", "other_config:min-revalidate-pps=0"];

/// Before the machine has been up for this long, `count_cpu_cores` (lib/ovs-thread.c, Open vSwitch
/// 3.1) returns 0, and no thread handles what the datapath passes up.
const COUNTS_CPUS_FROM: Nanos = Nanos(10_100_000_000);

/// How long a command waits for the database and for `ovs-vswitchd`, in seconds.
const PATIENCE: &str = "--timeout=60";

// linux/openvswitch.h
const FAMILY: &str = "ovs_datapath";
const OVS_DP_CMD_GET: u8 = 3;
const OVS_DP_ATTR_STATS: u16 = 3;

/// Checks that its programs are installed.
///
/// # Errors
/// The first that is not, and its package.
pub(in crate::workload) fn detect() -> Result<()> {
    ["ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl", "ovs-appctl"]
        .into_iter()
        .try_for_each(|program| process_group::command(program, PACKAGE).map(drop))
}

/// A running switch. Dropping it kills its programs and removes the folder.
#[derive(Debug)]
pub(super) struct Ovs {
    process_group: ProcessGroup,
    // After the process group, which writes to it.
    folder: TempDir,
}

impl Ovs {
    /// Starts the switch in `dut` on these CPUs, with a bridge `bridge` of `ports`. It is
    /// killed when the calling thread ends.
    ///
    /// # Errors
    /// It is not installed, or does not do what it is told.
    pub(super) fn start(
        run: &Run,
        dut: &Netns,
        cpus: &[u32],
        bridge: &str,
        ports: &[Port<'_>],
    ) -> Result<Self> {
        detect()?;
        let name = run.object("ovs");
        let folder = run.folder("ovs")?;
        let confinement = Confinement { cgroup: &name, netns: dut, cpus, package: PACKAGE };
        let process_group = ProcessGroup::new(confinement)?;
        let mut ovs = Self { process_group, folder };
        ovs.boot(bridge, ports)?;
        Ok(ovs)
    }

    fn boot(&mut self, bridge: &str, ports: &[Port<'_>]) -> Result<()> {
        let [database, socket] = ["conf.db", "db.sock"].map(|file| self.path(file));
        self.tell("ovsdb-tool", &["create", &database])?;
        let [remote, control] =
            [format!("--remote=punix:{socket}"), self.option("unixctl", "db.ctl")];
        self.process_group.start(self.program("ovsdb-server", &[&database, &remote, &control])?)?;
        self.configure(&[
            "--no-wait",
            "init",
            "--",
            "set",
            "Open_vSwitch",
            ".",
            FOREVER[0],
            FOREVER[1],
        ])?;

        await_age();
        let [control, log] =
            [self.option("unixctl", "switch.ctl"), self.option("log-file", "switch.log")];
        let database = format!("unix:{socket}");
        let pid = self
            .process_group
            .start(self.program("ovs-vswitchd", &[&database, &control, &log])?)?;
        let mut plan = vec!["add-br", bridge];
        for port in ports {
            plan.extend(["--", "add-port", bridge, port.name]);
        }
        let said = self.configure(&plan)?;
        self.process_group.check()?;
        // It reports when the switch could not do it, but exits with success.
        if !said.trim().is_empty() {
            return Err(Error::Inconsistent(format!("ovs-vsctl: {}", said.trim())));
        }
        check_handlers(pid)?;
        let control = format!("--target={}", self.path("switch.ctl"));
        for port in ports {
            let mac = port.mac.to_string();
            self.tell(
                "ovs-appctl",
                &[&control, PATIENCE, "fdb/add", bridge, port.name, "0", &mac],
            )?;
        }
        Ok(())
    }

    /// Checks that both its programs are still running.
    ///
    /// # Errors
    /// One has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.process_group.check()
    }

    /// Ends it, and waits until it has ended.
    ///
    /// # Errors
    /// A program does not end, or the folder cannot be removed.
    pub(super) fn close(self) -> Result<()> {
        let closed = self.process_group.close();
        let path = self.folder.path().to_owned();
        let removed = self.folder.close().map_err(|e| Error::file("remove", path, e));
        closed.and(removed)
    }

    /// Runs `ovs-vsctl` on our database.
    fn configure(&self, words: &[&str]) -> Result<String> {
        let database = format!("--db=unix:{}", self.path("db.sock"));
        self.tell("ovs-vsctl", &[&[&database, "--retry", PATIENCE], words].concat())
    }

    fn tell(&self, program: &str, words: &[&str]) -> Result<String> {
        self.process_group.run(self.program(program, words)?)
    }

    /// A program that uses nothing outside our folder.
    fn program(&self, name: &str, words: &[&str]) -> Result<Command> {
        let mut command = process_group::command(name, PACKAGE)?;
        command.args(words);
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, self.folder.path());
        }
        Ok(command)
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }

    fn option(&self, name: &str, file: &str) -> String {
        format!("--{name}={}", self.path(file))
    }
}

/// The kernel part, from the module `openvswitch`.
#[derive(Debug)]
pub(super) struct Datapath(Mutex<Family>);

impl Datapath {
    /// The datapath of `dut`, whether or not the switch is already running.
    ///
    /// # Errors
    /// The kernel has none.
    pub(super) fn of(dut: &Netns) -> Result<Self> {
        let family = dut.run(|| Family::find(FAMILY))??.ok_or_else(|| {
            Error::unsupported(
                "Open vSwitch",
                "this kernel has no datapath for it",
                "Load the module: `modprobe openvswitch`",
            )
        })?;
        Ok(Self(Mutex::new(family)))
    }

    /// Frames that were passed up and found no room, since the switch was created.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn lost(&self) -> Result<u64> {
        let mut family = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // struct ovs_header: every datapath of the namespace, of which there is one.
        let answers = family.request(OVS_DP_CMD_GET, &0_i32.to_ne_bytes(), NLM_F_DUMP)?;
        let lost: Option<u64> = answers.iter().map(|answer| lost(answer)).sum();
        let lost = lost.filter(|_| !answers.is_empty());
        lost.ok_or_else(|| Error::malformed("the datapath of Open vSwitch", "it has no statistics"))
    }
}

fn await_age() {
    let young = COUNTS_CPUS_FROM.since(clock::now());
    thread::sleep(Duration::from_nanos(young.0));
}

/// Checks that there are threads for what the datapath passes up.
fn check_handlers(pid: u32) -> Result<()> {
    let folder = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&folder).map_err(|e| Error::file("read", &folder, e))?;
    let name = |path: std::path::PathBuf| fs::read_to_string(path.join("comm")).unwrap_or_default();
    if threads.flatten().any(|thread| name(thread.path()).starts_with("handler")) {
        return Ok(());
    }
    Err(Error::Inconsistent(
        "ovs-vswitchd runs without a handler thread: every frame without a flow would be lost"
            .into(),
    ))
}

/// `n_lost` of `struct ovs_dp_stats`, behind `n_hit` and `n_missed`.
fn lost(answer: &[u8]) -> Option<u64> {
    // struct ovs_header: the datapath's interface index.
    let mut attributes = NlasIterator::new(answer.get(4..)?).flatten();
    let stats = attributes.find(|attribute| attribute.kind() == OVS_DP_ATTR_STATS)?;
    Some(u64::from_ne_bytes(stats.value().get(16..24)?.try_into().ok()?))
}
