//! Machines: stock Debian kernels, images, QEMU, and the protocol between a machine and its host.
//!
//! This crate does not know what is measured in a machine. A [`Machine`] boots a
//! [`kernels::Kernel`] and runs one command; [`Installer`] says what may be installed and fetched
//! for that.

// No input may cause a panic.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::string_slice, clippy::unwrap_used)
)]

mod apt;
pub mod arch;
pub mod externals;
pub mod image;
pub mod install;
pub mod interrupt;
pub mod kernels;
mod libraries;
pub mod machine;
mod modules;
mod newc;
pub mod place;
pub mod protocol;
pub mod store;
pub mod tell;

pub use arch::Architecture;
pub use install::Installer;
pub use machine::Machine;
