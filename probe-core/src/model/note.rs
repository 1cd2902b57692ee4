//! Remarks on numbers that a reader must know, for programs; `report::reasons` has the English
//! text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reason::Reason;

/// A remark on an estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Note {
    /// There is only one trial, and so no interval.
    OneTrial,
    /// Blocks in which a trial failed or was not run.
    BlocksMissing {
        /// Number of such blocks.
        missing: usize,
        /// Number of all blocks.
        blocks: usize,
    },
    /// Blocks in which the value is undefined.
    BlocksLeftOut {
        /// Number of such blocks.
        left_out: usize,
        /// Number of all blocks.
        blocks: usize,
        /// Why it is undefined.
        why: Reason,
    },
    /// Blocks whose schedule lacks a section.
    SectionsLacking {
        /// Number of such blocks.
        lacking: usize,
        /// Number of all blocks.
        blocks: usize,
    },
    /// Trials on other clocks are left out.
    OtherClocks,
    /// The offered load under the method differed from that under the baseline.
    LoadDiffered {
        /// By more than this, in per cent.
        beyond_pct: f64,
        /// In this number of pairs.
        pairs: usize,
        /// Number of all pairs.
        of: usize,
    },
    /// The interval has a level other than 95 %.
    Confidence {
        /// The level, in per cent.
        per_cent: f64,
    },
    /// Events are missing from the method's series, or may be.
    SeriesNotExact {
        /// In this number of trials.
        trials: usize,
        /// Number of all trials.
        of: usize,
    },
    /// The method's series does not count calls.
    StandsIn {
        /// What it counts.
        item: String,
    },
    /// The reference counter missed calls, or may have.
    ReferenceNotExact {
        /// In this number of blocks.
        blocks: usize,
        /// Number of all blocks.
        of: usize,
    },
}
