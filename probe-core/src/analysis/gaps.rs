//! What a reader must know about the series of a figure: calls that are missing from them, and
//! series that do not count calls.

use std::collections::BTreeSet;

use super::view::View;
use crate::model::{note::Note, reason::Reason};

/// For the series of one trial, or of the two trials of one block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Calls are missing from the method's series, or may be.
    pub(super) method: bool,
    /// Calls are missing from the reference counter's series, or may be.
    pub(super) reference: bool,
    /// What the method's series counts, if it sees no functions.
    pub(super) stand_in: Option<String>,
}

/// Seconds of the longest run of bins in which the method recorded nothing although the reference
/// counter counted calls.
pub(super) fn longest(view: &View) -> Result<f64, Reason> {
    let (method, reference) = (view.series()?, view.reference()?);
    if method.len() != reference.len() {
        return Err(Reason::Lengths { bins: [method.len(), reference.len()] });
    }
    let (mut longest, mut run) = (0.0_f64, 0.0);
    for ((shown, calls), seconds) in method.iter().zip(reference).zip(&view.seconds) {
        run = if *shown == 0.0 && *calls > 0.0 { run + seconds } else { 0.0 };
        longest = longest.max(run);
    }
    Ok(longest)
}

/// The remarks on a figure computed from these trials.
pub(super) fn notes<'a>(all: impl IntoIterator<Item = &'a Gaps>) -> Vec<Note> {
    let all: Vec<&Gaps> = all.into_iter().collect();
    let of = all.len();
    let method = all.iter().filter(|gaps| gaps.method).count();
    let reference = all.iter().filter(|gaps| gaps.reference).count();
    let mut notes = Vec::new();
    if method > 0 {
        notes.push(Note::SeriesNotExact { trials: method, of });
    }
    let stand_ins: BTreeSet<&String> =
        all.iter().filter_map(|gaps| gaps.stand_in.as_ref()).collect();
    notes.extend(stand_ins.into_iter().map(|item| Note::StandsIn { item: item.clone() }));
    if reference > 0 {
        notes.push(Note::ReferenceNotExact { blocks: reference, of });
    }
    notes
}
