//! The source of a profiler's samples: a timer, or the PMU.

use std::{fs, io, os::fd::OwnedFd, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::units::{Hertz, Nanos},
};

use super::options::Options;
use crate::{
    kernel::cpus,
    sys::perf::{Attr, Event, Reading, SampleRate},
};

/// What ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticker {
    /// `PERF_COUNT_SW_CPU_CLOCK`: a timer on each CPU.
    CpuClock,
    /// `PERF_COUNT_HW_CPU_CYCLES`: the PMU.
    Cycles,
    /// The best of them, if the kernel does not tell this user which that is: the method can be
    /// listed, but not run.
    Untold {
        /// The kernel's error when asked for cycles.
        errno: i32,
    },
}

impl Ticker {
    /// Both tickers.
    pub const ALL: [Self; 2] = [Self::CpuClock, Self::Cycles];

    /// perf's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuClock => "cpu-clock",
            Self::Cycles => "cycles",
            Self::Untold { .. } => "best",
        }
    }

    /// The ticker named by `event` in the options, or `best()` if they name none; the options' id
    /// then says which, if the kernel does.
    ///
    /// # Errors
    /// There is no such event, or the best one is unknown for a reason other than the user's
    /// privileges.
    pub fn of(options: &mut Options) -> Result<Self> {
        let ticker = match options.choose("event", &["best", "cpu-clock", "cycles"])? {
            "cpu-clock" => Self::CpuClock,
            "cycles" => Self::Cycles,
            _ => Self::best()?,
        };
        if !matches!(ticker, Self::Untold { .. }) {
            options.found("event", ticker.name());
        }
        Ok(ticker)
    }

    /// `cycles` if this kernel has them, else `cpu-clock`. An event of the own thread is enough to
    /// find out: the PMU is the same.
    ///
    /// # Errors
    /// The kernel did not answer, for a reason other than the user's privileges.
    pub fn best() -> Result<Self> {
        // As a sampler: a PMU without interrupts can count cycles, but refuses to sample them.
        match Self::Cycles.of_this_thread(Hertz(1), 0) {
            Ok(_) => Ok(Self::Cycles),
            Err(e) if is_absent(&e) => Ok(Self::CpuClock),
            Err(e) if is_denied(&e) => {
                Ok(Self::Untold { errno: e.raw_os_error().unwrap_or(libc::EACCES) })
            }
            Err(e) => Err(refused(Self::Cycles, e)),
        }
    }

    /// An event on `cpu` with this many samples per second, which have the fields in `sample_type`
    /// (`PERF_SAMPLE_*`). Guests are left out if the PMU can: a share of the host's time must not
    /// include theirs.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open(self, frequency: Hertz, sample_type: u64, cpu: u32) -> Result<Event> {
        self.told()?;
        self.without_guests(frequency, sample_type, |attr| Event::open(attr, cpu, None))
            .map_err(|e| refused(self, e))
    }

    /// Checks whether [`Ticker::open`] would work on any CPU, with an event that only sees this
    /// thread and never ticks; returns that event.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn try_out(self, frequency: Hertz, sample_type: u64) -> Result<OwnedFd> {
        self.told()?;
        Event::may_watch_all(cpus::any()?).map_err(|e| refused(self, e))?;
        self.of_this_thread(frequency, sample_type).map_err(|e| refused(self, e))
    }

    fn told(self) -> Result<()> {
        match self {
            Self::Untold { errno } => {
                Err(refused(Self::Cycles, io::Error::from_raw_os_error(errno)))
            }
            Self::CpuClock | Self::Cycles => Ok(()),
        }
    }

    fn of_this_thread(self, frequency: Hertz, sample_type: u64) -> io::Result<OwnedFd> {
        self.without_guests(frequency, sample_type, Event::of_this_thread)
    }

    /// Opens the event without guests or, if that is impossible, with them.
    fn without_guests<T>(
        self,
        frequency: Hertz,
        sample_type: u64,
        open: impl Fn(&Attr) -> io::Result<T>,
    ) -> io::Result<T> {
        let host = self.attr(frequency, sample_type);
        match open(&host) {
            // Some PMUs cannot exclude anything; but EINVAL has other causes too, and then this
            // also fails.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                open(&Attr { exclude_guest: false, ..host })
            }
            outcome => outcome,
        }
    }

    fn attr(self, frequency: Hertz, sample_type: u64) -> Attr {
        const HARDWARE_CPU_CYCLES: (u32, u64) = (0, 0);
        const SOFTWARE_CPU_CLOCK: (u32, u64) = (1, 0);
        let (kind, config) = match self {
            Self::CpuClock => SOFTWARE_CPU_CLOCK,
            Self::Cycles | Self::Untold { .. } => HARDWARE_CPU_CYCLES,
        };
        Attr {
            kind,
            config,
            rate: SampleRate::Frequency(frequency),
            sample_type,
            wake_after: None,
            exclude_guest: true,
        }
    }
}

