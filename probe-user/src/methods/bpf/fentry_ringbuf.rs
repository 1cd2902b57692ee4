//! `bpf-fentry-ringbuf`: a timestamp per call, through a BPF ring buffer, like vNetTracer's
//! records.
//!
//! Each function has its own ring, to which all CPUs write. So a record is only a timestamp, and
//! losses of a full ring are known per function. If the ring is full, the program counts the call
//! in its CPU's slot, so recorded + lost is exact.
//!
//! How a record is delivered decides what it costs, so it is a parameter ([`Wake`]), and each
//! choice has a program of its own.

use std::{fmt, mem::offset_of, os::fd::BorrowedFd};

use probe_core::{
    error::{Error, Result},
    model::{bounds, item::ItemId, method::Class, units::Nanos},
};
use probe_ebpf::{
    fentry_ringbuf, fentry_ringbuf_adaptive,
    fentry_ringbuf_batch::{self, SLOTS, Slot},
    losses,
    ring::RING,
};
use serde_json::{Value, json};

use super::session::{Account, Design, Details, MethodKind, Part, Programmed, Traced, every};
use crate::{
    kernel::bpf::{
        loader::{Loader, Spot},
        probe::Probe,
        ring::BpfRing,
        slots::Slots,
    },
    methods::{Cadence, Method, Sink, options::Options},
};

/// Its id.
pub(super) const ID: &str = "bpf-fentry-ringbuf";
/// With the kernel's default, which libbpf's examples use.
pub(super) const ADAPTIVE: &str = "bpf-fentry-ringbuf:wake=adaptive";

/// Bytes of a record in the ring: its header and its time.
const RECORD: u64 = 16;

/// Creates the method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    // 65536 records: at the default wake-up the ring holds 655 thousand calls per second.
    let wake = Wake::take(options)?;
    let shape = match wake {
        Wake::Never => RingOptions::take(options, 1024)?,
        Wake::Adaptive | Wake::Waiting(_) => RingOptions::woken(options, 1024)?,
    };
    if let Wake::Waiting(records) = wake
        && u64::from(records) * RECORD >= u64::from(shape.bytes())
    {
        return Err(Error::invalid(
            format!("method `{}`:wake", options.base()),
            format!("a ring of {} KiB never holds {records} records", shape.buffer_kib),
            "Give a smaller number, or a larger buffer_kib",
        ));
    }
    let summary = format!("fentry programs write a timestamp per call to a BPF ring buffer{wake}");
    let mut parameters = shape.parameters();
    parameters.insert("wake".into(), wake.parameter());
    let kind = MethodKind { parameters, ..MethodKind::new(Class::Recorded, summary) };
    Ok(Programmed::make(options, kind, Record { shape, wake }))
}

/// When a record wakes the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// Never: it reads at an interval.
    Never,
    /// If it had read everything before: the kernel's and libbpf's default.
    Adaptive,
    /// If this number of records waits.
    Waiting(u32),
}

impl Wake {
    fn take(options: &mut Options) -> Result<Self> {
        let word: String = options.take("wake", "never".to_owned())?;
        match word.as_str() {
            "never" => Ok(Self::Never),
            "adaptive" => Ok(Self::Adaptive),
            _ => options.number("wake", 1, &bounds::WAKE_RECORDS).map(Self::Waiting),
        }
    }

    fn parameter(self) -> Value {
        match self {
            Self::Never => json!("never"),
            Self::Adaptive => json!("adaptive"),
            Self::Waiting(records) => json!(records),
        }
    }
}

impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => Ok(()),
            Self::Adaptive => f.write_str(", and wake the reader if it had read everything"),
            Self::Waiting(records) => write!(f, ", and wake the reader if {records} wait"),
        }
    }
}

/// The size of each function's ring, and how often it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RingOptions {
    buffer_kib: u32,
    /// `None` if the programs wake the reader.
    wake_ms: Option<u32>,
}

impl RingOptions {
    /// As `options` say, or a ring of `default_kib`, read every 100 ms.
    pub(super) fn take(options: &mut Options, default_kib: u32) -> Result<Self> {
        let shape = Self::woken(options, default_kib)?;
        Ok(Self { wake_ms: Some(options.number("wake_ms", 100, &bounds::WAKE_MS)?), ..shape })
    }

