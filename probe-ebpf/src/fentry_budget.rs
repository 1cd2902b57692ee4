//! `fentry_budget`: counts each call, and writes a [`crate::ring::Drawn`] for as many as a budget
//! of CPU time allows.
//!
//! Each CPU has a bucket of tokens, in picoseconds of its time. Tokens arrive at the rate of the
//! budget, and each call and each record removes its cost. The probability with which the next call
//! is recorded is the bucket's level: full is 1. So spending settles where it equals what arrives,
//! without steps or oscillation, and a burst is at most the number of records that the bucket can
//! pay for. What is spent beyond the bucket becomes a debt, of at most the bucket's capacity, which
//! must be earned back before anything else is recorded.
//!
//! The probability is set before the draw, only from past calls: that makes Σ 1/p unbiased,
//! whatever the past was.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_budget";

/// Name of the map of [`Slot`]s, one per possible CPU number of this host.
pub const SLOTS: &str = "BUDGET_SLOTS";

/// The bucket is settled at each record, and once in this many calls: a power of two. A clock read
/// per call would cost more than it is worth.
pub const SETTLE: u64 = 64;

/// No probability is below 2^-16: a call that cannot be drawn would not be represented, and bias
/// the estimate. At a million calls per second that is 15 records.
pub const LEAST: u64 = 1 << 16;

/// Bits of fraction in [`Slot::rate`].
pub const RATE_BITS: u32 = 10;

/// `threshold = tokens * scale >> SCALE_BITS`.
pub const SCALE_BITS: u32 = 28;

/// Bits of fraction in [`Slot::lost_weight`] and [`Slot::variance`].
pub const WEIGHT_BITS: u32 = 16;

/// One CPU's account; written like [`crate::fentry_count::Slot`].
#[repr(C, align(128))]
pub struct Slot {
    /// Calls.
    pub calls: u64,
    /// Calls that were drawn but found the ring full.
    pub lost: u64,
    /// Sum of their weights `2^32 / threshold`, with [`WEIGHT_BITS`] bits of fraction.
    pub lost_weight: u64,
    /// Sum of `w - 1` over the calls that were paid for, drawn or not, with the same number of
    /// bits: the variance of the sum of the weights of those that were drawn. It saturates.
    pub variance: u64,
    /// The next call is drawn with probability `threshold / 2^32`.
    pub threshold: u64,
    /// The content of the bucket, in ps; negative for a debt.
    pub tokens: i64,
    /// Number of `calls` that were paid for.
    pub settled: u64,
    /// When the bucket was last settled, in ns of `CLOCK_MONOTONIC`.
    pub settled_at: u64,
    /// The least `threshold` so far.
    pub least: u64,
    /// Tokens that arrive per ns, with [`RATE_BITS`] bits of fraction. User space writes this and
    /// everything below before the program is attached.
    pub rate: u64,
    /// Capacity of the bucket, in ps: more than [`SETTLE`] calls cost.
    pub capacity: u64,
    /// `2^60 / capacity`: the probability without a division.
    pub scale: u64,
    /// Cost of a call that is not recorded, in ps.
    pub call_price: u64,
    /// Additional cost of a record, in ps.
    pub record_price: u64,
}

impl Slot {
    /// Counts a call that was drawn at `threshold` but found the ring full: the estimate still
    /// needs its weight.
    #[inline(always)]
    pub fn lose(&mut self, threshold: u64) {
        self.lost += 1;
        self.lost_weight += weight(threshold);
    }

    /// Removes the cost of the calls from the bucket, adds what the time since the last settlement
    /// is worth, and sets the probability for the next calls.
    #[inline(always)]
    pub fn settle(&mut self, now: u64, recorded: bool) {
        /// More than an hour, which fills any bucket; and no product below reaches 2^63.
        const LONGEST: u64 = 1 << 42;
        let elapsed = now.wrapping_sub(self.settled_at).min(LONGEST);
        let earned = (elapsed * self.rate) >> RATE_BITS;
        let calls = self.calls - self.settled;
        // All of them were drawn with this probability.
        let each = weight(self.threshold).saturating_sub(1 << WEIGHT_BITS);
        self.variance = self.variance.saturating_add(calls * each);
        let record = if recorded { self.record_price } else { 0 };
        let capacity = self.capacity as i64;
        // Paid before the bucket overflows: what was earned in a period first pays for its calls.
        let tokens = self.tokens + earned as i64 - (calls * self.call_price + record) as i64;
        // `clamp` can panic, and the verifier does not know that the capacity is above zero.
        self.tokens = tokens.min(capacity).max(-capacity);
        self.threshold = ((self.tokens.max(0) as u64 * self.scale) >> SCALE_BITS).max(LEAST);
        self.least = self.least.min(self.threshold);
        self.settled = self.calls;
        self.settled_at = now;
    }
}

/// The weight of a call that is drawn at `threshold`, from 1 to 2^16, rounded to the nearest.
#[inline(always)]
fn weight(threshold: u64) -> u64 {
    let doubled = (1_u64 << (33 + WEIGHT_BITS)).checked_div(threshold).unwrap_or(0);
    (doubled + 1) >> 1
}