/// Whether the errno means that the kernel has no such event.
fn is_absent(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV))
}

/// Whether the errno means that this user may not use it.
fn is_denied(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::PermissionDenied
}

/// The error if the kernel refuses this event.
fn refused(ticker: Ticker, source: io::Error) -> Error {
    if is_absent(&source) {
        return Error::unsupported(
            ticker.name(),
            format!("this machine does not have this event: {source}"),
            "Use the event cpu-clock, or a machine whose PMU the kernel can use",
        );
    }
    let denied = is_denied(&source);
    let error = Error::call("perf_event_open", ticker.name(), source);
    if denied {
        return error.with_hint("Run as root, or: sysctl kernel.perf_event_paranoid=-1");
    }
    error
}

/// The part of the time `observed` in which the events were counting: less if the PMU was shared
/// with others; that of the worst CPU.
pub fn running(observed: Nanos, readings: &[Reading]) -> Nanos {
    let ratio = readings
        .iter()
        .map(|reading| reading.running.0 as f64 / reading.enabled.0.max(1) as f64)
        .fold(1.0, f64::min);
    Duration::from(observed).mul_f64(ratio).into()
}

/// The kernel refuses more than its own limit, which it lowers if interrupts take long.
///
/// # Errors
/// The frequency is above the limit, or the limit cannot be read.
pub fn check_frequency(frequency: Hertz) -> Result<()> {
    const LIMIT: &str = "/proc/sys/kernel/perf_event_max_sample_rate";
    let text = fs::read_to_string(LIMIT).map_err(|e| Error::file("read", LIMIT, e))?;
    let limit: u32 =
        text.trim().parse().map_err(|_| Error::malformed(LIMIT, format!("`{}`", text.trim())))?;
    if frequency.0 <= limit {
        return Ok(());
    }
    Err(Error::unsupported(
        frequency.to_string(),
        format!("this kernel allows {limit} samples per second"),
        format!("Raise it: sysctl kernel.perf_event_max_sample_rate={}", frequency.0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::call::Script;

    /// The kernel's answer when it opens an event.
    fn file() -> i64 {
        let (_, end) = rustix::pipe::pipe().unwrap();
        std::os::fd::IntoRawFd::into_raw_fd(end).into()
    }

    #[test]
    fn who_may_not_sample_the_machine_is_still_told_of_the_best_event() {
        let best = |answers: &[i64]| {
            let script = Script::install(answers.iter().copied());
            let mut options = Options::parse("perf-sample-99").unwrap();
            let ticker = Ticker::of(&mut options).unwrap();
            assert_eq!(script.remaining(), 0);
            (ticker, options.id(options.base()).0)
        };
        let denied = -i64::from(libc::EACCES);
        let cycles = (Ticker::Cycles, "perf-sample-99:event=cycles".to_owned());
        assert_eq!(best(&[file()]), cycles);
        let clock = (Ticker::CpuClock, "perf-sample-99:event=cpu-clock".to_owned());
        assert_eq!(best(&[-i64::from(libc::ENOENT)]), clock);
        // If nothing is known, nothing is claimed; and an unknown event is not run.
        let (untold, id) = best(&[denied]);
        assert_eq!((untold.name(), id.as_str()), ("best", "perf-sample-99"));
        let refused = untold.open(Hertz(99), 0, 0).unwrap_err().to_string();
        assert!(refused.contains("on cycles: Permission denied"), "{refused}");
        assert!(refused.contains("Run as root"), "{refused}");
    }

    #[test]
    fn guests_are_left_out_where_the_pmu_can() {
        assert!(Ticker::ALL.iter().all(|ticker| ticker.attr(Hertz(99), 0).exclude_guest));
        let refusal = -i64::from(libc::EINVAL);
        // Refused with and without the loss format, and accepted when guests are no longer
        // excluded.
        let script = Script::install([refusal, refusal, file()]);
        Ticker::Cycles.open(Hertz(99), 0, 0).unwrap();
        assert_eq!(script.remaining(), 0);
        drop(script);
        let script = Script::install([refusal; 4]);
        assert!(Ticker::Cycles.open(Hertz(99), 0, 0).is_err());
        assert_eq!(script.remaining(), 0);
    }
}
