//! perf_event_open(2): events on one CPU, alone or in groups, and the ring for their records.

pub(super) mod attr;
mod ring;

pub use ring::Ring;

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{
    PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_ID, PERF_EVENT_IOC_SET_OUTPUT,
    PERF_FLAG_FD_CLOEXEC, perf_event_attr, perf_sw_ids::PERF_COUNT_SW_DUMMY,
    perf_type_id::PERF_TYPE_SOFTWARE,
};
use probe_core::{
    error::{Error, Result},
    model::units::{Hertz, Nanos},
};

use super::call::{self, Call};

/// How often an event leaves a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleRate {
    /// So many per second of the event's time; the kernel adapts the period where it must.
    Frequency(Hertz),
    /// One in this many events.
    Period(u64),
    /// Never: it only counts.
    Never,
}

/// What to count or sample, on one CPU, for all tasks. Events start disabled, use
/// `CLOCK_MONOTONIC`, and record only the kernel's part of call chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// `PERF_TYPE_*`, or the number of a dynamic PMU.
    pub kind: u32,
    /// The event within that type.
    pub config: u64,
    /// How often it leaves a record.
    pub rate: SampleRate,
    /// `PERF_SAMPLE_*`: what a record holds.
    pub sample_type: u64,
    /// The number of records after which it wakes the ring's reader; `None`: a ring's worth.
    pub wake_after: Option<u32>,
    /// Whether it stops while a virtual CPU runs its guest; for PMU events.
    pub exclude_guest: bool,
}

/// `PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING | PERF_FORMAT_GROUP`.
const FORMAT: u64 = 1 | 2 | 1 << 3;
/// `PERF_FORMAT_LOST`, since Linux 6.0.
const FORMAT_LOST: u64 = 1 << 4;

impl Attr {
    /// The structure that the kernel reads.
    fn filled(&self, read_format: u64) -> perf_event_attr {
        // The kernel reduces this to the ring's size: by default it would interrupt itself at every
        // half ring to wake a reader that does not wait.
        const NEVER: u32 = u32::MAX;

        let mut attr = attr::event(self.kind, self.config);
        match self.rate {
            SampleRate::Frequency(hertz) => {
                attr.__bindgen_anon_1.sample_freq = hertz.0.into();
                attr.set_freq(1);
            }
            SampleRate::Period(period) => attr.__bindgen_anon_1.sample_period = period,
            SampleRate::Never => {}
        }
        attr.sample_type = self.sample_type;
        attr.read_format = read_format;
        attr.set_disabled(1);
        attr.set_exclude_guest(self.exclude_guest.into());
        attr.set_exclude_callchain_user(1);
        match self.wake_after {
            Some(records) => attr.__bindgen_anon_2.wakeup_events = records,
            None => {
                attr.set_watermark(1);
                attr.__bindgen_anon_2.wakeup_watermark = NEVER;
            }
        }
        attr.set_use_clockid(1);
        attr.clockid = libc::CLOCK_MONOTONIC;
        attr
    }
}

/// An open event on one CPU. It is closed when it is dropped.
#[derive(Debug)]
pub struct Event {
    fd: OwnedFd,
    cpu: u32,
    reports_loss: bool,
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The counts of a group of events, from one read(2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Time that the group was enabled.
    pub enabled: Nanos,
    /// The part of that time in which it was on the PMU.
    pub running: Nanos,
    /// Each event's count: the leader's, then the others' in the order in which they joined.
    pub counts: Vec<Count>,
}

/// The count of one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How often it happened.
    pub value: u64,
    /// Its records for which there was no room in the ring; `None` if the kernel does not report it
    /// (before 6.0).
    pub lost: Option<u64>,
}

