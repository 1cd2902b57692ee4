//! What the kernel counts whether or not anybody traces.

pub mod parse;
