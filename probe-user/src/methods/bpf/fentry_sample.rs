//! `bpf-fentry-sample-N`: counts every call, and records one in N with its time.
//!
//! Each call is drawn independently, with probability 1/N, by the kernel's generator, so no pattern
//! of the load can correlate with it. The exact number of calls is also reported (`counted`); the
//! estimate comes from the draws alone, as a sampler without the count would have to report it.

use std::mem::offset_of;

use probe_core::{
    error::{Error, Result},
    model::{
        item::ItemId,
        method::{Class, SeriesUnit},
        units::Nanos,
    },
};
use probe_ebpf::{
    fentry_sample::{PROGRAM, SLOTS, Slot},
    ring::RING,
};
use serde_json::json;

use super::{
    estimate,
    fentry_ringbuf::RingOptions,
    session::{Account, Design, Details, MethodKind, Part, Programmed, Traced, check_drawn},
};
use crate::{
    kernel::bpf::{
        loader::{Loader, Spot},
        probe::Probe,
        ring::BpfRing,
        slots::Slots,
    },
    methods::{Cadence, Method, Sink, entry::number_in, options::Options},
};

/// Its ids.
pub(super) const PATTERN: &str = "bpf-fentry-sample-N";
/// The id that groups contain.
pub(super) const EXAMPLE: &str = "bpf-fentry-sample-100";

/// Creates the method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    let one_in = number_in(PATTERN, options.base()).unwrap_or(100);
    if one_in == 0 {
        let subject = format!("method `{}`", options.base());
        return Err(Error::invalid(subject, "one in none", "Give a number above zero"));
    }
    // 16384 records: one in ten of a million calls per second, and more than the default wake-up
    // needs.
    let shape = RingOptions::take(options, 256)?;
    let mut parameters = shape.parameters();
    parameters.insert("one_in".into(), json!(one_in));
    let summary = format!("fentry programs count each call and record one in {one_in} at random");
    let unit = SeriesUnit::Calls { factor: one_in.into() };
    let kind = MethodKind { unit, parameters, ..MethodKind::new(Class::Sampled, summary) };
    // Half a 2^32nd away at most.
    let threshold = ((1_u64 << 32) + u64::from(one_in) / 2) / u64::from(one_in);
    Ok(Programmed::make(options, kind, Draw { shape, threshold }))
}

#[derive(Debug)]
struct Draw {
    shape: RingOptions,
    threshold: u64,
}

#[derive(Debug)]
struct Drawing {
    ring: BpfRing<1>,
    slots: Slots,
    threshold: u64,
    recorded: u64,
}

impl Design for Draw {
    type Part = Drawing;

    fn cadence(&self) -> Cadence {
        self.shape.cadence()
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Drawing>> {
        let maps = [(RING, self.shape.bytes()), (SLOTS, loader.cpus())];
        let probe = loader.load(PROGRAM, &maps, spot)?;
        let ring = BpfRing::new(probe.map(RING)?, self.shape.bytes(), &probe.subject)?;
        let slots = probe.slots::<Slot>(SLOTS, 1)?;
        let part = Drawing { ring, slots, threshold: self.threshold, recorded: 0 };
        Ok(Traced::new(probe, part))
    }
}

impl Part for Drawing {
    fn start(&mut self) -> Result<()> {
        // In the order of the slot's words.
        const { assert!(offset_of!(Slot, threshold) == 16) };
        self.slots.fill(|_| [0, 0, self.threshold])
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
        let lost = self.slots.sum(offset_of!(Slot, lost));
        let calls = self.slots.sum(offset_of!(Slot, calls));
        check_drawn(self.recorded + lost, calls, probes)?;
        #[expect(clippy::cast_precision_loss, reason = "at most 2^32")]
        let p = self.threshold as f64 / (1_u64 << 32) as f64;
        let read = self.ring.bytes();
        Ok(Account {
            counted: Some(calls),
            // Lost records were drawn too.
            estimate: Some(estimate::binomial(self.recorded + lost, p)),
            lost,
            details: Details::from([("lost_per_function".into(), json!(lost))]),
            ..Account::new(Some(self.recorded), read)
        })
    }
}
