//! Methods that run programs in the kernel.

mod fentry_count;

pub use fentry_count::FentryCount;

use super::registry::Entry;

/// All methods of this family.
pub const METHODS: &[Entry] =
    &[Entry::plain(FentryCount::ID, |_| Ok(Box::new(FentryCount::new())))];
