//! One VM: its QEMU process, its console, and the line to its guest.
//!
//! It has only what the experiment needs: a processor or two, memory, a network card on vhost, a
//! serial console and a port for orders. Nothing of it has a name in the file system: TAP and vhost
//! device, port and console are descriptors that the process inherits, and the console is an
//! unnamed file.

use std::{
    fs::{self, File},
    os::{
        fd::{AsFd as _, AsRawFd, OwnedFd},
        unix::{fs::FileExt as _, net::UnixStream},
    },
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use probe_core::{
    error::{Error, Result},
    model::scenario::Guests,
};

use super::{
    channel::{Channel, Order},
    needs::{self, Image},
};
use crate::{
    kernel::{affinity, arch::Architecture, cgroup::Cgroup, netns::Netns},
    sys::{
        child::{self, ChildPlace},
        tun::Tap,
    },
    workload::{addresses::guest_mac, vhost::worker},
};

/// How much of a console is included in an error, in bytes.
const TAIL: usize = 1500;

/// How long a QEMU that closed its port may take to end. In between the kernel removes the VM and
/// waits for grace periods of RCU, which takes long if KVM itself is emulated and others need the
/// processor.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// The environment of VMs.
#[derive(Debug, Clone, Copy)]
pub(super) struct VmConfinement<'a> {
    pub(super) cgroup: &'a Cgroup,
    pub(super) dut: &'a Netns,
    pub(super) cpus: &'a [u32],
    /// Set once the user wants to end.
    pub(super) interrupted: &'a Arc<AtomicBool>,
}

/// A VM. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Vm {
    number: u16,
    child: Child,
    /// The output of console and QEMU.
    console: File,
    channel: Channel,
}

impl Vm {
    /// Starts guest number `number` on `tap`. It is killed when the calling thread ends.
    ///
    /// # Errors
    /// No vhost-net; QEMU cannot be started.
    pub(super) fn start(
        image: &Image,
        spec: &Guests,
        (number, tap): (u16, &Tap),
        confinement: VmConfinement<'_>,
    ) -> Result<Self> {
        let file = |e| Error::file("create", std::env::temp_dir(), e);
        let console = tempfile::tempfile().map_err(file)?;
        let [out, err] = [console.try_clone().map_err(file)?, console.try_clone().map_err(file)?];
        let (ours, theirs) =
            UnixStream::pair().map_err(|e| Error::call("socketpair", "a guest's port", e))?;
        let descriptors = Descriptors::new(tap, theirs.into())?;
        let mut command = needs::qemu()?;
        let machines = Architecture::current()?.machines;
        command.args(arguments(machines, image, spec, number, &descriptors));
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let netns = Some(confinement.dut.try_clone()?);
        let cpus = Some(affinity::set(confinement.cpus)?);
        let place = ChildPlace { cgroup: Some(confinement.cgroup.entrance()?), netns, cpus };
        let child = child::start_with(command, place, descriptors.all())
            .map_err(|e| Error::call("execve", "QEMU", e))?;
        let channel = Channel::new(ours, confinement.interrupted.clone());
        Ok(Self { number, child, console, channel })
    }

    /// Waits until the guest has booted, and configures its address.
    ///
    /// # Errors
    /// As [`Channel::await_ready`]; or the guest rejects its address.
    pub(super) fn await_boot(&mut self, limit: Instant, address: Order) -> Result<()> {
        self.on_line(|channel| channel.await_ready(limit))?;
        self.on_line(|channel| channel.order(address))?;
        self.on_line(Channel::settle)
    }

    /// Does something on the line to the guest.
    ///
    /// # Errors
    /// That of the line, with the number of the VM, whether it is still alive, and the tail of its
    /// console.
    pub(super) fn on_line<T>(&mut self, act: impl FnOnce(&mut Channel) -> Result<T>) -> Result<T> {
        act(&mut self.channel).map_err(|error| match error {
            plain @ (Error::Unsupported { .. } | Error::Interrupted) => plain,
            error => Error::Inconsistent(self.describe(&error)),
        })
    }

    /// Threads of its vhost workers, one for each of `queues` pairs of queues.
    ///
    /// # Errors
    /// They cannot be found.
    pub(super) fn workers(&self, queues: u32) -> Result<Vec<u32>> {
        // QEMU's first thread opens its devices.
        let found = worker::of_owner(self.child.id(), self.child.id())?;
        if found.len() != queues as usize {
            let why = format!("workers {found:?} of {queues} vhost devices");
            return Err(Error::Inconsistent(format!("vm{}: {why}", self.number + 1)));
        }
        Ok(found)
    }

    /// QEMU's own thread and those of the processors; not the vhost workers.
    ///
    /// # Errors
    /// The process has ended.
    pub(super) fn threads(&self) -> Result<Vec<u32>> {
        let mut found = vec![self.child.id()];
        found.extend(self.processors()?);
        Ok(found)
    }

