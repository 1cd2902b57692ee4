//! Our kernel programs: loads them, attaches each to its place in the kernel, and reads what they
//! count.
//!
//! aya parses and relocates the object and creates its maps. Programs are loaded with our own
//! `BPF_PROG_LOAD`, because aya's supports only functions of the kernel proper: a module's function
//! is identified by an id in the module's own BTF, which the command must also get.

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
mod refusal;
pub mod ring;
pub mod sampler;
pub mod slots;
pub mod statistics;
