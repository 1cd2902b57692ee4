//! Reasons why a figure has no number, for programs; `report::reasons` has the English text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    method::MethodId,
    trial::{Pace, Part},
};

/// Why a figure has no number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// The baseline has no such figure.
    Baseline,
    /// The version of tracetoll that wrote the result did not have the figure.
    NotInThisResult,
    /// The figure is computed from trials of another part.
    OtherTrials,
    /// No block has a value, for different reasons.
    Several {
        /// The reasons, each once.
        reasons: Vec<Self>,
    },

    /// There are no trials.
    NoTrials,
    /// No trial of this kind was run.
    NoTrial {
        /// The kind.
        trials: TrialKind,
        /// Under this method.
        method: MethodId,
    },
    /// Every trial of this kind failed.
    AllFailed {
        /// The kind.
        trials: TrialKind,
        /// Under this method.
        method: MethodId,
        /// The first one's error.
        first: String,
    },
    /// There are trials of this kind, but their runs are missing.
    NoRun {
        /// The kind.
        trials: TrialKind,
        /// Under this method.
        method: MethodId,
    },
    /// No block has these trials of both methods.
    NoCommonBlock {
        /// The kinds.
        trials: Vec<TrialKind>,
        /// The methods.
        methods: [MethodId; 2],
    },
    /// No block has the baseline with and without reference counter at the same pace.
    NoReferencePair,

    /// A profiler does nothing per call.
    NoCostPerCall,
    /// The target does not contain the function that each kick calls.
    NotInTarget {
        /// The function.
        function: String,
    },
    /// A divisor is zero: nothing was sent, or no time was counted.
    NothingCounted,
    /// The reader is a process, whose wake-ups are not counted.
    WakeupsNotCounted,

    /// A frame took no time, so the ratio is undefined.
    NoTime,
    /// The guests do not put timestamps into their frames.
    NotTimed,
    /// Less than one frame is expected beyond the percentile.
    TooFewFrames,

    /// `r_0` has no interval, and may be near zero.
    UnsureR0,
    /// The interval of `r_0` is too close to zero to divide by.
    WeakR0 {
        /// Its lower end.
        lo: f64,
        /// Its upper end.
        hi: f64,
        /// What the end nearer to zero must exceed.
        least: f64,
    },
    /// `series_error` is not below the bound at any bin width.
    ErrorNotBelow {
        /// The bound.
        bound: f64,
        /// The least upper end of its intervals.
        hi: f64,
        /// The width of these bins, in seconds.
        width_s: f64,
    },
    /// `series_error` has no interval at any bin width.
    NoIntervalOfError,

    /// The method has no series of this function.
    NoSeries {
        /// The function.
        function: String,
    },
    /// The guest has no series.
    NoSeriesOfGuest {
        /// Its name.
        guest: String,
    },
    /// The method does not show calls.
    NotCalls {
        /// What it shows instead.
        item: String,
    },
    /// Shares of CPU time are not calls.
    SharesNotCalls,
    /// Shares of CPU time do not give the time between calls.
    SharesNotTimes,
    /// The method does not report the share of a function's own code.
    NoOwnShare,
    /// Two series differ in length.
    Lengths {
        /// Bins of each.
        bins: [usize; 2],
    },
    /// The reference counter counted no call.
    NoCallByReference,
    /// The trial ran without the reference counter.
    NoReference,
    /// The reference counter cannot count this function.
    ReferenceUnavailable {
        /// The reason that the run gives.
        why: String,
    },
    /// The reference counter does not cover this function.
    ReferenceLacksFunction,
    /// The sink did not count frames per bin.
    NoFramesByBin,
    /// No guest reports a round-trip time.
    NoRoundTripTime,

    /// Too few bins for a correlation.
    TooFewBins {
        /// Bins in which both series are known.
        bins: usize,
        /// The least number of bins.
        least: usize,
    },
    /// A series has the same value in all bins.
    Constant {
        /// The series.
        series: Compared,
    },
    /// A series contains a value that is not a number.
    NotANumber {
        /// The series.
        series: Compared,
    },

    /// Within each section, a series has the same value in each bin.
    ConstantWithin {
        /// The series.
        series: Compared,
    },
    /// Two series go together exactly: what one tells of the other has no bound.
    FollowsExactly,
    /// No section has both bins that were degraded on purpose and others.
    NoDegradation,

    /// No trial has these sections.
    NoSections,
    /// The series ends before the section.
    EndsBeforeSection,
    /// A ratio's divisor is zero.
    NothingToDivideBy,
    /// There are fewer than two bins, or their mean is zero, so scatter is undefined.
    NoScatter,
    /// A change needs two sections.
    OneSection,
    /// A change in per cent starts from zero.
    BeginsAtNothing,

    /// No closed-loop trial succeeded.
    NoClosedLoopTrial,
    /// The load does not determine how often it happens.
    NotTied,
    /// The method records nothing.
    RecordsNothing,
    /// Shares of CPU time do not count calls.
    SharesDoNotCount,
    /// A trial has no count of the item.
    NoCount,
    /// A trial has no estimate of the item.
    NoEstimate,
    /// Losses may belong to another function, or lie outside the window.
    LossesNotPlaced,

    /// It was not measured.
    NotMeasured,
    /// It was measured only on another clock.
    OtherClock,
}

/// The part and pace of trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrialKind {
    /// The part.
    pub part: Part,
    /// The pace; absent for any pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

/// A series that is correlated with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// Calls, by the reference counter.
    ReferenceCounter,
    /// What the method shows.
    Method,
    /// Bytes at the sink.
    Throughput,
    /// Time between two calls.
    TimeBetweenCalls,
    /// The guests' round-trip time.
    RoundTripTime,
}

impl Reason {
    /// The reason for blocks without a value: each reason once, and a single one by itself.
    pub(crate) fn of_blocks(blocks: impl IntoIterator<Item = Self>) -> Self {
        let mut reasons = Vec::new();
        for reason in blocks {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        match reasons.len() {
            0 => Self::NoTrials,
            1 => reasons.remove(0),
            _ => Self::Several { reasons },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_blocks_stand_once_each() {
        assert_eq!(Reason::of_blocks([]), Reason::NoTrials);
        assert_eq!(Reason::of_blocks([Reason::NoTime, Reason::NoTime]), Reason::NoTime);
        let two = vec![Reason::NotTimed, Reason::NoTime];
        let blocks = [Reason::NotTimed, Reason::NoTime, Reason::NotTimed];
        assert_eq!(Reason::of_blocks(blocks), Reason::Several { reasons: two });
    }
}
