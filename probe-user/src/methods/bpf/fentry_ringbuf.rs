//! `bpf-fentry-ringbuf`: a timestamp per call, through a BPF ring buffer, like vNetTracer's
//! records.
//!
//! Each function has its own ring, to which all CPUs write. So a record is only a timestamp, and
//! losses of a full ring are known per function. Programs never wake the reader, which runs
//! periodically. If the ring is full, the program counts the call in its CPU's slot, so recorded +
//! lost is exact.

use serde_json::json;

use probe_core::{
    error::{Error, Result},
    model::{bounds, item::ItemId, method::Class, units::Nanos},
};
use probe_ebpf::{fentry_ringbuf::PROGRAM, losses, ring::RING};

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

/// Creates the method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    // 65536 records: at the default wake-up the ring holds 655 thousand calls per second.
    let shape = RingOptions::take(options, 1024)?;
    let summary = "fentry programs write a timestamp per call to a BPF ring buffer";
    let kind =
        MethodKind { parameters: shape.parameters(), ..MethodKind::new(Class::Recorded, summary) };
    Ok(Programmed::make(options, kind, Record { shape }))
}

/// The size of each function's ring, and how often it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RingOptions {
    buffer_kib: u32,
    wake_ms: u32,
}

impl RingOptions {
    /// As `options` say, or a ring of `default_kib`, read every 100 ms.
    pub(super) fn take(options: &mut Options, default_kib: u32) -> Result<Self> {
        let buffer_kib = options.number("buffer_kib", default_kib, &bounds::BUFFER_KIB)?;
        let wake_ms = options.number("wake_ms", 100, &bounds::WAKE_MS)?;
        let shape = Self { buffer_kib, wake_ms };
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
        every(self.wake_ms)
    }

    pub(super) fn parameters(self) -> Details {
        Details::from([
            ("buffer_kib".into(), json!(self.buffer_kib)),
            ("wake_ms".into(), json!(self.wake_ms)),
            ("clock".into(), json!("monotonic")),
        ])
    }
}

#[derive(Debug)]
struct Record {
    shape: RingOptions,
}

#[derive(Debug)]
struct Recording {
    ring: BpfRing<1>,
    losses: Slots,
    recorded: u64,
}

impl Design for Record {
    type Part = Recording;

    fn cadence(&self) -> Cadence {
        self.shape.cadence()
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Recording>> {
        let maps = [(RING, self.shape.bytes()), (losses::LOSSES, loader.cpus())];
        let probe = loader.load(PROGRAM, &maps, spot)?;
        let ring = BpfRing::new(probe.map(RING)?, self.shape.bytes(), &probe.subject)?;
        let losses = probe.slots::<losses::Slot>(losses::LOSSES, 1)?;
        Ok(Traced::new(probe, Recording { ring, losses, recorded: 0 }))
    }
}

impl Part for Recording {
    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        let Self { ring, recorded, .. } = self;
        ring.drain(|[at]| {
            *recorded += 1;
            sink.event(item, Nanos(at));
        })
    }

    fn account(&mut self, probes: &[Probe]) -> Result<Account> {
        self.ring.all_read(&probes[0].subject)?;
        let lost = self.losses.sum(0);
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
}
