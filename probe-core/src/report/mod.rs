//! Results for people and programs, made only from the model and the analysis.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod caveats;
mod chart;
mod columns;
pub mod compare;
pub mod doctor;
mod durations;
mod figures;
mod grouped;
pub mod html;
mod latency;
pub mod lines;
pub mod markdown;
pub mod methods;
mod number;
mod paper;
mod program_runs;
pub mod reasons;
pub mod recommend;
mod remarks;
pub mod results;
pub mod screen;
mod sections;
pub mod several;
mod shown;
mod sizes;
mod table;
pub mod tables;
pub mod text;
mod verdict;
mod widths;

#[cfg(test)]
pub(crate) mod tests;
