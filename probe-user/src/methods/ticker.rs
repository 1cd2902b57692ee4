//! What makes a profiler take its samples: a timer, or the PMU.

use std::{fs, io};

use super::options::Options;
use crate::{
    error::{Error, Result},
    model::units::Hertz,
    sys::perf::{Attr, Event, Rate},
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
        match Event::open(&Self::Cycles.attr(Hertz(1), 0), 0, None) {
            Ok(_) => Ok(Self::Cycles),
            Err(e) if is_absent(&e) => Ok(Self::CpuClock),
            Err(e) => Err(refused(Self::Cycles, e)),
        }
    }

    /// So many samples per second, that hold what `sample_type` asks for (`PERF_SAMPLE_*`).
    pub fn attr(self, frequency: Hertz, sample_type: u64) -> Attr {
        const HARDWARE_CPU_CYCLES: (u32, u64) = (0, 0);
        const SOFTWARE_CPU_CLOCK: (u32, u64) = (1, 0);
        let (kind, config) = match self {
            Self::CpuClock => SOFTWARE_CPU_CLOCK,
            Self::Cycles => HARDWARE_CPU_CYCLES,
        };
        Attr { kind, config, rate: Rate::Frequency(frequency), sample_type }
    }
}

/// Whether the errno says that the kernel has no such event.
fn is_absent(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV))
}

/// What it means that the kernel refuses this event.
pub fn refused(ticker: Ticker, source: io::Error) -> Error {
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
