//! Guests that already run, with whatever load they have. They are found and observed; nothing is
//! changed: not their CPUs, their network or their load.

mod found;
mod process;

use std::{
    fs::File,
    os::{fd::AsFd as _, unix::fs::FileExt as _},
    sync::Arc,
    thread,
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::{
        trial::{Received, Sent},
        units::Bytes,
    },
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

pub use self::found::{Found, FoundTap, guests};
use super::{
    Hogs, Orders,
    fleet::{Ended, Fleet, Load, Worker},
    network::{Counters, Sink, TapCounters, Way},
};
use crate::{
    kernel::{netdev::NetDevices, netns::Netns},
    sys::tun,
};

/// The guests that were found.
pub(super) struct Existing {
    guests: Arc<Vec<Guest>>,
    workers: Vec<Worker>,
    taps: Vec<String>,
    places: Vec<Netns>,
}

/// Their environment.
pub(super) struct Ground {
    /// What their TAPs send.
    pub(super) sink: Sink,
    /// The network namespaces of the TAPs, each once; at least one.
    pub(super) places: Vec<Netns>,
}

/// A guest, with the files that are read for it.
struct Guest {
    name: String,
    taps: Vec<Tap>,
    /// The workers' names. The file of a thread that has ended cannot be read any more, even if its
    /// number was reused.
    signs: Vec<File>,
}

/// A TAP of another process.
struct Tap {
    name: String,
    counters: TapCounters,
}

impl Existing {
    /// All guests of this host, and what their TAPs send.
    ///
    /// # Errors
    /// There are none, or one whose TAP is in an unknown network namespace.
    pub(super) fn find() -> Result<(Self, Ground)> {
        let found = guests()?;
        if found.is_empty() {
            return Err(none_found());
        }
        let mut fleet = Self {
            guests: Arc::default(),
            workers: Vec::new(),
            taps: Vec::new(),
            places: Vec::new(),
        };
        let (mut guests, mut counters) = (Vec::new(), Vec::new());
        for (number, found) in found.iter().enumerate() {
            let (guest, own) = fleet.look_at(found)?;
            counters.extend(own);
            fleet.workers.extend(found.workers.iter().map(|&tid| Worker { guest: number, tid }));
            fleet.taps.extend(found.taps.iter().map(|tap| tap.name.clone()));
            guests.push(guest);
        }
        if fleet.taps.is_empty() {
            return Err(without_taps(&guests));
        }
        fleet.guests = Arc::new(guests);
        let places = std::mem::take(&mut fleet.places);
        Ok((fleet, Ground { sink: Sink::of_taps(counters), places }))
    }

    /// Opens what is read for a guest. The TAPs' counters are opened twice: the second ones count
    /// what the sink receives.
    fn look_at(&mut self, found: &Found) -> Result<(Guest, Vec<Counters>)> {
        let Found { name, pid, workers, taps, .. } = found;
        let sign = |tid: &u32| {
            let path = format!("/proc/{tid}/comm");
            File::open(&path).map_err(|e| Error::file("open", path, e))
        };
        let signs = workers.iter().map(sign).collect::<Result<_>>().map_err(|_| ended(name))?;
        let (mut own, mut counters) = (Vec::new(), Vec::new());
        for tap in taps {
            let netns = place(*pid, tap).map_err(|e| unplaced(name, &tap.name, e))?;
            let devices = NetDevices::of(&netns)?;
            self.note(netns)?;
            counters.push(Counters::open((&devices, &tap.name), Way::Received)?);
            own.push(Tap {
                name: tap.name.clone(),
                counters: TapCounters::open((&devices, &tap.name))?,
            });
        }
        Ok((Guest { name: name.clone(), taps: own, signs }, counters))
    }

    fn note(&mut self, netns: Netns) -> Result<()> {
        for known in &self.places {
            if known.is(&netns)? {
                return Ok(());
            }
        }
        self.places.push(netns);
        Ok(())
    }
}

impl Fleet for Existing {
    fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// All TAPs: a guest may have several, or none that can be seen.
    fn taps(&self) -> &[String] {
        &self.taps
    }

    fn names(&self) -> Vec<String> {
        self.guests.iter().map(|guest| guest.name.clone()).collect()
    }

    fn bytes_by_guest(&self) -> Option<Result<Vec<u64>>> {
        let bytes = |guest: &Guest| Ok(guest.sent()?.bytes.0);
        Some(self.guests.iter().map(bytes).collect())
    }

    fn start(&self, _: &Orders, _: &Arc<Hogs>) -> Result<Box<dyn Load>> {
        let load = Others(self.guests.clone());
        load.all_live()?;
        Ok(Box::new(load))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// The load of guests that we do not control.
struct Others(Arc<Vec<Guest>>);

impl Others {
    fn all_live(&self) -> Result<()> {
        let dead = |guest: &&Guest| !guest.lives();
        self.0.iter().find(dead).map_or(Ok(()), |guest| Err(ended(&guest.name)))
    }
}

impl Load for Others {
    /// Their threads do not count as ours.
    fn threads(&self) -> &[u32] {
        &[]
    }

    fn hogs(&self) -> &[u32] {
        &[]
    }

    fn obey(&mut self, _: &Orders) -> Result<()> {
        Ok(())
    }

    fn sent_by_guest(&self) -> Result<Vec<Sent>> {
        let sent = |guest: &Guest| {
            guest.sent().map(|Received { frames, bytes }| Sent { kicks: None, frames, bytes })
        };
        self.0.iter().map(sent).collect()
    }

    fn received_by_guest(&self) -> Result<Vec<Received>> {
        self.0.iter().map(|guest| guest.sum(|tap| &tap.to_guest)).collect()
    }

    fn wait(&mut self, limit: Duration) -> Result<bool> {
        thread::sleep(limit);
        self.all_live().map(|()| false)
    }

    fn check(&mut self) -> Result<()> {
        self.all_live()
    }

    fn stop(self: Box<Self>) -> Result<Ended> {
        self.all_live()?;
        Ok(Ended { sent: self.sent()?, rtt: Vec::new() })
    }
}

impl Guest {
    fn sent(&self) -> Result<Received> {
        self.sum(|tap| &tap.from_guest)
    }

    fn sum(&self, of: impl Fn(&TapCounters) -> &Counters) -> Result<Received> {
        let mut all = Received::default();
        for tap in &self.taps {
            let one = of(&tap.counters).read().map_err(|_| gone(&self.name, &tap.name))?;
            all = Received {
                frames: all.frames + one.frames,
                bytes: Bytes(all.bytes.0 + one.bytes.0),
            };
        }
        Ok(all)
    }

    fn lives(&self) -> bool {
        self.signs.iter().all(|sign| sign.read_at(&mut [0; 16], 0).is_ok_and(|length| length > 0))
    }
}

/// The network namespace of a TAP. Only a descriptor of the TAP gives it, so the process's is
/// borrowed briefly, as a duplicate that shares only the open file.
fn place(pid: u32, tap: &FoundTap) -> std::io::Result<Netns> {
    let pid =
        i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::NotFound)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let file = pidfd_getfd(&process, tap.descriptor, PidfdGetfdFlags::empty())?;
    tun::netns(file.as_fd()).map(Netns::from_fd)
}

fn unplaced(guest: &str, tap: &str, source: std::io::Error) -> Error {
    Error::call("pidfd_getfd, ioctl(TUNGETDEVNETNS)", format!("TAP {tap} of guest {guest}"), source)
        .with_hint("Run as root with CAP_SYS_PTRACE and CAP_NET_ADMIN, on Linux 5.6 or newer")
}

fn without_taps(guests: &[Guest]) -> Error {
    let names: Vec<_> = guests.iter().map(|guest| guest.name.as_str()).collect();
    Error::unsupported(
        "guests that already run",
        format!("{} have vhost-net devices but no TAP (macvtap, or none yet)", names.join(", ")),
        "Any tracer can count their calls, but their traffic is measured at TAPs: use -netdev tap",
    )
}

fn ended(guest: &str) -> Error {
    Error::Inconsistent(format!(
        "guest {guest} ended, or closed a vhost device, while it was measured"
    ))
}

fn gone(guest: &str, tap: &str) -> Error {
    Error::Inconsistent(format!("TAP {tap} of guest {guest} went away while it was measured"))
}

fn none_found() -> Error {
    Error::unsupported(
        "guests that already run",
        "there are none: no other process has /dev/vhost-net open and threads named vhost-PID, its \
         own or the kernel's",
        "Start one with vhost (QEMU: -netdev tap,vhost=on), and run tracetoll as root where its \
         processes are visible",
    )
}
