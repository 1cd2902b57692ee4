//! Methods that run programs in the kernel.

mod fentry_count;

pub use fentry_count::FentryCount;