impl Event {
    /// Opens the event on `cpu` for all tasks: as a leader, disabled; or in the group of a leader
    /// on the same CPU, to run whenever the leader does.
    ///
    /// # Errors
    /// The kernel refused: `ENOENT` or `EOPNOTSUPP` if it has no such event, `EACCES` if
    /// `perf_event_paranoid` forbids it.
    pub fn open(attr: &Attr, cpu: u32, leader: Option<&Self>) -> io::Result<Self> {
        let open = |read_format| {
            let mut attr = attr.filled(read_format);
            attr.set_disabled(leader.is_none().into());
            call::make_fd(Call::PerfEventOpen {
                attr: attr::bytes(&attr),
                pid: -1,
                cpu: i32::try_from(cpu).unwrap_or(i32::MAX),
                group: leader.map(|leader| leader.fd.as_fd()),
                flags: PERF_FLAG_FD_CLOEXEC.into(),
            })
        };
        match open(FORMAT | FORMAT_LOST) {
            Ok(fd) => Ok(Self { fd, cpu, reports_loss: true }),
            // Kernels before 6.0 reject the unknown format, but EINVAL has other causes too: then
            // this also fails.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                Ok(Self { fd: open(FORMAT)?, cpu, reports_loss: false })
            }
            Err(e) => Err(e),
        }
    }

    /// Such an event only for this thread and outside the kernel, disabled: shows whether the event
    /// exists, in the least intrusive way, which up to `perf_event_paranoid` 2 is allowed for
    /// everybody.
    ///
    /// # Errors
    /// As [`Event::open`].
    pub fn of_this_thread(attr: &Attr) -> io::Result<OwnedFd> {
        let mut attr = attr.filled(FORMAT);
        attr.set_exclude_kernel(1);
        call::make_fd(Call::PerfEventOpen {
            attr: attr::bytes(&attr),
            pid: 0,
            cpu: -1,
            group: None,
            flags: PERF_FLAG_FD_CLOEXEC.into(),
        })
    }

    /// Checks whether this process may open events for all tasks on `cpu`, with one that counts
    /// nothing (`PERF_COUNT_SW_DUMMY`) and is never enabled. Nothing remains open.
    ///
    /// # Errors
    /// `EACCES` or `EPERM` if it may not.
    pub fn may_watch_all(cpu: u32) -> io::Result<()> {
        let (kind, config) = (PERF_TYPE_SOFTWARE as u32, PERF_COUNT_SW_DUMMY as u64);
        let rate = SampleRate::Never;
        let (wake_after, exclude_guest) = (None, false);
        let attr = Attr { kind, config, rate, sample_type: 0, wake_after, exclude_guest };
        Self::open(&attr, cpu, None).map(drop)
    }

    /// Its CPU.
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Starts it; a leader starts its whole group at once.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn enable(&self) -> Result<()> {
        self.ioctl("ioctl(PERF_EVENT_IOC_ENABLE)", PERF_EVENT_IOC_ENABLE, 0)
    }

    /// Stops it; a leader stops its whole group at once. Its ring and its counts remain readable.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn disable(&self) -> Result<()> {
        self.ioctl("ioctl(PERF_EVENT_IOC_DISABLE)", PERF_EVENT_IOC_DISABLE, 0)
    }

    /// Makes it write its records to the ring of `other`, which must be mapped and on the same CPU.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn write_to(&self, other: &Self) -> Result<()> {
        // An open file descriptor is not negative.
        let fd = u64::from(other.fd.as_raw_fd().unsigned_abs());
        self.ioctl("ioctl(PERF_EVENT_IOC_SET_OUTPUT)", PERF_EVENT_IOC_SET_OUTPUT, fd)
    }

    fn ioctl(&self, call: &'static str, request: u32, value: u64) -> Result<()> {
        call::make(Call::IoctlValue { fd: self.fd.as_fd(), request, value })
            .map_err(|e| Error::call(call, self.subject(), e))?;
        Ok(())
    }

    /// The number that identifies it in its records (`PERF_SAMPLE_IDENTIFIER`).
    ///
    /// # Errors
    /// The kernel refused.
    pub fn id(&self) -> Result<u64> {
        let mut id = [0; 8];
        let argument = &mut id;
        call::make(Call::IoctlBytes { fd: self.fd.as_fd(), request: PERF_EVENT_IOC_ID, argument })
            .map_err(|e| Error::call("ioctl(PERF_EVENT_IOC_ID)", self.subject(), e))?;
        Ok(u64::from_ne_bytes(id))
    }

    /// Reads the counts of the group of `members` events that it leads (1 if it is alone). The
    /// kernel interrupts the group's CPU once for all of them.
    ///
    /// # Errors
    /// The kernel refused, or the group has another number of members.
    pub fn read(&self, members: usize) -> Result<Reading> {
        let width = if self.reports_loss { 2 } else { 1 };
        let wanted = 8 * (3 + width * members);
        let mut bytes = vec![0_u8; wanted];
        let got = rustix::io::read(&self.fd, &mut bytes)
            .map_err(|e| Error::call("read", self.subject(), e.into()))?;
        let (words, _) = bytes.as_chunks();
        let word = |i: usize| u64::from_ne_bytes(words[i]);
        if got != wanted || word(0) != members as u64 {
            let why = format!("{got} bytes for {members} events, not {wanted}");
            return Err(Error::malformed(self.subject(), why));
        }
        let count = |i: usize| Count {
            value: word(3 + i * width),
            lost: self.reports_loss.then(|| word(4 + i * width)),
        };
        Ok(Reading {
            enabled: Nanos(word(1)),
            running: Nanos(word(2)),
            counts: (0..members).map(count).collect(),
        })
    }

    /// Maps its ring of `pages` data pages, a power of two.
    ///
    /// # Errors
    /// The kernel refused: too much locked memory, or not a power of two.
    pub fn map(&self, pages: usize) -> Result<Ring> {
        Ring::map(self.fd.as_fd(), pages).map_err(|e| refused_ring(self.subject(), e))
    }

    fn subject(&self) -> String {
        format!("perf event on CPU {}", self.cpu)
    }
}

