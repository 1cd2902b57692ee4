//! Accepted ranges of the numbers that people give in a scenario, a flag or a method's parameter,
//! each with its reason.
//!
//! All limits are in this file. docs/src/reference/scenarios.md lists those of a scenario.

use std::{fmt, str::FromStr, time::Duration};

use super::prefix;

/// The least and the greatest accepted value of a number.
#[derive(Debug, Clone, Copy)]
pub struct Bound<T: 'static> {
    /// What the number is: a scenario's field, a flag, a parameter.
    pub of: &'static str,
    /// Smallest.
    pub least: T,
    /// Greatest.
    pub most: T,
    /// Its unit; empty if the number's text includes it.
    pub unit: &'static str,
    /// Why other values are refused.
    pub why: &'static str,
}

/// A number as people write it.
pub trait Bounded: Copy + PartialOrd {
    /// So that it reads back.
    fn written(self) -> String;
}

macro_rules! whole {
    ($($number:ty),*) => {
        $(impl Bounded for $number {
            fn written(self) -> String {
                self.to_string()
            }
        })*
    };
}
whole!(u16, u32, u64, usize, i32);

impl Bounded for f64 {
    fn written(self) -> String {
        prefix::text(self, prefix::GIGA)
    }
}

impl Bounded for Duration {
    fn written(self) -> String {
        match jiff::SignedDuration::try_from(self) {
            Ok(signed) => format!("{signed:#}"),
            Err(_) => format!("{self:?}"),
        }
    }
}

impl<T: Bounded> Bound<T> {
    /// Whether `value` is one of those.
    pub fn holds(&self, value: T) -> bool {
        // NaN is neither below nor above a limit.
        self.least <= value && value <= self.most
    }

    /// Returns `value` if it is in the range.
    ///
    /// # Errors
    /// It is not; the error says what is accepted, and why.
    pub fn check(&self, value: T) -> Result<T, String> {
        if self.holds(value) { Ok(value) } else { Err(self.refusal(value)) }
    }

    /// The error for `value`: what is wrong, and what would be right.
    pub fn refusal(&self, value: T) -> String {
        format!("{}{} is out of range: use {self}, since {}", value.written(), self.unit, self.why)
    }

    /// Parses a number from the command line and checks it.
    ///
    /// # Errors
    /// It is not a number, or not in the range.
    pub fn parse(&self, text: &str) -> Result<T, String>
    where
        T: FromStr,
    {
        let value = text.parse().map_err(|_| format!("`{text}` is not a number; use {self}"))?;
        self.check(value)
    }
}

/// `1 to 64`.
impl<T: Bounded> fmt::Display for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, most, unit, .. } = self;
        // A word is written once, after both numbers; a unit follows each of them.
        let first = if unit.starts_with(' ') { "" } else { unit };
        write!(f, "{}{first} to {}{unit}", least.written(), most.written())
    }
}

