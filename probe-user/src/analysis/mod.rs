//! Pure statistics over the model: no IO, no clock; randomness comes in as a seed, and equal input gives equal output.
//!
//! METHODOLOGY.md defines every figure; the modules compute them:
//!
//! | module | holds |
//! |---|---|
//! | [`correlation`] | Pearson, Spearman, moving average |
//! | [`interval`] | Student's t, smallest detectable effect, p-values and Holm |
//! | [`bootstrap`] | BCa over independent values, moving blocks within the sections of one run |

pub mod bootstrap;
pub mod correlation;
#[cfg(test)]
pub(crate) mod fixture;
pub mod interval;