/// `perf_mmap` returns `EPERM` above the limit of locked memory, `ENOMEM` if there is no memory.
fn refused_ring(subject: String, source: io::Error) -> Error {
    let errno = source.raw_os_error();
    let error = Error::call("mmap", subject, source);
    match errno {
        Some(libc::EPERM) => error.with_hint("Run as root, or raise kernel.perf_event_mlock_kb"),
        Some(libc::ENOMEM) => error.with_hint("Ask for less: buffer_kib_per_cpu"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attr_is_laid_out_as_the_kernels() {
        let rate = SampleRate::Frequency(Hertz(999));
        let event = Attr {
            kind: 1,
            config: 2,
            rate,
            sample_type: 0x27,
            wake_after: None,
            exclude_guest: false,
        };
        let attr = event.filled(3);
        let attr = attr::bytes(&attr);
        let word = |at: usize| u64::from_ne_bytes(attr[at..at + 8].try_into().unwrap());
        assert_eq!(attr.len(), 112);
        assert_eq!(word(0), 1 | 112 << 32);
        assert_eq!((word(8), word(16), word(24), word(32)), (2, 999, 0x27, 3));
        assert_eq!(word(40), 1 | 1 << 10 | 1 << 14 | 1 << 22 | 1 << 25);
        assert_eq!(word(48), u64::from(u32::MAX));
        assert_eq!(word(88) >> 32, 1);
        // Bit 20 of the flags, little-endian.
        let host = Attr { exclude_guest: true, ..event }.filled(3);
        let host = attr::bytes(&host);
        let changed: Vec<_> = (0..112).filter(|&i| host[i] != attr[i]).collect();
        assert_eq!((changed, host[42] ^ attr[42]), (vec![42], 1 << 4));
        // Bit 14 of the flags.
        let woken = Attr { wake_after: Some(64), ..event }.filled(3);
        let woken = attr::bytes(&woken);
        let changed: Vec<_> = (0..112).filter(|&i| woken[i] != attr[i]).collect();
        assert_eq!((changed, woken[41] ^ attr[41]), (vec![41, 48, 49, 50, 51], 1 << 6));
        assert_eq!(woken[48..52], 64_u32.to_ne_bytes());
        let mut own = event.filled(3);
        own.set_exclude_kernel(1);
        let flags = attr::bytes(&own)[40..48].try_into().unwrap();
        assert_eq!(u64::from_ne_bytes(flags) ^ word(40), 1 << 5);
    }

    #[test]
    fn a_refused_ring_has_the_hint_of_its_cause() {
        let text =
            |errno| refused_ring("x".into(), io::Error::from_raw_os_error(errno)).to_string();
        assert!(text(libc::EPERM).contains("perf_event_mlock_kb"));
        assert!(text(libc::ENOMEM).contains("buffer_kib_per_cpu"));
        assert!(text(libc::EINVAL).ends_with("(os error 22)"));
    }

    #[test]
    fn a_kernel_without_the_loss_format_is_asked_again_without() {
        let pipe = rustix::pipe::pipe().unwrap();
        let fd = std::os::fd::IntoRawFd::into_raw_fd(pipe.1);
        let script = call::Script::install([-i64::from(libc::EINVAL), fd.into()]);
        let attr = Attr {
            kind: 1,
            config: 0,
            rate: SampleRate::Never,
            sample_type: 0,
            wake_after: None,
            exclude_guest: false,
        };
        let event = Event::open(&attr, 0, None).unwrap();
        assert!(!event.reports_loss);
        assert_eq!(script.remaining(), 0);
    }
}
