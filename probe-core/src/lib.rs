//! What a kernel tracing method costs, what it loses, and what it still lets you see.
//!
//! This crate has the result of a campaign: its schema, the statistics over it, and the reports. It
//! needs no kernel, no network and no root. The modules, from the top down; each uses only those
//! below it:
//!
//! | module | holds |
//! |---|---|
//! | [`report`] | text, pages and tables for people and programs, from [`model`] and [`analysis`] alone |
//! | [`analysis`] | pure statistics over [`model`] |
//! | [`model`] | plain types and the result schema; no IO |
//! | [`error`] | the one error type |

#![warn(missing_docs)]
// No input may cause a panic. Modules that handle input from people or other programs also forbid
// indexing and unchecked arithmetic.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::string_slice, clippy::unwrap_used)
)]

pub mod analysis;
pub mod error;
pub mod model;
pub mod report;
