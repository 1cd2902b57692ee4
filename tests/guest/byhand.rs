//! A VM that was started by hand: tracetoll finds it, measures it, and changes nothing of it.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_user::{
    kernel::netlink::{Interface, Netlink},
    workload::{existing, iperf},
};
use serde_json::Value;

use crate::{
    kvm,
    tool::{Folder, succeed, tracetoll},
    victim,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![crate::test("kvm::a_vm_that_runs_already_is_found_and_left_alone", found)]
}

/// Long enough for a boot on an emulated processor; it decides whether it hangs.
const NO_HANG: Duration = Duration::from_secs(300);

const TAP: &str = "byhand0";

const OURS: &str = "10.99.0.1";

/// A process of the test; killed and reaped when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The VM, with the line to its init script (`probe-vm/src/image/orders.sh`).
struct Vm {
    qemu: Process,
    line: BufReader<UnixStream>,
}

impl Vm {
    fn start(folder: &Path) -> Result<Self> {
        let socket = folder.join("line");
        let listener = UnixListener::bind(&socket)?;
        let image = kvm::image()?;
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-name", "guest=byhand", "-machine", "pc,accel=kvm", "-cpu", "host"]);
        command.args(["-m", "160M", "-display", "none", "-nodefaults", "-no-reboot"]);
        command
            .arg("-kernel")
            .arg(image.join("kernel"))
            .arg("-initrd")
            .arg(image.join("initramfs"));
        command.args(["-append", "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check"]);
        command.args(["-serial", &format!("file:{}", folder.join("console").display())]);
        command.args(["-chardev", &format!("socket,id=line,path={}", socket.display())]);
        command.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=line"]);
        let netdev = format!("tap,id=net,ifname={TAP},script=no,downscript=no,vhost=on");
        command.args(["-netdev", &netdev, "-device", "virtio-net-pci,netdev=net,romfile="]);
        let mut qemu = Process(command.stdin(Stdio::null()).spawn().context("starting QEMU")?);
        listener.set_nonblocking(true)?;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(e) => ensure!(e.kind() == ErrorKind::WouldBlock, "{e}"),
            }
            ensure!(qemu.0.try_wait()?.is_none(), "QEMU has ended");
            thread::sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(NO_HANG))?;
        let mut vm = Self { qemu, line: BufReader::new(stream) };
        ensure!(vm.said()? == "ready", "it does not boot");
        Ok(vm)
    }

    fn pid(&self) -> u32 {
        self.qemu.0.id()
    }

    fn said(&mut self) -> Result<String> {
        let mut line = String::new();
        self.line.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn order(&mut self, order: &str, answer: &str) -> Result<()> {
        writeln!(self.line.get_mut(), "{order}")?;
        let said = self.said()?;
        ensure!(said == answer, "{order}: {said}");
        Ok(())
    }

    /// What must not change: the CPUs of its threads, its open files, and its TAP's settings.
    fn state(&self) -> Result<BTreeSet<String>> {
        let process = format!("/proc/{}", self.pid());
        let mut state = BTreeSet::new();
        for task in fs::read_dir(format!("{process}/task"))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            let keep = |line: &&str| line.starts_with("Name:") || line.starts_with("Cpus_allowed:");
            let kept: Vec<_> = status.lines().filter(keep).collect();
            // Threads of QEMU's worker pool come and go.
            if ["qemu-system", "CPU ", "vhost-"].iter().any(|name| kept[0].contains(name)) {
                state.insert(kept.join(" "));
            }
        }
        for descriptor in fs::read_dir(format!("{process}/fd"))? {
            let path = descriptor?.path();
            state.insert(format!("{} {}", path.display(), fs::read_link(&path)?.display()));
        }
        for setting in ["mtu", "flags", "tx_queue_len", "address"] {
            let path = format!("/sys/class/net/{TAP}/{setting}");
            state.insert(format!("{setting} {}", fs::read_to_string(path)?));
        }
        Ok(state)
    }
}

/// Makes the VM send to a server on this machine, only over its TAP.
fn connect(vm: &mut Vm) -> Result<Process> {
    let index = fs::read_to_string(format!("/sys/class/net/{TAP}/ifindex"))?.trim().parse()?;
    let mut links = Netlink::open()?;
    links.add_address(Interface { name: TAP, index }, OURS.parse()?, 24)?;
    links.up(TAP)?;
    let mac = fs::read_to_string(format!("/sys/class/net/{TAP}/address"))?;
    vm.order(&format!("address 10.99.0.2/24 {OURS} {}", mac.trim()), "done")?;
    let port = iperf::port(0).to_string();
    let mut server = Command::new("iperf3");
    server.args(["-s", "-B", OURS, "-p", &port]).stdin(Stdio::null()).stdout(Stdio::null());
    let server = Process(server.spawn().context("starting iperf3")?);
    let words = iperf::client_to(OURS.parse()?, iperf::port(0), None).join(" ");
    vm.order(&format!("send {port} {words}"), "sending")?;
    Ok(server)
}

fn found() -> Result<()> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let mut vm = Vm::start(folder.path())?;
    let server = connect(&mut vm)?;
    let before = vm.state()?;
    let name = format!("byhand (pid {})", vm.pid());

    let found = existing::guests()?;
    ensure!(found.len() == 1, "{found:?}");
    ensure!(found[0].name == name && found[0].pid == vm.pid(), "{found:?}");
    ensure!(found[0].devices == 1 && found[0].workers.len() == 1, "{found:?}");
    let taps: Vec<_> = found[0].taps.iter().map(|tap| &tap.name[..]).collect();
    ensure!(taps == [TAP], "{found:?}");
    let listed = succeed(tracetoll(["guests"])?)?;
    ensure!(listed.contains(&name) && listed.contains(TAP), "{listed}");

    measured(folder.path(), &name)?;
    let after = vm.state()?;
    ensure!(before == after, "of {before:#?} there is {after:#?}");
    ensure!(existing::guests()? == found, "it is another now");
    drop((vm, server));
    victim::gone(&["qemu-system-x86", "iperf3"])
}

/// A few seconds of it, with its calls and bytes under its name.
fn measured(folder: &Path, name: &str) -> Result<()> {
    let out = folder.join("out");
    let mut run = tracetoll(["run", "--scenario", "existing", "--time-scale", "0.1"])?;
    run.args([
        "--parts",
        "fidelity",
        "--blocks",
        "1",
        "--methods",
        "off,bpf-fentry-count",
        "--out",
    ]);
    run.arg(&out);
    succeed(run)?;
    let campaign: Value = serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    let trials = campaign["trials"].as_array().context("no trials")?;
    ensure!(trials.len() == 2, "{} trials", trials.len());
    for trial in trials {
        let guests = &trial["outcome"]["done"]["guests"];
        let guests = guests.as_array().with_context(|| trial["outcome"].to_string())?;
        ensure!(guests.len() == 1 && guests[0]["name"] == name, "{guests:?}");
        ensure!(guests[0]["counted_at"] == "tap", "{guests:?}");
        for series in [&guests[0]["throughput"], &guests[0]["calls"]["handle_tx"]] {
            let numbers = series.as_array().context("no series")?.iter();
            ensure!(numbers.filter_map(Value::as_u64).sum::<u64>() > 0, "{guests:?}");
        }
    }
    Ok(())
}