macro_rules! bound {
    ($(#[$doc:meta])* $name:ident: $type:ty = $of:literal, $least:expr, $most:expr, $unit:literal, $why:literal) => {
        $(#[$doc])*
        pub const $name: Bound<$type> =
            Bound { of: $of, least: $least, most: $most, unit: $unit, why: $why };
    };
}

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

bound!(
    /// Width of a bin.
    BIN: Duration = "bin", MS, Duration::from_secs(600), "",
    "reading all counters at an edge takes about 0.1 ms, and a series needs 30 bins"
);
bound!(
    /// How long the load runs before anything is measured.
    SETTLE: Duration = "settle", MS, HOUR, "",
    "every trial spends it without measuring anything"
);
bound!(
    /// CPUs of the device under test.
    LOAD_CPUS: usize = "load_cpus", 1, 8192, " CPUs",
    "a kernel for x86-64 supports no more (CONFIG_NR_CPUS)"
);
bound!(
    /// Guests that are not VMs.
    GUESTS: usize = "guests.count", 1, 64, " guests",
    "each has a vhost device, a TAP and a thread"
);
bound!(
    /// Guests that are VMs.
    VMS: usize = "guests.count", 1, 8, " VMs",
    "the paper has eight, and each takes memory and half a minute to boot"
);
bound!(
    /// Bytes of a frame.
    FRAME: usize = "guests.frame", 60, 65_535, " bytes",
    "Ethernet has no shorter frame, and a TAP accepts no longer one \
     (drivers/net/tun.c, MAX_MTU)"
);
bound!(
    /// Descriptors of a ring.
    RING: u16 = "guests.ring", 4, 32_768, " descriptors",
    "virtio accepts powers of two up to that"
);
bound!(
    /// Virtual processors.
    VCPUS: u32 = "guests.vcpus", 1, 2, "",
    "the VMs' image supports no more"
);
bound!(
    /// Memory of a VM.
    MEMORY_MIB: u32 = "guests.memory_mib", 96, 65_536, " MiB",
    "less does not hold the VM's kernel and initramfs, and nothing in it needs more"
);
bound!(
    /// The rate of a capped link, or the limit of a guest.
    BITS: f64 = "network.link, network.guest_limit", 1e5, 1e12, "bit",
    "at a lower rate one full frame takes longer than a bin of 100ms, and no cable is faster"
);
bound!(
    /// The rate of a link as a share of the throughput without a cap.
    SHARE: f64 = "network.link", 1.0, 100.0, "%",
    "it is a share of the measured throughput"
);
bound!(
    /// Threads of a hog.
    HOG_THREADS: usize = "hogs.threads", 1, 1024, " threads",
    "a hog needs a thread"
);
bound!(
    /// Hogs at the same time.
    HOGS: usize = "fidelity.sections.hogs", 0, 1024, " hogs",
    "each takes a CPU: that starves any host"
);
bound!(
    /// All threads of all hogs at the same time.
    ALL_HOGS: usize = "hogs.threads × fidelity.sections.hogs", 0, 1024, " threads",
    "each takes a CPU: that starves any host"
);
bound!(
    /// Kicks of a closed-loop trial.
    KICKS: u64 = "overhead.closed_loop.kicks", 1, 100_000_000, " kicks",
    "at 10 µs each that is a quarter of an hour per trial"
);
bound!(
    /// Offered load.
    RATE: f64 = "overhead.paced.rate, fidelity.rate, fidelity.sections.rate", 1.0, 1e8, "pps",
    "a slower load leaves bins empty, and no guest sends a frame every 10 ns"
);
bound!(
    /// Length of a paced or saturated trial.
    PHASE: Duration = "overhead.paced.duration, overhead.saturated.duration", MS, HOUR, "",
    "a trial that is broken off is lost"
);
bound!(
    /// Length of a section of a fidelity trial.
    SECTION: Duration = "fidelity.sections.duration", MS, DAY, "",
    "a trial that is broken off is lost"
);
bound!(
    /// Length of a fidelity trial.
    FIDELITY: Duration = "all sections together", MS, DAY, "",
    "a trial that is broken off is lost"
);
bound!(
    /// Bins of a fidelity trial.
    BINS: u64 = "bins of all sections", 1, 100_000, " bins",
    "each adds a number per traced function to one line of the journal"
);
bound!(
    /// Sections of a fidelity trial.
    SECTIONS: usize = "number of fidelity.sections", 1, 1000, " sections",
    "reports have a row for each of them"
);
bound!(
    /// Degradations of a fidelity trial.
    DEGRADATIONS: usize = "fidelity.drawn.degradations.count", 0, 10_000, "",
    "each needs quiet bins before it and behind it"
);
bound!(
    /// What a degradation takes away from a rate.
    LESS: f64 = "fidelity.drawn.degradations.rate_pct", 1.0, 99.0, "%",
    "guests still send, and less"
);
bound!(
    /// What a drawn section has one of.
    CHOICES: usize = "number of fidelity.drawn.rates, .per_kick and .hogs", 1, 1000, "",
    "each section has one of each"
);
bound!(
    /// Programs that a scenario defines.
    EXTERNALS: usize = "number of [[external]] tables", 0, 100, " programs",
    "each has trials of its own in every block"
);
bound!(
    /// Words of a command line.
    WORDS: usize = "external.argv, external.report", 1, 10_000, " words",
    "a program needs a name, and the kernel limits the length of a command line"
);
bound!(
    /// How long to wait for a program.
    WAIT: Duration = "external.settle, external.timeout, external.linger", MS, HOUR, "",
    "every trial waits that long"
);
bound!(
    /// Exit status of a program.
    EXIT: i32 = "external.exit", 0, 255, "",
    "a status is one byte (wait(2))"
);

bound!(
    /// Blocks of a campaign.
    BLOCKS: u32 = "--blocks", 1, 10_000, "",
    "each runs every method, and all are in memory when the result is made"
);
bound!(
    /// Precision at which a campaign stops.
    UNTIL_CI: f64 = "--until-ci", 0.01, 1_000_000.0, "%",
    "it is half the width of an interval, as a share of what the worker takes"
);
bound!(
    /// Factor for the length of the sections.
    TIME_SCALE: f64 = "--time-scale", 0.001, 1000.0, "",
    "sections last from 1 ms to a day"
);
bound!(
    /// Number of functions of a smaller target.
    SIZE: usize = "--sizes", 1, 1_000_000, "",
    "it is a number of functions"
);

bound!(
    /// Time between two reads of a reader.
    WAKE_MS: u32 = "wake_ms", 1, 60_000, "",
    "a reader that sleeps longer may not run during a trial"
);
bound!(
    /// Number of records that wake a reader.
    WAKE_RECORDS: u32 = "wake", 1, 1 << 20, "",
    "a ring of 1 GiB holds little more"
);
bound!(
    /// A buffer of the kernel.
    BUFFER_KIB: u32 = "buffer_kib", 1, 1 << 20, "",
    "it is memory that the kernel cannot swap: 1 GiB is enough"
);
bound!(
    /// Blocks of a packet ring.
    RING_BLOCKS: u32 = "blocks", 1, 65_536, "",
    "it is memory that the kernel cannot swap"
);
bound!(
    /// Bytes kept of each frame.
    SNAPLEN: u32 = "snaplen", 1, 65_535, "",
    "no frame is longer"
);
bound!(
    /// Calls in progress at the same time.
    MAX_KEYS: u32 = "max_keys", 1, 1 << 24, "",
    "a kernel map has room for each"
);
bound!(
    /// Calls that a kretprobe tracks at the same time.
    MAXACTIVE: u32 = "maxactive", 0, 4096, "",
    "the kernel accepts no more (KRETPROBE_MAXACTIVE_MAX); 0 lets it choose"
);
bound!(
    /// Width of a method's own bins.
    BIN_MS: u32 = "bin_ms", 1, 60_000, "",
    "a trial must have several of them"
);
bound!(
    /// Time that a method's own bins cover.
    SPAN_S: u32 = "span_s", 1, 86_400, "",
    "no trial is longer than a day"
);
bound!(
    /// Window in which a budget holds.
    WINDOW_MS: u32 = "window_ms", 1, 60_000, "",
    "a longer window would let a method spend its budget at once"
);

/// Greatest accepted size of a result.
pub const RESULT_BYTES: u64 = 4 << 30;

/// One row per limit of a scenario: its field, what is accepted, and why.
pub fn of_a_scenario() -> Vec<[String; 3]> {
    fn row<T: Bounded>(bound: &Bound<T>) -> [String; 3] {
        [bound.of.into(), bound.to_string(), bound.why.into()]
    }
    vec![
        row(&BIN),
        row(&SETTLE),
        row(&LOAD_CPUS),
        row(&GUESTS),
        row(&VMS),
        row(&FRAME),
        row(&RING),
        row(&VCPUS),
        row(&MEMORY_MIB),
        row(&BITS),
        row(&SHARE),
        row(&HOG_THREADS),
        row(&HOGS),
        row(&ALL_HOGS),
        row(&KICKS),
        row(&RATE),
        row(&PHASE),
        row(&SECTION),
        row(&FIDELITY),
        row(&BINS),
        row(&SECTIONS),
        row(&DEGRADATIONS),
        row(&LESS),
        row(&CHOICES),
        row(&EXTERNALS),
        row(&WORDS),
        row(&WAIT),
        row(&EXIT),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_from_its_least_to_its_most() {
        for value in [1, 64] {
            assert_eq!(GUESTS.check(value), Ok(value));
        }
        for value in [0, 65, usize::MAX] {
            let refused = GUESTS.check(value).unwrap_err();
            assert!(refused.contains("use 1 to 64 guests, since each has"), "{refused}");
        }
        for value in [f64::NAN, f64::INFINITY, 0.0, -1.0, 1e30] {
            RATE.check(value).unwrap_err();
        }
        assert_eq!(RATE.to_string(), "1pps to 100Mpps");
        assert_eq!(BIN.to_string(), "1ms to 10m");
    }

    #[test]
    fn a_word_is_a_number_within_the_bound() {
        assert_eq!(KICKS.parse("5"), Ok(5));
        for word in ["", "-1", "0", "1e3", "18446744073709551616"] {
            let refused = KICKS.parse(word).unwrap_err();
            assert!(refused.contains("use 1 to 100000000 kicks"), "{refused}");
        }
    }
}