    /// The same for a reader that is woken.
    fn woken(options: &mut Options, default_kib: u32) -> Result<Self> {
        let buffer_kib = options.number("buffer_kib", default_kib, &bounds::BUFFER_KIB)?;
        let shape = Self { buffer_kib, wake_ms: None };
        // kernel/bpf/ringbuf.c: a power of two, at least a page; positions are 32 bits in the maps
        // of older kernels.
        let fits = (rustix::param::page_size()..=1 << 30).contains(&(buffer_kib as usize * 1024));
        if fits && buffer_kib.is_power_of_two() {
            return Ok(shape);
        }
        Err(Error::invalid(
            format!("method `{}`:buffer_kib", options.base()),
            format!("invalid ring size of {buffer_kib} KiB"),
            "Give a power of two from 4 to 1048576",
        ))
    }

    pub(super) fn bytes(self) -> u32 {
        self.buffer_kib * 1024
    }

    pub(super) fn cadence(self) -> Cadence {
        self.wake_ms.map_or(Cadence::Woken, every)
    }

    pub(super) fn parameters(self) -> Details {
        let mut parameters = Details::from([
            ("buffer_kib".into(), json!(self.buffer_kib)),
            ("clock".into(), json!("monotonic")),
        ]);
        parameters.extend(self.wake_ms.map(|wake_ms| ("wake_ms".into(), json!(wake_ms))));
        parameters
    }
}

#[derive(Debug)]
struct Record {
    shape: RingOptions,
    wake: Wake,
}

#[derive(Debug)]
struct Recording {
    ring: BpfRing<1>,
    /// The first word of a CPU's slot is its losses.
    slots: Slots,
    wake: Wake,
    recorded: u64,
}

impl Design for Record {
    type Part = Recording;

    fn cadence(&self) -> Cadence {
        self.shape.cadence()
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Recording>> {
        let (program, name) = match self.wake {
            Wake::Never => (fentry_ringbuf::PROGRAM, losses::LOSSES),
            Wake::Adaptive => (fentry_ringbuf_adaptive::PROGRAM, losses::LOSSES),
            Wake::Waiting(_) => (fentry_ringbuf_batch::PROGRAM, SLOTS),
        };
        let maps = [(RING, self.shape.bytes()), (name, loader.cpus())];
        let probe = loader.load(program, &maps, spot)?;
        let ring = BpfRing::new(probe.map(RING)?, self.shape.bytes(), &probe.subject)?;
        const { assert!(size_of::<Slot>() == size_of::<losses::Slot>()) };
        let slots = probe.slots::<losses::Slot>(name, 1)?;
        Ok(Traced::new(probe, Recording { ring, slots, wake: self.wake, recorded: 0 }))
    }
}

impl Part for Recording {
    fn ready(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.ring.ready()]
    }

    fn start(&mut self) -> Result<()> {
        // In the order of the slot's words.
        const { assert!(offset_of!(Slot, lost) == 0 && offset_of!(Slot, wake_bytes) == 8) };
        match self.wake {
            Wake::Never | Wake::Adaptive => Ok(()),
            Wake::Waiting(records) => self.slots.fill(|_| [0, u64::from(records) * RECORD]),
        }
    }

    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        let Self { ring, recorded, .. } = self;
        ring.drain(|[at]| {
            *recorded += 1;
            sink.event(item, Nanos(at));
        })
    }

    fn account(&mut self, probes: &[Probe]) -> Result<Account> {
        self.ring.all_read(&probes[0].subject)?;
        let lost = self.slots.sum(0);
        let details = Details::from([("lost_per_function".into(), json!(lost))]);
        Ok(Account { lost, details, ..Account::new(Some(self.recorded), self.ring.bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_powers_of_two_of_pages() {
        for (kib, fits) in [(4, true), (1024, true), (3, false), (2, false), (1 << 21, false)] {
            let mut options = Options::parse(&format!("{ID}:buffer_kib={kib}")).unwrap();
            assert_eq!(make(&mut options).is_ok(), fits, "{kib}");
        }
    }

    #[test]
    fn a_reader_that_is_woken_has_no_interval() {
        let parameters = |word: &str| {
            let mut options = Options::parse(&format!("{ID}{word}")).unwrap();
            let method = make(&mut options)?;
            options.finish().map(|()| json!(method.descriptor().parameters))
        };
        assert_eq!(parameters("").unwrap()["wake_ms"], 100);
        assert_eq!(parameters(":wake=adaptive").unwrap()["wake"], "adaptive");
        assert_eq!(parameters(":wake=64").unwrap()["wake"], 64);
        for wrong in [
            ":wake=0",
            ":wake=always",
            ":wake=64:wake_ms=10",
            ":wake=256:buffer_kib=4",
            ":wake=65536",
        ] {
            assert!(parameters(wrong).is_err(), "{wrong}");
        }
    }
}
