//! What a kernel tracing method costs, what it loses, and what it still lets you see.
//!
//! The rooms, from the top down; a room uses only those below it:
//!
//! | room | holds |
//! |---|---|
//! | [`cli`] | clap structs, turned into plain configurations |
//! | [`report`] | text and JSON for people, from [`model`] and [`analysis`] alone |
//! | [`measure`] | blocks, trials, the bin clock, the witness, the journal |
//! | [`analysis`] | pure statistics over [`model`] |
//! | [`workload`] | the load: vhost driver, topology, sink, hogs |
//! | [`methods`] | the tracing methods, one room each |
//! | [`kernel`] | facts about and guards over kernel state |
//! | [`sys`] | the system calls; the only unsafe code |
//! | [`model`] | plain types and the result schema; no IO |
//! | [`error`] | the one error type |

// No input is worth a panic. Modules that handle what people or other programs wrote refuse indices
// and unchecked arithmetic too.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::string_slice, clippy::unwrap_used)
)]

pub mod analysis;
pub mod cli;
pub mod commands;
pub mod error;
pub mod kernel;
pub mod measure;
pub mod methods;
pub mod model;
pub mod report;
pub mod sys;
pub mod workload;
