//! Our kernel programs: loading them, tying each to its place in the kernel, reading what they
//! count.
//!
//! aya parses and relocates the object and makes its maps. Programs are loaded by our own
//! `BPF_PROG_LOAD`, because aya's knows only functions of the kernel proper: a module's function
//! goes by an id in the module's own BTF, which the command must be handed too.

pub mod attach_point;
pub mod by_worker;
pub mod chosen;
pub mod counter;
pub mod function;
pub mod link;
pub mod loader;
pub mod log;
pub mod object;
pub mod output;
pub mod probe;
pub mod ring;
pub mod sampler;
pub mod slots;
pub mod statistics;
