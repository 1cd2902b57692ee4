//! Results for people and programs, made from the model and the analysis alone.

mod caveats;
mod chart;
pub mod compare;
pub mod doctor;
mod durations;
mod figures;
mod grouped;
mod holdings;
mod latency;
pub mod markdown;
pub mod methods;
mod number;
mod paper;
mod remarks;
mod sections;
mod shown;
mod sizes;
pub mod text;
mod widths;

#[cfg(test)]
mod tests;
