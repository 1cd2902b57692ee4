//! The kernel's own tracers, through tracefs.

pub mod calls;
pub mod format;
pub mod function;
pub mod page;
pub mod reader;
