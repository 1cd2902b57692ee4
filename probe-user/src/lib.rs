//! The `tracetoll` binary: tracing methods, the load that they trace, and the measurement.
//!
//! Results, statistics and reports are in [`probe_core`]. The modules, from the top down; each uses
//! only those below it, and all of them may use [`probe_core`]:
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | clap structs, turned into plain configurations |
//! | [`commands`] | one file per command |
//! | [`measure`] | blocks, trials, the bin clock, the reference counter, the journal |
//! | [`workload`] | the load: vhost driver, topology, sink, hogs |
//! | [`methods`] | the tracing methods, one module each |
//! | [`kernel`] | facts about and guards over kernel state |
//! | [`sys`] | the system calls; the only unsafe code |

// No input is worth a panic. Modules that handle what people or other programs wrote refuse indices
// and unchecked arithmetic too.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::string_slice, clippy::unwrap_used)
)]

pub mod cli;
pub mod commands;
pub mod kernel;
pub mod measure;
pub mod methods;
pub mod sys;
pub mod workload;
