//! QEMU's command line for a [`Machine`].

use super::{Boot, Clock, Machine};
use crate::Architecture;
use crate::protocol::ClockName;
use crate::protocol::{self, PORTS};
use std::path::Path;
use std::process::Command;

/// The command that runs `machine`, whose files are in `dir`, with KVM or emulated.
///
/// setpriv makes the kernel kill QEMU when the thread that started it ends, even by SIGKILL.
pub(crate) fn command(arch: &Architecture, machine: &Machine, dir: &Path, kvm: bool) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", arch.qemu]);
    command.args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"]);
    command.args(["-m", &machine.memory, "-smp", &machine.cpus.to_string()]);
    let processor = match (kvm, machine.nested) {
        (true, _) => "host",
        (_, true) => arch.nested_processor,
        _ => "max",
    };
    command.args(["-cpu", processor]);
    clock(&mut command, machine, kvm);
    command.arg("-kernel").arg(&machine.kernel.image);
    command.arg("-initrd").arg(dir.join("initramfs"));
    command.args(["-append", &kernel_line(arch, machine, kvm)]);
    console(&mut command, machine, dir);
    // Without ioeventfd a write to a port is complete when it returns: what a killed guest wrote is
    // here, and no other thread of QEMU influences the guest.
    command.args(["-device", "virtio-serial-pci,ioeventfd=off"]);
    for port in PORTS {
        let path = escaped(&machine.port(dir, port));
        command.args(["-chardev", &format!("file,id={port},path={path}")]);
        command.args(["-device", &format!("virtserialport,chardev={port},name=tracetoll.{port}")]);
    }
    if machine.boot == Boot::NineP {
        share(&mut command, "root", Path::new("/"), ",readonly=on,multidevs=remap");
        if let Some(results) = &machine.results {
            share(&mut command, "results", results, "");
        }
    }
    command
}

fn clock(command: &mut Command, machine: &Machine, kvm: bool) {
    match machine.clock {
        Clock::Wall if kvm => command.args(["-accel", "kvm"]),
        Clock::Wall => command.args(["-accel", "tcg,thread=multi"]),
        Clock::Counted { shift } => command
            .args(["-accel", "tcg,thread=single"])
            .args(["-icount", &format!("shift={shift},sleep=off")])
            .args(["-rtc", "base=2024-01-01T00:00:00,clock=vm"]),
    };
    if let Some(seed) = machine.seed {
        command.args(["-seed", &seed.to_string()]);
    }
}

fn kernel_line(arch: &Architecture, machine: &Machine, kvm: bool) -> String {
    let mut line = arch.kernel_words();
    if machine.clock.name() == ClockName::Counted {
        line += " nokaslr norandmaps";
    }
    line += &format!(" {}", protocol::words(machine.clock.name(), kvm));
    if machine.nested {
        // Use as little as possible of what the emulation sometimes gets wrong
        // (docs/src/guide/emulation.md): khugepaged, which moves the memory of running VMs, was
        // seen to hang.
        line += &format!(" transparent_hugepage=never mitigations=off {}", arch.nested_words);
    }
    if let Some(words) = &machine.append {
        line += &format!(" {words}");
    }
    if machine.huge_pages > 0 {
        line += &format!(" hugepages={}", machine.huge_pages);
    }
    line
}

fn console(command: &mut Command, machine: &Machine, dir: &Path) {
    let log = escaped(&dir.join("console.log"));
    if machine.shell {
        let stdio = format!("stdio,id=console,mux=on,signal=off,logfile={log}");
        command.args(["-chardev", &stdio, "-mon", "chardev=console,mode=readline"]);
    } else {
        command.args(["-chardev", &format!("file,id=console,path={log}")]);
    }
    command.args(["-serial", "chardev:console"]);
}

fn share(command: &mut Command, tag: &str, path: &Path, extra: &str) {
    let path = escaped(path);
    let local = format!("local,id={tag},path={path},security_model=none{extra}");
    command.args(["-fsdev", &local]);
    command.args(["-device", &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}")]);
}

/// A path as part of a QEMU option: commas are doubled.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
