//! Tests every reason and note: the English text, and JSON in both directions.

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::*;

fn reasons() -> Vec<Reason> {
    let trials = TrialKind { part: Part::Overhead, pace: Some(Pace::ClosedLoop) };
    let fidelity = TrialKind { part: Part::Fidelity, pace: None };
    let method = MethodId("ftrace-function".into());
    let methods = [MethodId(MethodId::OFF.into()), method.clone()];
    let text = || "handle_tx".to_owned();
    let series = Compared::ReferenceCounter;
    vec![
        Reason::Baseline,
        Reason::NotInThisResult,
        Reason::OtherTrials,
        Reason::Several { reasons: vec![Reason::NoTime, Reason::Constant { series }] },
        Reason::NoTrials,
        Reason::NoTrial { trials, method: method.clone() },
        Reason::AllFailed { trials, method: method.clone(), first: "EPERM".into() },
        Reason::NoRun { trials: fidelity, method },
        Reason::NoCommonBlock { trials: vec![trials, fidelity], methods },
        Reason::NoReferencePair,
        Reason::NoCostPerCall,
        Reason::NotInTarget { function: text() },
        Reason::NothingCounted,
        Reason::WakeupsNotCounted,
        Reason::NoTime,
        Reason::NotTimed,
        Reason::TooFewFrames,
        Reason::UnsureR0,
        Reason::WeakR0 { lo: -0.1, hi: 0.3, least: 0.2 },
        Reason::ErrorNotBelow { bound: 0.01, hi: 0.25, width_s: 2.0 },
        Reason::NoIntervalOfError,
        Reason::NoSeries { function: text() },
        Reason::NoSeriesOfGuest { guest: text() },
        Reason::NotCalls { item: text() },
        Reason::SharesNotCalls,
        Reason::SharesNotTimes,
        Reason::NoOwnShare,
        Reason::Lengths { bins: [3, 4] },
        Reason::NoCallByReference,
        Reason::NoReference,
        Reason::ReferenceUnavailable { why: text() },
        Reason::ReferenceLacksFunction,
        Reason::NoFramesByBin,
        Reason::NoRoundTripTime,
        Reason::TooFewBins { bins: 25, least: 30 },
        Reason::Constant { series },
        Reason::NotANumber { series },
        Reason::ConstantWithin { series },
        Reason::FollowsExactly,
        Reason::NoDegradation,
        Reason::NoSections,
        Reason::EndsBeforeSection,
        Reason::NothingToDivideBy,
        Reason::NoScatter,
        Reason::OneSection,
        Reason::BeginsAtNothing,
        Reason::NoClosedLoopTrial,
        Reason::NotTied,
        Reason::RecordsNothing,
        Reason::SharesDoNotCount,
        Reason::NoCount,
        Reason::NoEstimate,
        Reason::LossesNotPlaced,
        Reason::NotMeasured,
        Reason::OtherClock,
    ]
}

fn notes() -> Vec<Note> {
    vec![
        Note::OneTrial,
        Note::BlocksMissing { missing: 1, blocks: 3 },
        Note::BlocksLeftOut { left_out: 1, blocks: 3, why: Reason::NoTime },
        Note::SectionsLacking { lacking: 1, blocks: 3 },
        Note::OtherClocks,
        Note::LoadDiffered { beyond_pct: 1.0, pairs: 1, of: 3 },
        Note::Confidence { per_cent: 99.0 },
        Note::SeriesNotExact { trials: 1, of: 3 },
        Note::StandsIn { item: "frames".into() },
        Note::ReferenceNotExact { blocks: 1, of: 3 },
    ]
}

/// Checks that `all` has each variant once, that each has its own text, and that JSON preserves it.
fn check<T>(all: &[T], said: fn(&T) -> String)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + schemars::JsonSchema,
{
    let mut kinds = Vec::new();
    for one in all {
        let json = serde_json::to_value(one).unwrap();
        kinds.push(json["kind"].clone());
        assert_eq!(serde_json::from_value::<T>(json).unwrap(), *one);
        let said = said(one);
        assert!(!said.is_empty() && !said.ends_with('.'), "{one:?}: {said}");
    }
    let sentences: BTreeSet<String> = all.iter().map(said).collect();
    assert_eq!(sentences.len(), all.len(), "{sentences:?}");
    let schema = Value::from(schemars::schema_for!(T));
    let variants = schema["oneOf"].as_array().unwrap();
    let known: Vec<Value> =
        variants.iter().map(|one| one["properties"]["kind"]["const"].clone()).collect();
    assert_eq!(kinds, known);
}

#[test]
fn each_reason_is_a_sentence_and_survives_json() {
    check(&reasons(), reason);
}

#[test]
fn each_note_is_a_sentence_and_survives_json() {
    check(&notes(), note);
}

#[test]
fn several_reasons_stand_in_the_order_of_their_sentences() {
    let reasons = vec![Reason::NotTimed, Reason::NoTime];
    let said = "a frame took no time; frames were not timed: only guests without a VM stamp them";
    assert_eq!(reason(&Reason::Several { reasons }), said);
}

#[test]
fn kinds_of_trials_stand_together() {
    let of = |pace| TrialKind { part: Part::Overhead, pace: Some(pace) };
    let why = Reason::NoCommonBlock {
        trials: vec![of(Pace::ClosedLoop), of(Pace::Saturated)],
        methods: [MethodId("off".into()), MethodId("x".into())],
    };
    let said =
        "no block has a closed-loop overhead and a saturated overhead trial of both off and x";
    assert_eq!(reason(&why), said);
}
