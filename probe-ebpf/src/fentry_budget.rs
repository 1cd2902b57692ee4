//! `fentry_budget`: counts each call, and writes a [`crate::ring::Drawn`] for as many as a budget of CPU time allows.
//!
//! Each CPU has a bucket of tokens, in picoseconds of its time. They come at the rate of the budget, and each call and
//! each record takes its price away. The probability with which the next call is recorded is the bucket's level: full
//! is 1. So what is spent settles where it equals what comes in, without a step or a swing, and the records that the
//! bucket holds at most are a burst.
//!
//! The probability is set before the draw, from past calls alone: that is what makes Σ 1/p unbiased, whatever the
//! past was.

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_budget";

/// Name of the map of [`Slot`]s, one for each CPU number that this host can have.
pub const SLOTS: &str = "BUDGET_SLOTS";

/// The bucket is settled at each record, and once in so many calls: a power of two. A clock read per call would cost
/// more than it tells.
pub const SETTLE: u64 = 64;

/// No probability is below 2^-20: a call that cannot be drawn would stand for none, and bias the estimate.
pub const LEAST: u64 = 1 << 12;

/// Bits of fraction in [`Slot::rate`].
pub const RATE_BITS: u32 = 10;

/// `threshold = tokens * scale >> SCALE_BITS`.
pub const SCALE_BITS: u32 = 28;

/// Bits of fraction in [`Slot::lost_weight`].
pub const WEIGHT_BITS: u32 = 8;

/// One CPU's account; written as [`crate::fentry_count::Slot`] is.
#[repr(C, align(128))]
pub struct Slot {
    /// Calls.
    pub calls: u64,
    /// Calls that were drawn and found the ring full.
    pub lost: u64,
    /// Sum of their weights `2^32 / threshold`, with [`WEIGHT_BITS`] bits of fraction.
    pub lost_weight: u64,
    /// Sum of the squares of their weights.
    pub lost_squares: u64,
    /// The next call is drawn with probability `threshold / 2^32`.
    pub threshold: u64,
    /// What is in the bucket, in ps.
    pub tokens: u64,
    /// Of `calls`, those that were paid for.
    pub settled: u64,
    /// When the bucket was settled, in ns of `CLOCK_MONOTONIC`.
    pub settled_at: u64,
    /// Tokens that come per ns, with [`RATE_BITS`] bits of fraction. This and all below is written by user space
    /// before the program is attached.
    pub rate: u64,
    /// What the bucket holds, in ps.
    pub capacity: u64,
    /// `2^60 / capacity`: the probability without a division.
    pub scale: u64,
    /// Price of a call that is not recorded, in ps.
    pub call_price: u64,
    /// What a record costs beyond that, in ps.
    pub record_price: u64,
}

impl Slot {
    /// Notes a call that was drawn at `threshold` and found the ring full: the estimate needs its weight all the same.
    #[inline(always)]
    pub fn lose(&mut self, threshold: u64) {
        let weight = (1_u64 << (32 + WEIGHT_BITS)).checked_div(threshold).unwrap_or(0);
        self.lost += 1;
        self.lost_weight += weight;
        self.lost_squares += (weight * weight) >> (2 * WEIGHT_BITS);
    }

    /// Fills the bucket with what the time since the last time was worth, takes out what the calls cost, and sets the
    /// probability for the next ones.
    #[inline(always)]
    pub fn settle(&mut self, now: u64, recorded: bool) {
        /// More than an hour, which fills any bucket; and no product below reaches 2^64.
        const LONGEST: u64 = 1 << 42;
        let elapsed = now.wrapping_sub(self.settled_at).min(LONGEST);
        let earned = (elapsed * self.rate) >> RATE_BITS;
        let full = (self.tokens + earned).min(self.capacity);
        let calls = self.calls - self.settled;
        let record = if recorded { self.record_price } else { 0 };
        self.tokens = full.saturating_sub(calls * self.call_price + record);
        self.threshold = ((self.tokens * self.scale) >> SCALE_BITS).max(LEAST);
        self.settled = self.calls;
        self.settled_at = now;
    }
}
