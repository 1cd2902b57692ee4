//! Reasons and notes of figures in English. They end without a full stop, for use within sentences.

use std::collections::BTreeSet;

use crate::{
    analysis::doubt::Doubt,
    model::{
        method::MethodId,
        note::Note,
        reason::{Compared, Reason, TrialKind},
        trial::{Pace, Part},
    },
};

/// Why a figure has no number.
pub fn reason(reason: &Reason) -> String {
    let plain = match reason {
        Reason::Baseline => "the baseline",
        Reason::NotInThisResult => "not in this result",
        Reason::OtherTrials => "computed from other trials",
        Reason::Several { reasons } => return several(reasons),

        Reason::NoTrials => "no trial",
        Reason::NoTrial { trials, method } => {
            return format!("the campaign has no {} trial of {method}", kind(*trials));
        }
        Reason::AllFailed { trials, method, first } => {
            return format!("each {} trial of {method} failed; the first: {first}", kind(*trials));
        }
        Reason::NoRun { trials, method } => {
            return format!("the runs of the {} trials of {method} are missing", kind(*trials));
        }
        Reason::NoCommonBlock { trials, methods } => return no_common_block(trials, methods),
        Reason::NoReferencePair => {
            "no block has the baseline with and without the reference counter at the same pace"
        }

        Reason::NoCostPerCall => {
            "a profiler does no work per call; worker_cpu_pct and system_cpu_pct show its cost"
        }
        Reason::NotInTarget { function } => {
            return format!("{function}, which each kick calls, is not in the target");
        }
        Reason::NothingCounted => "nothing was sent or no time was counted",
        Reason::WakeupsNotCounted => "wake-ups of processes are not counted",

        Reason::NoTime => "a frame took no time",
        Reason::NotTimed => "frames were not timed: only guests without a VM stamp them",
        Reason::TooFewFrames => "too few frames: less than one is expected beyond it",

        Reason::UnsureR0 => "r_0 has no interval, so it may be near zero",
        Reason::WeakR0 { lo, hi, least } => {
            return format!("r_0 lies in [{lo:.2}, {hi:.2}]: its lower bound is not above {least}");
        }
        Reason::ErrorNotBelow { bound, hi, width_s } => {
            return format!(
                "the upper end of series_error is {hi:.3} at best, in bins of {width_s} s: not \
                 below {bound}"
            );
        }
        Reason::NoIntervalOfError => "series_error has no interval at any width",

        Reason::NoSeries { function } => return format!("the method has no series of {function}"),
        Reason::NoSeriesOfGuest { guest } => return format!("no series of {guest}"),
        Reason::NotCalls { item } => return format!("{item} cannot be compared with calls"),
        Reason::SharesNotCalls => "shares of CPU time cannot be compared with calls",
        Reason::SharesNotTimes => "shares of CPU time do not give the time between calls",
        Reason::NoOwnShare => "the method does not report the share of the function's own code",
        Reason::Lengths { bins: [a, b] } => {
            return format!(
                "the series differ in length: {a} and \
                                                            {b} bins"
            );
        }
        Reason::NoCallByReference => "the reference counter counted no call",
        Reason::NoReference => "the trial ran without the reference counter",
        Reason::ReferenceUnavailable { why } => return format!("no reference counter: {why}"),
        Reason::ReferenceLacksFunction => "no reference counter for this function",
        Reason::NoFramesByBin => "the sink did not count frames per bin",
        Reason::NoRoundTripTime => "no guest reports a round-trip time: none sends over TCP",

        Reason::TooFewBins { bins, least } => return format!("{bins} bins; r needs {least}"),
        Reason::Constant { series } => return format!("the {} is constant", compared(*series)),
        Reason::NotANumber { series } => {
            return format!("the {} contains a value that is not a number", compared(*series));
        }

        Reason::ConstantWithin { series } => {
            return format!("the {} is constant within each section", compared(*series));
        }
        Reason::FollowsExactly => "the two go together exactly: there is no bound",
        Reason::NoDegradation => "no bin was degraded on purpose",

        Reason::NoSections => "no trial has these sections",
        Reason::EndsBeforeSection => "the series ends before the section",
        Reason::NothingToDivideBy => "division by zero",
        Reason::NoScatter => "fewer than two bins, or only zeros in them",
        Reason::OneSection => "it needs two sections",
        Reason::BeginsAtNothing => "it starts from zero",

        Reason::NoClosedLoopTrial => "no closed-loop trial succeeded",
        Reason::NotTied => "the load does not determine how often it happens",
        Reason::RecordsNothing => "it records nothing",
        Reason::SharesDoNotCount => "shares of CPU time do not count calls",
        Reason::NoCount => "a trial has no count of it",
        Reason::NoEstimate => "a trial has no estimate of it",
        Reason::LossesNotPlaced => {
            "its losses may be another function's, or lie outside the window"
        }

        Reason::NotMeasured => "it was not measured",
        Reason::OtherClock => "it was measured only on another clock",
    };
    plain.to_owned()
}

