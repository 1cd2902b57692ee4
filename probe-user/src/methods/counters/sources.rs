//! The counters: what each counts, where it is, and how its text is read.

use std::{fs, path::Path};

use probe_core::{
    error::{Error, Result},
    model::{counter::Counted, scenario::GuestKind},
};

use super::parse;
use crate::{
    kernel::{netdev::NetDevices, reread::Reread},
    methods::AttachContext,
};

/// A number that the kernel keeps.
#[derive(Debug)]
pub(super) struct Source {
    /// The parameter `of` that chooses it.
    pub(super) word: &'static str,
    pub(super) of: Counted,
    place: Place,
    parse: fn(&str) -> Option<u64>,
    /// What the method does, in a line.
    pub(super) about: &'static str,
    /// What would help if the kernel does not have it.
    hint: &'static str,
}

/// The files whose numbers are added up.
#[derive(Debug)]
enum Place {
    /// One of the whole system.
    System(&'static str),
    /// One of each vhost worker, in its folder of procfs.
    Workers(&'static str),
    /// Attributes of each guest's TAP.
    Taps(&'static [&'static str]),
    /// One of each VM, in its folder of debugfs.
    Vms(&'static str),
}

const NO_PSI: &str = "Boot with psi=1, or run a kernel with CONFIG_PSI";
const NO_KVM: &str = "Load kvm, and mount debugfs: mount -t debugfs none /sys/kernel/debug";
const NO_SCHED_INFO: &str = "Run a kernel with CONFIG_SCHED_INFO";
const NO_NET: &str = "Run a kernel with CONFIG_NET";

/// Folder of KVM's numbers: sums over all VMs, and a folder for each, `PID-FD`. The binary
/// statistics (`KVM_GET_STATS_FD`) are only for the process that made the VM: `kvm_vm_ioctl` refuses
/// others.
const KVM_FOLDER: &str = "/sys/kernel/debug/kvm";

/// A frame that a guest sends is one that its TAP receives.
pub(super) const NETDEV: &[Source] = &[
    Source {
        word: "packets",
        of: Counted::Frames,
        place: Place::Taps(&["rx_packets"]),
        parse: parse::number,
        about: "the TAPs' own count of the frames that guests send; that is the throughput itself, \
                not calls",
        hint: NO_NET,
    },
    Source {
        word: "bytes",
        of: Counted::Bytes,
        place: Place::Taps(&["rx_bytes"]),
        parse: parse::number,
        about: "the TAPs' own count of the bytes that guests send; that is the throughput itself, \
                not calls",
        hint: NO_NET,
    },
    Source {
        word: "drops",
        of: Counted::Drops,
        place: Place::Taps(&["rx_dropped", "tx_dropped"]),
        parse: parse::number,
        about: "frames that the TAPs dropped, in both directions, by their own count",
        hint: NO_NET,
    },
];

pub(super) const WORKER_TIME: &[Source] = &[Source {
    word: "time",
    of: Counted::RunTime,
    place: Place::Workers("schedstat"),
    parse: parse::run_time,
    about: "the scheduler's account of the vhost workers' CPU time",
    hint: NO_SCHED_INFO,
}];

pub(super) const WORKER_DELAY: &[Source] = &[Source {
    word: "delay",
    of: Counted::RunDelay,
    place: Place::Workers("schedstat"),
    parse: parse::run_delay,
    about: "the scheduler's account of how long the vhost workers waited for a CPU",
    hint: NO_SCHED_INFO,
}];

pub(super) const WORKER_SWITCHES: &[Source] = &[Source {
    word: "switches",
    of: Counted::Switches,
    place: Place::Workers("status"),
    parse: parse::switches,
    about: "the scheduler's count of the vhost workers' context switches: each time one sleeps, or \
            another task takes its CPU",
    hint: NO_SCHED_INFO,
}];

pub(super) const SOFTIRQ: &[Source] = &[
    Source {
        word: "net-rx",
        of: Counted::NetRx,
        place: Place::System("/proc/softirqs"),
        parse: parse::net_rx,
        about: "how often the system ran the softirq that receives frames (NET_RX), on all CPUs",
        hint: NO_NET,
    },
    Source {
        word: "net-tx",
        of: Counted::NetTx,
        place: Place::System("/proc/softirqs"),
        parse: parse::net_tx,
        about: "how often the system ran the softirq that completes sending (NET_TX), on all CPUs",
        hint: NO_NET,
    },
    Source {
        word: "squeezed",
        of: Counted::Squeezed,
        place: Place::System("/proc/net/softnet_stat"),
        parse: parse::squeezed,
        about: "how often NET_RX ran out of its time or budget with work left (time_squeeze)",
        hint: NO_NET,
    },
];

pub(super) const PSI: &[Source] = &[Source {
    word: "some",
    of: Counted::Pressure,
    place: Place::System("/proc/pressure/cpu"),
    parse: parse::pressure,
    about: "pressure stall information: the time in which some task of the system waited for a CPU",
    hint: NO_PSI,
}];

pub(super) const KVM: &[Source] = &[
    Source {
        word: "exits",
        of: Counted::Exits,
        place: Place::Vms("exits"),
        parse: parse::number,
        about: "KVM's own count of exits from all virtual CPUs",
        hint: NO_KVM,
    },
    Source {
        word: "halts",
        of: Counted::Halts,
        place: Place::Vms("halt_exits"),
        parse: parse::number,
        about: "KVM's own count of exits of virtual CPUs that had nothing to do",
        hint: NO_KVM,
    },
    Source {
        word: "wakeups",
        of: Counted::Wakeups,
        place: Place::Vms("halt_wakeup"),
        parse: parse::number,
        about: "KVM's own count of wake-ups of virtual CPUs that slept",
        hint: NO_KVM,
    },
];

impl Source {
    /// Reads the number in `file`.
    ///
    /// # Errors
    /// The kernel's, or the text has another form.
    pub(super) fn read(&self, file: &mut Reread) -> Result<u64> {
        file.parse(|text| (self.parse)(text).ok_or_else(|| format!("no {} in it", self.of.name())))
    }

    /// Reads it of something that every machine has, to see whether the kernel has it at all.
    ///
    /// # Errors
    /// It has not.
    pub(super) fn try_out(&self) -> Result<()> {
        let path = self.place.example();
        match Reread::open(&path).and_then(|mut file| self.read(&mut file)) {
            Err(Error::File { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound
                    || source.raw_os_error() == Some(libc::EOPNOTSUPP) =>
            {
                Err(Error::unsupported(path, source.to_string(), self.hint))
            }
            read => read.map(drop),
        }
    }

    /// Whether guests of this kind have what is counted.
    ///
    /// # Errors
    /// They have not.
    pub(super) fn suits(&self, guests: GuestKind) -> Result<()> {
        match (&self.place, guests) {
            (Place::Vms(_), GuestKind::Blast | GuestKind::Bridge) => Err(self.nothing()),
            _ => Ok(()),
        }
    }

    /// Opens its files for the load that is there.
    ///
    /// # Errors
    /// The load has nothing that is counted, or the kernel does not have it.
    pub(super) fn open(&self, context: &AttachContext<'_>) -> Result<Vec<Reread>> {
        let files = match self.place {
            Place::System(path) => vec![Reread::open(path)?],
            Place::Workers(name) => {
                let of = |tid| Reread::open(format!("/proc/{tid}/task/{tid}/{name}"));
                context.workers.iter().map(of).collect::<Result<_>>()?
            }
            Place::Taps(attributes) => taps(context, attributes)?,
            Place::Vms(name) => vms(Path::new(KVM_FOLDER), name)?,
        };
        if !files.is_empty() {
            return Ok(files);
        }
        Err(self.nothing())
    }

    /// The error if there is no file to read.
    fn nothing(&self) -> Error {
        let (why, hint) = self.place.nothing();
        Error::unsupported(self.of.name(), why, hint)
    }
}

impl Place {
    /// A file of this kind that is there without any load.
    fn example(&self) -> String {
        match self {
            Self::System(path) => (*path).to_owned(),
            Self::Workers(name) => format!("/proc/thread-self/{name}"),
            Self::Taps(attributes) => {
                format!("/sys/class/net/lo/statistics/{}", attributes.first().unwrap_or(&""))
            }
            Self::Vms(name) => format!("{KVM_FOLDER}/{name}"),
        }
    }

    /// Why there is no such file, and what would help.
    fn nothing(&self) -> (&'static str, &'static str) {
        match self {
            Self::System(_) => ("the file is not there", NO_NET),
            Self::Workers(_) => ("there are no vhost workers", "Measure guests"),
            Self::Taps(_) => (
                "there are no TAPs, or they are in several network namespaces",
                "Measure guests whose TAPs are in one namespace",
            ),
            Self::Vms(_) => (
                "the load has no VM under KVM",
                "Measure guests of kind kvm, or those that already run",
            ),
        }
    }
}

fn taps(context: &AttachContext<'_>, attributes: &[&str]) -> Result<Vec<Reread>> {
    let Some(taps) = context.taps else { return Ok(Vec::new()) };
    let devices = NetDevices::of(taps.netns)?;
    let each = taps.names.iter().flat_map(|tap| attributes.iter().map(move |one| (tap, one)));
    let open = |(tap, attribute): (&String, &&str)| {
        let attribute = format!("statistics/{attribute}");
        let file = devices.open(tap, &attribute)?;
        Ok(Reread::of(format!("class/net/{tap}/{attribute}"), file))
    };
    each.map(open).collect()
}

fn vms(folder: &Path, name: &str) -> Result<Vec<Reread>> {
    let failed = |e| Error::file("read", folder, e);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        if !folder.is_dir() {
            continue;
        }
        match Reread::open(folder.join(name)) {
            Ok(file) => files.push(file),
            // The VM ended meanwhile.
            Err(_) if !folder.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_offered_once_under_its_own_word() {
        let all = [NETDEV, WORKER_TIME, WORKER_DELAY, WORKER_SWITCHES, SOFTIRQ, PSI, KVM];
        let offered: Vec<Counted> = all.iter().flat_map(|all| all.iter()).map(|s| s.of).collect();
        assert_eq!(offered, Counted::ALL);
        for sources in all {
            let words: std::collections::BTreeSet<_> = sources.iter().map(|s| s.word).collect();
            assert_eq!(words.len(), sources.len());
        }
    }

    #[test]
    fn only_vms_have_numbers_of_kvm() {
        let suits = |sources: &[Source], guests| sources.iter().all(|s| s.suits(guests).is_ok());
        for guests in [GuestKind::Blast, GuestKind::Bridge, GuestKind::Kvm, GuestKind::Existing] {
            let vms = matches!(guests, GuestKind::Kvm | GuestKind::Existing);
            assert_eq!((suits(KVM, guests), suits(NETDEV, guests)), (vms, true), "{guests:?}");
        }
    }

    #[test]
    fn each_vm_has_a_folder_among_the_sums() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("exits"), "30\n").unwrap();
        for (vm, exits) in [("812-11", "10\n"), ("907-12", "20\n")] {
            fs::create_dir(folder.path().join(vm)).unwrap();
            fs::write(folder.path().join(vm).join("exits"), exits).unwrap();
        }
        let mut files = vms(folder.path(), "exits").unwrap();
        let each: Vec<u64> = files.iter_mut().map(|file| KVM[0].read(file).unwrap()).collect();
        assert_eq!((each.len(), each.iter().sum::<u64>()), (2, 30));
        assert!(vms(folder.path(), "absent").unwrap_err().to_string().contains("/absent"));
    }
}
