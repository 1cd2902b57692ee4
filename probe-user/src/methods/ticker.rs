//! What makes a profiler take its samples: a timer, or the PMU.

use std::{fs, io, time::Duration};

use super::options::Options;
use crate::{
    error::{Error, Result},
    model::units::{Hertz, Nanos},
    sys::perf::{Attr, Event, Rate, Reading},
};

/// What ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticker {
    /// `PERF_COUNT_SW_CPU_CLOCK`: a timer on each CPU.
    CpuClock,
    /// `PERF_COUNT_HW_CPU_CYCLES`: the PMU.
    Cycles,
}

impl Ticker {
    /// Both.
    pub const ALL: [Self; 2] = [Self::CpuClock, Self::Cycles];

    /// perf's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuClock => "cpu-clock",
            Self::Cycles => "cycles",
        }
    }

    /// The one that `event` of the options names, and `best()` where they name none; the options' id then says which.
    ///
    /// # Errors
    /// There is no such event, or the kernel does not let us ask for the best.
    pub fn of(options: &mut Options) -> Result<Self> {
        let ticker = match options.choose("event", &["best", "cpu-clock", "cycles"])? {
            "cpu-clock" => Self::CpuClock,
            "cycles" => Self::Cycles,
            _ => Self::best()?,
        };
        options.found("event", ticker.name());
        Ok(ticker)
    }

    /// `cycles` where this kernel has them, else `cpu-clock`.
    ///
    /// # Errors
    /// The kernel does not let us ask.
    pub fn best() -> Result<Self> {
        // As a sampler: a PMU without interrupts counts cycles, and refuses to sample them.
        match Self::Cycles.try_open(Hertz(1), 0, 0) {
            Ok(_) => Ok(Self::Cycles),
            Err(e) if is_absent(&e) => Ok(Self::CpuClock),
            Err(e) => Err(refused(Self::Cycles, e)),
        }
    }

    /// An event on `cpu` that takes so many samples per second, which hold what `sample_type` asks for
    /// (`PERF_SAMPLE_*`). Guests are left out where the PMU can: a share of the host's time is no share of theirs.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open(self, frequency: Hertz, sample_type: u64, cpu: u32) -> Result<Event> {
        self.try_open(frequency, sample_type, cpu).map_err(|e| refused(self, e))
    }

    fn try_open(self, frequency: Hertz, sample_type: u64, cpu: u32) -> io::Result<Event> {
        let host = self.attr(frequency, sample_type);
        match Event::open(&host, cpu, None) {
            // Some PMUs cannot leave anything out; but EINVAL has other causes too: then this fails as well.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                Event::open(&Attr { exclude_guest: false, ..host }, cpu, None)
            }
            outcome => outcome,
        }
    }

    fn attr(self, frequency: Hertz, sample_type: u64) -> Attr {
        const HARDWARE_CPU_CYCLES: (u32, u64) = (0, 0);
        const SOFTWARE_CPU_CLOCK: (u32, u64) = (1, 0);
        let (kind, config) = match self {
            Self::CpuClock => SOFTWARE_CPU_CLOCK,
            Self::Cycles => HARDWARE_CPU_CYCLES,
        };
        Attr { kind, config, rate: Rate::Frequency(frequency), sample_type, exclude_guest: true }
    }
}

/// Whether the errno says that the kernel has no such event.
fn is_absent(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV))
}

/// What it means that the kernel refuses this event.
fn refused(ticker: Ticker, source: io::Error) -> Error {
    if is_absent(&source) {
        return Error::unsupported(
            ticker.name(),
            format!("this machine has no such event: {source}"),
            "Use the event cpu-clock, or a machine whose PMU the kernel can use",
        );
    }
    let denied = source.kind() == io::ErrorKind::PermissionDenied;
    let error = Error::call("perf_event_open", ticker.name(), source);
    if denied {
        return error.with_remedy("Run as root, or: sysctl kernel.perf_event_paranoid=-1");
    }
    error
}

/// Of the time `observed`, how much the events were really counting: less where the PMU was shared with others; the
/// worst CPU's.
pub fn running(observed: Nanos, readings: &[Reading]) -> Nanos {
    let ratio = readings
        .iter()
        .map(|reading| reading.running.0 as f64 / reading.enabled.0.max(1) as f64)
        .fold(1.0, f64::min);
    Duration::from(observed).mul_f64(ratio).into()
}

/// The kernel refuses more than its own limit, which it lowers when interrupts take long.
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

    #[test]
    fn guests_are_left_out_where_the_pmu_can() {
        assert!(Ticker::ALL.iter().all(|ticker| ticker.attr(Hertz(99), 0).exclude_guest));
        let file = || {
            let (_, end) = rustix::pipe::pipe().unwrap();
            i64::from(std::os::fd::IntoRawFd::into_raw_fd(end))
        };
        let refusal = -i64::from(libc::EINVAL);
        // Refused with and without the loss format, and taken when guests are no longer left out.
        let script = Script::install([refusal, refusal, file()]);
        Ticker::Cycles.open(Hertz(99), 0, 0).unwrap();
        assert_eq!(script.remaining(), 0);
        drop(script);
        let script = Script::install([refusal; 4]);
        assert!(Ticker::Cycles.open(Hertz(99), 0, 0).is_err());
        assert_eq!(script.remaining(), 0);
    }
}