fn several(reasons: &[Reason]) -> String {
    let all: BTreeSet<String> = reasons.iter().map(reason).collect();
    all.into_iter().collect::<Vec<_>>().join("; ")
}

fn no_common_block(trials: &[TrialKind], [first, second]: &[MethodId; 2]) -> String {
    let kinds: Vec<String> = trials.iter().map(|&trials| kind(trials)).collect();
    format!("no block has a {} trial of both {first} and {second}", kinds.join(" and a "))
}

/// A remark on an estimate.
pub fn note(note: &Note) -> String {
    match note {
        Note::OneTrial => "one trial: no interval".into(),
        Note::BlocksMissing { missing, blocks } => {
            format!("{missing} of {blocks} blocks missing: a trial failed or was not run")
        }
        Note::BlocksLeftOut { left_out, blocks, why } => {
            format!("{left_out} of {blocks} blocks left out: {}", reason(why))
        }
        Note::SectionsLacking { lacking, blocks } => {
            format!("{lacking} of {blocks} blocks lack a section")
        }
        Note::OtherClocks => "trials in other clocks are left out".into(),
        Note::LoadDiffered { beyond_pct, pairs, of } => format!(
            "the offered load differed by more than {beyond_pct} % in {pairs} of {of} pairs"
        ),
        Note::Confidence { per_cent } => format!("interval at {per_cent:.1} %"),
        Note::SeriesNotExact { trials, of } => format!(
            "events were lost or missed, or may have been, in {trials} of {of} trials: their \
             series is not exact"
        ),
        Note::StandsIn { item } => format!("its series counts {item}, not calls"),
        Note::ReferenceNotExact { blocks, of } => {
            format!("the reference counter missed calls, or may have, in {blocks} of {of} blocks")
        }
    }
}

/// Why nothing can be said about a figure.
pub fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Absent(why) => reason(why),
        Doubt::Text(why) => why.clone(),
    }
}

/// `paced overhead`.
pub(super) fn kind(TrialKind { part, pace }: TrialKind) -> String {
    let part = match part {
        Part::Overhead => "overhead",
        Part::Fidelity => "fidelity",
    };
    let pace = match pace {
        Some(Pace::ClosedLoop) => "closed-loop ",
        Some(Pace::Paced) => "paced ",
        Some(Pace::Saturated) => "saturated ",
        None => "",
    };
    format!("{pace}{part}")
}

fn compared(series: Compared) -> &'static str {
    match series {
        Compared::ReferenceCounter => "reference",
        Compared::Method => "method's series",
        Compared::Throughput => "throughput",
        Compared::TimeBetweenCalls => "time between calls",
        Compared::RoundTripTime => "round-trip time",
    }
}

#[cfg(test)]
mod tests;
