//! Parameters of the programs of `fentry_budget`: their budget, and the costs.

use std::mem::offset_of;

use probe_core::{error::Result, model::units::Nanos};
use probe_ebpf::{
    fentry_budget::{LEAST, PROGRAM, RATE_BITS, SCALE_BITS, SETTLE, SLOTS, Slot},
    ring::RING,
};

use crate::kernel::{
    bpf::{
        loader::{Loader, Spot},
        probe::Probe,
        ring::BpfRing,
        slots::Slots,
    },
    clock,
};

/// A bucket holds at least this many records: its level determines the probability, and one record
/// must not be most of it.
pub(super) const RECORDS: f64 = 16.0;

/// Costs in ns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prices {
    /// Cost of the hook, the count and the draw, and the share of settling the bucket.
    pub(super) call: f64,
    /// Additional cost of a record.
    pub(super) record: f64,
}

/// The parameters in the programs' units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rates {
    /// Tokens at the start.
    pub(super) tokens: u64,
    pub(super) rate: u64,
    pub(super) capacity: u64,
    pub(super) call_price: u64,
    pub(super) record_price: u64,
}

impl Rates {
    /// Nothing can be paid for, so the least probability applies.
    pub(super) const NEVER: Self =
        Self { tokens: 0, rate: 0, capacity: 1 << 32, call_price: 0, record_price: 0 };
    /// Everything is free.
    pub(super) const ALWAYS: Self = Self { tokens: 1 << 32, ..Self::NEVER };

    /// `share` of a CPU at these costs, in a full bucket for `window` of it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "positive, and far below 2^60 by the bounds of the parameters"
    )]
    pub(super) fn new(share: f64, window: Nanos, prices: Prices) -> Self {
        const PS_PER_NS: f64 = 1000.0;
        let ps = |ns: f64| (ns * PS_PER_NS).round() as u64;
        let fraction = f64::from(1_u32 << RATE_BITS);
        let least = f64::max(RECORDS * prices.record, SETTLE as f64 * prices.call);
        let capacity = ps(f64::max(share * window.as_secs() * 1e9, least));
        Self {
            tokens: capacity,
            rate: (share * PS_PER_NS * fraction).round() as u64,
            capacity,
            call_price: ps(prices.call),
            record_price: ps(prices.record),
        }
    }

    /// Sets the slots of all CPUs to the same values; the program must not be attached.
    pub(super) fn fill(self, slots: &Slots) -> Result<()> {
        // In the order of the slot's words.
        const { assert!(offset_of!(Slot, threshold) == 32) };
        const { assert!(offset_of!(Slot, record_price) == 104) };
        let Self { tokens, rate, capacity, call_price, record_price } = self;
        let scale = (1 << (32 + SCALE_BITS)) / capacity;
        let threshold = ((tokens * scale) >> SCALE_BITS).max(LEAST);
        let now = clock::now().0;
        let config = [rate, capacity, scale, call_price, record_price];
        slots.fill(|_| {
            let [rate, capacity, scale, call, record] = config;
            [0, 0, 0, 0, threshold, tokens, 0, now, threshold, rate, capacity, scale, call, record]
        })
    }
}

/// Loads the program for `spot` with a ring of this many bytes.
pub(super) fn load_on(
    loader: &mut Loader,
    spot: Spot<'_>,
    ring_bytes: u32,
) -> Result<(Probe, Slots, BpfRing<2>)> {
    let probe = loader.load(PROGRAM, &[(RING, ring_bytes), (SLOTS, loader.cpus())], spot)?;
    let ring = BpfRing::new(probe.map(RING)?, ring_bytes, &probe.subject)?;
    let slots = probe.slots::<Slot>(SLOTS, 1)?;
    Ok((probe, slots, ring))
}
