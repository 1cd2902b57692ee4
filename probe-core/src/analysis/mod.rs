//! Pure statistics over the model: no IO, no clock. Randomness comes in as a seed, and equal input
//! gives equal output.
//!
//! docs/src/reference/figures.md defines every figure; the modules compute them:
//!
//! | module | holds |
//! |---|---|
//! | [`correlation`] | Pearson, Spearman, moving average |
//! | [`weighted`] | the same of resamples |
//! | [`interval`] | Student's t, smallest detectable effect, p-values and Holm |
//! | `moderated` | variances of a few blocks, held against those of all methods |
//! | `fisher` | how sure it is that enough is left of a correlation |
//! | [`bootstrap`] | BCa over independent values, blocks of bins within the sections of one run |
//! | [`estimate`] | from one value per block to a figure |
//! | [`item`] | what of the target a method saw |
//! | [`baseline`] | the baseline's trials of a block as one |
//! | [`pairs`] | which trials a figure is made from |
//! | `blocks` | the value of a figure in each block |
//! | [`figures`] | the table of figures, and what is derived from it |
//! | [`overhead`], [`events`], [`fidelity`] | what a method costs, loses and still shows |
//! | `within` | what a series tells within the sections of the schedule |
//! | [`split`] | the kernel's part of the overhead, in the unit of the other parts |
//! | [`latency`] | how long frames took |
//! | [`durations`] | how long calls took |
//! | [`program_runs`] | the kernel's run times of BPF programs |
//! | [`sizes`] | the overhead by number of functions |
//! | [`sections`] | what each section of the schedule shows, figures 4 to 7 of the paper |
//! | [`rtt`] | time between calls against round-trip time |
//! | `paper` | the paper's statements beside the measured values |
//! | [`order`], `outliers` | whether the blocks are alike |
//! | [`stop`] | when a campaign has measured enough |
//! | [`summary`] | all figures of every method |
//! | [`journal`] | a journal's lines from its text |
//! | [`merge`] | several journals into one campaign |
//! | `differing` | the first field in which two things differ |
//! | [`compare`] | two campaigns: what is worse, better or the same |
//! | [`recommend`] | which methods keep within a user's limits, and which of them is best |

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod baseline;
mod binned;
mod blocks;
pub mod bootstrap;
#[cfg(test)]
mod chance;
pub mod compare;
pub mod correlation;
pub(crate) mod differing;
pub mod doubt;
pub mod durations;
pub mod estimate;
pub mod events;
pub mod fidelity;
pub mod figures;
mod fisher;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
mod gaps;
pub mod interval;
pub mod item;
pub mod journal;
pub mod latency;
pub mod merge;
mod moderated;
pub mod order;
mod outliers;
pub mod overhead;
pub mod pairs;
mod paper;
pub mod program_runs;
pub mod recommend;
mod reconcile;
pub mod rtt;
pub mod sections;
pub mod sizes;
pub mod split;
pub mod stop;
mod stretch;
pub mod summary;
mod view;
pub mod weighted;
mod within;

/// The sum of counts from a file: it saturates instead of wrapping around.
pub(crate) fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// [`total`] of counts; `None` unless all are known.
fn known_total(counts: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    counts.into_iter().try_fold(0, |sum: u64, count| Some(sum.saturating_add(count?)))
}
