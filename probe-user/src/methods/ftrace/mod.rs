//! The kernel's own tracers, through tracefs.

pub mod calls;
pub mod function;
pub mod page;
pub mod reader;

use self::function::FunctionTracer;
use super::registry::Entry;

/// All methods of this family.
pub const METHODS: &[Entry] = &[Entry::plain(function::ID, |options| {
    Ok(Box::new(FunctionTracer::new(function::Parameters::take(options)?, options)))
})];
