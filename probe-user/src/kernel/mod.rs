//! Facts about the running kernel, and guards that own pieces of its state.

pub mod run;
