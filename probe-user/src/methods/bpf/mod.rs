//! Methods that run programs in the kernel.

pub mod count;
mod counting;
mod fentry_count;

pub use fentry_count::FentryCount;

use self::count::{Count, Kind};
use super::{Method, registry::Entry};
use crate::error::Result;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain(FentryCount::ID, |_| Ok(Box::new(FentryCount::new()))),
    Entry::plain(Kind::KPROBE.id, |_| count(Kind::KPROBE)),
    Entry::plain(Kind::KPROBE_MULTI.id, |_| count(Kind::KPROBE_MULTI)),
    Entry::plain(Kind::RAW_TRACEPOINT.id, |_| count(Kind::RAW_TRACEPOINT)),
    Entry::plain(Kind::TRACEPOINT.id, |_| count(Kind::TRACEPOINT)),
];

#[expect(clippy::unnecessary_wraps, reason = "what the registry calls may fail")]
fn count(kind: Kind) -> Result<Box<dyn Method>> {
    Ok(Box::new(Count::new(kind)))
}
