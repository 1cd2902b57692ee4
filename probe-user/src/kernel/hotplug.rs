//! Reports CPUs that go offline or come online.
//!
//! The kernel broadcasts each change, even if it is undone at once (drivers/base/core.c,
//! `device_offline`, `device_online`; kernel/cpu.c for `smt/control`), in the event that udev
//! reads. The set of online CPUs is compared as well, for changes without an event.

use std::{fmt, io};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_KOBJECT_UEVENT};
use probe_core::error::{Error, Result};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::cpus;

/// The kernel's own multicast group; the other one is udev's.
const KERNEL: u32 = 1;

/// Space for the events of all devices, since the kernel does not filter them: about ten thousand.
const ROOM: usize = 16 << 20;

/// A CPU that has come online or gone offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub cpu: u32,
    /// Whether it came online.
    pub online: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.online { "came online" } else { "went offline" };
        write!(f, "CPU {} {how}", self.cpu)
    }
}

/// Sees every change from its start on.
#[derive(Debug)]
pub struct Hotplug {
    socket: Socket,
    online: Online,
}

impl Hotplug {
    /// Starts to listen.
    ///
    /// # Errors
    /// The kernel refused, or /sys cannot be read.
    pub fn watch() -> Result<Self> {
        let open = || {
            let mut socket = Socket::new(NETLINK_KOBJECT_UEVENT)?;
            socket.bind(&SocketAddr::new(0, KERNEL))?;
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        let socket = open().map_err(failed)?;
        // Without the privilege, the space is that of sysctl net.core.rmem_default.
        let _ = set_socket_recv_buffer_size_force(&socket, ROOM);
        Ok(Self { socket, online: Online(cpus::online()?.to_vec()) })
    }

    /// The changes since the last call, in order.
    ///
    /// # Errors
    /// There were more device events than the kernel could keep for us, so some may be missing; or
    /// /sys cannot be read.
    pub fn changes(&mut self) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        let told = self.take_events(&mut changes);
        // Also if events were lost: the next call must know what is online now.
        self.online.becomes(&cpus::online()?, &mut changes);
        told.map(|()| changes)
    }

    fn take_events(&mut self, changes: &mut Vec<Change>) -> Result<()> {
        let mut outcome = Ok(());
        loop {
            match self.socket.recv_from_full() {
                Ok((event, sender)) if sender.port_number() == 0 => {
                    changes.extend(of_event(&event).filter(|change| self.online.takes(*change)));
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return outcome,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => outcome = Err(failed(e)),
                Err(e) => return Err(failed(e)),
            }
        }
    }
}

/// The CPUs that are online, as far as reported.
#[derive(Debug)]
struct Online(Vec<u32>);

impl Online {
    /// Records a change; returns whether it is new.
    fn takes(&mut self, change: Change) -> bool {
        let known = self.0.contains(&change.cpu);
        match change.online {
            true if !known => self.0.push(change.cpu),
            false => self.0.retain(|cpu| *cpu != change.cpu),
            true => {}
        }
        known != change.online
    }

    /// Records what is online now, adding changes that were not reported yet.
    fn becomes(&mut self, now: &[u32], changes: &mut Vec<Change>) {
        let gone = self.0.iter().filter(|cpu| !now.contains(cpu));
        changes.extend(gone.map(|&cpu| Change { cpu, online: false }));
        let come = now.iter().filter(|cpu| !self.0.contains(cpu));
        changes.extend(come.map(|&cpu| Change { cpu, online: true }));
        self.0 = now.to_vec();
    }
}

/// The change reported by an event: it begins with `offline@/devices/system/cpu/cpu2` and a zero
/// (lib/kobject_uevent.c, `alloc_uevent_skb`).
fn of_event(event: &[u8]) -> Option<Change> {
    let head = event.split(|byte| *byte == 0).next()?;
    let (action, device) = str::from_utf8(head).ok()?.split_once('@')?;
    let cpu = device.strip_prefix("/devices/system/cpu/cpu")?.parse().ok()?;
    let online = match action {
        "online" => true,
        "offline" => false,
        _ => return None,
    };
    Some(Change { cpu, online })
}

fn failed(e: io::Error) -> Error {
    let lost = e.raw_os_error() == Some(libc::ENOBUFS);
    let error = Error::call("recvfrom", "the kernel's events of devices", e);
    match lost {
        true => error.with_hint(
            "A CPU may have gone offline unnoticed: stop whatever creates and removes so many \
             devices",
        ),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(cpu: u32, online: bool) -> Change {
        Change { cpu, online }
    }

    #[test]
    fn events_of_cpus_are_told_from_others() {
        let event = b"offline@/devices/system/cpu/cpu12\0ACTION=offline\0SUBSYSTEM=cpu\0";
        assert_eq!(of_event(event), Some(change(12, false)));
        assert_eq!(of_event(b"online@/devices/system/cpu/cpu0\0"), Some(change(0, true)));
        for other in [
            &b"add@/devices/system/cpu/cpu3\0"[..],
            b"offline@/devices/system/memory/memory3\0",
            b"online@/devices/system/cpu/cpufreq\0",
            b"change@/devices/virtual/net/tap0\0",
            b"libudev\0",
            b"\xff@\0",
            b"",
        ] {
            assert_eq!(of_event(other), None, "{other:?}");
        }
    }

    #[test]
    fn each_change_is_told_once_however_we_learn_of_it() {
        let mut online = Online(vec![0, 1, 2]);
        let mut changes = Vec::new();
        online.becomes(&[0, 2], &mut changes);
        // Its event arrives later than the list.
        assert!(!online.takes(change(1, false)));
        // Offline and back between two calls.
        assert!(online.takes(change(2, false)) && online.takes(change(2, true)));
        online.becomes(&[0, 2, 3], &mut changes);
        assert_eq!(changes, [change(1, false), change(3, true)]);
        assert_eq!(changes[0].to_string(), "CPU 1 went offline");
    }

    #[test]
    fn nothing_changes_by_itself() {
        let mut hotplug = Hotplug::watch().unwrap();
        assert_eq!(hotplug.changes().unwrap(), []);
    }
}