    /// The threads of the virtual processors.
    ///
    /// # Errors
    /// The process has ended.
    pub(super) fn processors(&self) -> Result<Vec<u32>> {
        let folder = format!("/proc/{}/task", self.child.id());
        let entries = fs::read_dir(&folder).map_err(|e| Error::file("read", &folder, e))?;
        let named = |entry: fs::DirEntry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            let tid = entry.file_name().to_str()?.parse().ok()?;
            name.starts_with("CPU ").then_some(tid)
        };
        Ok(entries.flatten().filter_map(named).collect())
    }

    /// A description of what is wrong with it.
    fn describe(&mut self, error: &Error) -> String {
        // Only the end of the line means that QEMU is ending; after other errors the guest still
        // has a line.
        let patience =
            if matches!(error, Error::Call { .. }) { ENDS_WITHIN } else { Duration::ZERO };
        let state = match self.end(patience) {
            Some(status) => format!("QEMU has ended ({status})"),
            None => error.to_string(),
        };
        let text = self.printed();
        let from = text.ceil_char_boundary(text.len().saturating_sub(TAIL));
        let tail = match text.get(from..).unwrap_or(&text).trim() {
            "" => "its console is empty".to_owned(),
            tail => format!("its console ends with:\n{tail}"),
        };
        format!("vm{}: {state}; {tail}", self.number + 1)
    }

    /// Whether QEMU has ended as if the guest had powered itself off, and neither of them said why.
    pub(super) fn ended_without_a_word(&mut self) -> bool {
        let ended = self.end(Duration::ZERO).is_some_and(|status| status.success());
        ended && self.printed().trim().is_empty()
    }

    /// QEMU's exit status, if it ends: its port closes before it ends.
    fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let limit = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < limit => thread::sleep(Duration::from_millis(10)),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    fn printed(&self) -> String {
        let length = self.console.metadata().map_or(0, |data| data.len());
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = self.console.read_at(&mut bytes, 0).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // The guest has no disk, so there is nothing that it needs to finish. An error means that
        // it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What QEMU inherits.
struct Descriptors {
    port: OwnedFd,
    /// The TAP's, and a vhost device for each.
    queues: Vec<[OwnedFd; 2]>,
}

impl Descriptors {
    fn new(tap: &Tap, port: OwnedFd) -> Result<Self> {
        tap.attach()?;
        let queue = |file: &File| {
            let copied = file.as_fd().try_clone_to_owned();
            let copied = copied.map_err(|e| Error::call("fcntl(F_DUPFD)", tap.name(), e))?;
            Ok([copied, needs::vhost()?.into()])
        };
        Ok(Self { port, queues: tap.files().iter().map(queue).collect::<Result<_>>()? })
    }

    /// The argument of `-netdev`.
    fn backend(&self) -> String {
        let all = |which: usize| {
            let numbers = self.queues.iter().map(|queue| queue[which].as_raw_fd().to_string());
            numbers.collect::<Vec<_>>().join(":")
        };
        format!("tap,id=net,fds={},vhost=on,vhostfds={}", all(0), all(1))
    }

    fn all(self) -> Vec<OwnedFd> {
        self.queues.into_iter().flatten().chain([self.port]).collect()
    }
}

/// QEMU's command line.
fn arguments(
    machines: &probe_vm::Architecture,
    image: &Image,
    spec: &Guests,
    number: u16,
    fds: &Descriptors,
) -> Vec<String> {
    // The kernel's mitigations against speculation make VMs less reliable if KVM is emulated
    // (docs/src/guide/emulation.md).
    let kernel_line =
        format!("{} mitigations=off {}", machines.kernel_words(), machines.no_late_faults);
    let words = [
        ["-name", &format!("tracetoll-vm{},debug-threads=on", number + 1)],
        ["-machine", &format!("{},accel=kvm,memory-backend=memory", machines.guest_machine)],
        ["-object", &memory(spec)],
        ["-cpu", "host"],
        ["-smp", &spec.vcpus.to_string()],
        ["-m", &format!("{}M", spec.memory_mib)],
        ["-display", "none"],
        ["-kernel", &image.kernel.display().to_string()],
        ["-initrd", &image.initramfs.display().to_string()],
        ["-append", &kernel_line],
        ["-chardev", "stdio,id=console,signal=off"],
        ["-serial", "chardev:console"],
        ["-chardev", &format!("socket,id=orders,fd={}", fds.port.as_raw_fd())],
        ["-device", "virtio-serial-pci"],
        ["-device", "virtserialport,chardev=orders,name=tracetoll"],
        ["-netdev", &fds.backend()],
        ["-device", &card(spec, number)],
    ];
    let alone = ["-no-user-config", "-nodefaults", "-no-reboot"].into_iter();
    alone.chain(words.iter().flatten().copied()).map(str::to_owned).collect()
}

/// Where its memory comes from.
fn memory(spec: &Guests) -> String {
    let size = format!("id=memory,size={}M", spec.memory_mib);
    match spec.huge_pages {
        // Allocated now: a page that is missing later would kill the VM by SIGBUS.
        true => format!("memory-backend-memfd,{size},hugetlb=on,hugetlbsize=2M,prealloc=on"),
        false => format!("memory-backend-ram,{size}"),
    }
}

/// The network card with its virtio features.
fn card(spec: &Guests, number: u16) -> String {
    // All other offloads depend on these two in the guest's driver (virtnet_probe in
    // drivers/net/virtio_net.c), but QEMU must not configure the TAP differently either.
    const NONE: &str = ",csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,\
                        guest_ecn=off,guest_ufo=off,host_tso4=off,host_tso6=off,host_ecn=off,\
                        host_ufo=off";
    let offloads = if spec.offloads { "" } else { NONE };
    // Each queue has its own interrupt; so do the control queue and configuration changes.
    let queues = match spec.queues {
        1 => String::new(),
        pairs => format!(",mq=on,vectors={}", 2 * pairs + 2),
    };
    format!("virtio-net-pci,netdev=net,romfile=,mac={}{offloads}{queues}", guest_mac(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_says_its_address_and_offloads() {
        let spec = Guests { offloads: false, ..Guests::default() };
        let words = card(&spec, 3);
        assert!(words.contains("mac=02:74:74:00:00:03,csum=off"), "{words}");
        let words = card(&Guests { queues: 2, ..Guests::default() }, 0);
        assert!(words.ends_with(",mq=on,vectors=6"), "{words}");
        let plain = card(&Guests::default(), 0);
        assert!(plain.ends_with("mac=02:74:74:00:00:00"), "{plain}");
    }
}
