//! Why a figure has no number, for programs; `report::reasons` says it in English.

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
    /// A version of tracetoll wrote the result that did not know the figure.
    NotInThisResult,
    /// The figure is made of trials of another part.
    OtherTrials,
    /// Blocks have no value, each for its own reason.
    Several {
        /// Each reason once.
        reasons: Vec<Self>,
    },

    /// There are no trials at all.
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
    /// Trials of this kind are there, of runs that are not.
    NoRun {
        /// The kind.
        trials: TrialKind,
        /// Under this method.
        method: MethodId,
    },
    /// No block holds these trials of both methods.
    NoCommonBlock {
        /// The kinds.
        trials: Vec<TrialKind>,
        /// The methods.
        methods: [MethodId; 2],
    },
    /// No block holds the baseline with and without reference counter at one pace.
    NoReferencePair,

    /// A profiler does nothing per call.
    NoCostPerCall,
    /// The target does not hold the function that each kick calls.
    NotInTarget {
        /// The function.
        function: String,
    },
    /// A divisor is zero: nothing was sent, or no time was counted.
    NothingCounted,
    /// The reader is a process, whose wake-ups are not counted.
    WakeupsNotCounted,

    /// A frame took no time, so that there is no ratio.
    NoTime,
    /// The guests do not stamp their frames.
    NotTimed,
    /// Not one frame is expected beyond the percentile.
    TooFewFrames,

    /// `r_0` has no interval, and may be near zero.
    UnsureR0,
    /// The interval of `r_0` comes too near zero to tell a share of it.
    WeakR0 {
        /// Its lower end.
        lo: f64,
        /// Its upper end.
        hi: f64,
        /// What its end nearer to zero must be above.
        least: f64,
    },
    /// `series_error` is not below the bound in bins of any width.
    ErrorNotBelow {
        /// The bound.
        bound: f64,
        /// The lowest upper end of its intervals.
        hi: f64,
        /// The bins that this is of, in seconds.
        width_s: f64,
    },
    /// `series_error` has no interval in bins of any width.
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
    /// What the method shows is no calls.
    NotCalls {
        /// What it shows.
        item: String,
    },
    /// Shares of CPU time are no calls.
    SharesNotCalls,
    /// Shares of CPU time do not tell the time between calls.
    SharesNotTimes,
    /// The method does not tell the share of a function's own code.
    NoOwnShare,
    /// Two series differ in length.
    Lengths {
        /// Bins of each.
        bins: [usize; 2],
    },
    /// The reference counter counted no call.
    NoCallByReference,
    /// The trial ran without reference counter.
    NoReference,
    /// The reference counter cannot count this function.
    ReferenceUnavailable {
        /// What the run says of it.
        why: String,
    },
    /// The reference counter does not know this function.
    ReferenceLacksFunction,
    /// The sink counted no frames by bin.
    NoFramesByBin,
    /// No guest tells a round-trip time.
    NoRoundTripTime,

    /// Too few bins for a correlation.
    TooFewBins {
        /// Bins in which both series are known.
        bins: usize,
        /// Fewest that it takes.
        least: usize,
    },
    /// A series has the same value in each bin.
    Constant {
        /// The series.
        series: Compared,
    },
    /// A series holds a value that is no number.
    NotANumber {
        /// The series.
        series: Compared,
    },

    /// No trial holds the sections.
    NoSections,
    /// The series ends before the section.
    EndsBeforeSection,
    /// A ratio's divisor is zero.
    NothingToDivideBy,
    /// Fewer than two bins, or nothing in them: they do not scatter.
    NoScatter,
    /// A change takes two sections.
    OneSection,
    /// A change in per cent begins at nothing.
    BeginsAtNothing,

    /// No closed-loop trial ended well.
    NoClosedLoopTrial,
    /// The load does not tell how often it happens.
    NotTied,
    /// The method records nothing.
    RecordsNothing,
    /// Shares of CPU time do not count calls.
    SharesDoNotCount,
    /// A trial has no count of it.
    NoCount,
    /// A trial has no estimate of it.
    NoEstimate,
    /// Losses may be of another function, or lie outside of the window.
    LossesNotPlaced,

    /// It was not measured.
    NotMeasured,
    /// What was measured of it is in another clock.
    OtherClock,
}

/// What trials are for, and how they offer their load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrialKind {
    /// What they are for.
    pub part: Part,
    /// How the load is offered; absent for any pace.
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
    /// Of blocks that have no value: each reason once, a single one by itself.
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
