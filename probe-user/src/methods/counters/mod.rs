//! What the kernel counts whether or not anybody traces: nothing is attached, so a call costs
//! nothing. The price is that of reading at the edges of the bins. Every source is a row in
//! `sources.rs`; they all share one session.

pub mod parse;
mod session;
mod sources;

use self::{session::Counter, sources as of};
use super::entry::Entry;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain("counters-netdev", |options| Ok(Box::new(Counter::take(of::NETDEV, options)?))),
    Entry::plain("counters-worker-time", |options| {
        Ok(Box::new(Counter::take(of::WORKER_TIME, options)?))
    }),
    Entry::plain("counters-worker-delay", |options| {
        Ok(Box::new(Counter::take(of::WORKER_DELAY, options)?))
    }),
    Entry::plain("counters-worker-switches", |options| {
        Ok(Box::new(Counter::take(of::WORKER_SWITCHES, options)?))
    }),
    Entry::plain("counters-softirq", |options| Ok(Box::new(Counter::take(of::SOFTIRQ, options)?))),
    Entry::plain("counters-psi", |options| Ok(Box::new(Counter::take(of::PSI, options)?))),
    Entry::plain("counters-kvm", |options| Ok(Box::new(Counter::take(of::KVM, options)?))),
];
