//! What a reader must know of a number, for programs; `report::reasons` says it in English.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reason::Reason;

/// A remark on an estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Note {
    /// One trial, which has no interval.
    OneTrial,
    /// Blocks in which a trial failed or was not run.
    BlocksMissing {
        /// How many.
        missing: usize,
        /// Of so many.
        blocks: usize,
    },
    /// Blocks in which the value does not exist.
    BlocksLeftOut {
        /// How many.
        left_out: usize,
        /// Of so many.
        blocks: usize,
        /// Why it does not.
        why: Reason,
    },
    /// Blocks whose schedule lacks a section.
    SectionsLacking {
        /// How many.
        lacking: usize,
        /// Of so many.
        blocks: usize,
    },
    /// Trials in other clocks are left out.
    OtherClocks,
    /// The offered load was not the same under the method and under the baseline.
    LoadDiffered {
        /// By more than so many per cent.
        beyond_pct: f64,
        /// In so many pairs.
        pairs: usize,
        /// Of so many.
        of: usize,
    },
    /// The interval is not at 95 %.
    Confidence {
        /// But at this level, in per cent.
        per_cent: f64,
    },
    /// Events are missing in the method's series, or may be.
    SeriesNotExact {
        /// In so many trials.
        trials: usize,
        /// Of so many.
        of: usize,
    },
    /// The method's series is not of calls.
    StandsIn {
        /// What it is of.
        item: String,
    },
    /// The reference counter missed calls, or may have.
    ReferenceNotExact {
        /// In so many blocks.
        blocks: usize,
        /// Of so many.
        of: usize,
    },
}
