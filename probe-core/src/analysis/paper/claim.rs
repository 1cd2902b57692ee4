//! Rules by which a statement holds here: they are about a whole interval, never only about an
//! estimate.

use crate::analysis::interval::Interval;
use crate::model::{
    figure::{Basis, Figure},
    method::MethodId,
    paper::{Agreement, Beside, Statement},
};

/// Changes within ± this many per cent count as none.
pub(super) const MARGIN_PCT: f64 = 10.0;

/// What a statement claims about each of its figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Claim {
    /// Below zero.
    Falls,
    /// Above zero.
    Grows,
    /// Within [`MARGIN_PCT`] of zero.
    Steady,
    /// Within `by` of `value`.
    Near { value: f64, by: f64 },
    /// The same value: the interval contains it and is at most `widest` wide.
    Is { value: f64, widest: f64 },
}

/// A statement before it is judged.
pub(super) struct Draft {
    pub(super) id: &'static str,
    pub(super) statement: &'static str,
    pub(super) place: &'static str,
    pub(super) paper: &'static str,
}

impl Claim {
    /// Whether `figure` supports it.
    pub(super) fn judge(self, figure: &Figure) -> Agreement {
        let Some(Interval { lo, hi }) = interval(figure) else { return Agreement::CannotTell };
        let (yes, no) = match self {
            Self::Falls => (hi < 0.0, lo > 0.0),
            Self::Grows => (lo > 0.0, hi < 0.0),
            Self::Steady => within(lo, hi, 0.0, MARGIN_PCT),
            Self::Near { value, by } => within(lo, hi, value, by),
            Self::Is { value, widest } => {
                let holds = (lo..=hi).contains(&value);
                (holds && hi - lo <= widest, !holds)
            }
        };
        match (yes, no) {
            (true, _) => Agreement::Yes,
            (_, true) => Agreement::No,
            _ => Agreement::CannotTell,
        }
    }

    /// How far the estimate is from the paper's number, if the paper gives one.
    fn distance(self, figure: &Figure) -> Option<String> {
        let estimate = figure.known()?.estimate;
        match self {
            Self::Near { value, .. } | Self::Is { value, .. } => {
                Some(format!("off by {:+.3}", estimate - value))
            }
            Self::Falls | Self::Grows | Self::Steady => None,
        }
    }
}

/// Whether `lo..hi` is entirely within `by` of `value`, and whether it is entirely outside.
fn within(lo: f64, hi: f64, value: f64, by: f64) -> (bool, bool) {
    (lo >= value - by && hi <= value + by, hi < value - by || lo > value + by)
}

/// The figure's interval.
pub(super) fn interval(figure: &Figure) -> Option<Interval> {
    let found = figure.known()?;
    Some(Interval { lo: found.lo?, hi: found.hi? })
}

/// All must hold; one contradiction is enough to contradict the statement.
pub(super) fn all(verdicts: impl IntoIterator<Item = Agreement>) -> Agreement {
    let verdicts: Vec<Agreement> = verdicts.into_iter().collect();
    let any = |what| verdicts.contains(&what);
    if any(Agreement::No) {
        Agreement::No
    } else if verdicts.is_empty() || any(Agreement::CannotTell) {
        Agreement::CannotTell
    } else {
        Agreement::Yes
    }
}

impl Draft {
    /// There is nothing to compare here.
    pub(super) fn not_here(self, why: impl Into<String>) -> Statement {
        self.told(0, Vec::new(), Agreement::NotInThisScenario, vec![why.into()])
    }

    /// Applies `claim` to each of the first `judged` figures; the others are only shown beside
    /// them.
    pub(super) fn judged(
        self,
        claim: Claim,
        judged: usize,
        measured: Vec<Beside>,
        mut remarks: Vec<String>,
    ) -> Statement {
        let decide = measured.iter().take(judged).map(|beside| &beside.figure);
        let agrees = all(decide.clone().map(|figure| claim.judge(figure)));
        remarks.splice(0..0, decide.filter_map(|figure| claim.distance(figure)));
        self.told(judged, measured, agrees, remarks)
    }

    /// Applies its own rule to the first `judged` figures.
    pub(super) fn told(
        self,
        judged: usize,
        measured: Vec<Beside>,
        agrees: Agreement,
        remarks: Vec<String>,
    ) -> Statement {
        let Self { id, statement, place, paper } = self;
        let basis = basis(measured.iter().take(judged).map(|beside| &beside.figure));
        Statement {
            id: id.into(),
            statement: statement.into(),
            place: place.into(),
            paper: paper.into(),
            measured,
            agrees,
            basis,
            remarks,
        }
    }
}

/// What the intervals of these figures cover: one run, if any of them does. `None` without an
/// interval.
fn basis<'a>(figures: impl Iterator<Item = &'a Figure>) -> Option<Basis> {
    let known = figures.filter_map(Figure::known).filter(|found| found.lo.is_some());
    known.map(|found| found.basis).max()
}

/// A figure beside a statement.
pub(super) fn beside(what: impl Into<String>, method: &MethodId, figure: Figure) -> Beside {
    Beside { what: what.into(), method: method.clone(), figure, is_correlation: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        figure::{Basis, Estimate, Platform},
        reason::Reason,
    };

    fn figure(lo: f64, hi: f64) -> Figure {
        Figure::Known(Estimate {
            estimate: f64::midpoint(lo, hi),
            lo: Some(lo),
            hi: Some(hi),
            n: 3,
            detectable: None,
            platform: Platform::Native,
            basis: Basis::Blocks,
            p: None,
            notes: Vec::new(),
        })
    }

    #[test]
    fn a_whole_interval_decides() {
        use Agreement::{CannotTell, No, Yes};
        let r = Claim::Is { value: 0.605, widest: 0.6 };
        let near = Claim::Near { value: 90.0, by: 5.0 };
        for (claim, lo, hi, verdict) in [
            (Claim::Falls, -2.0, -1.0, Yes),
            (Claim::Falls, -2.0, 1.0, CannotTell),
            (Claim::Falls, 1.0, 2.0, No),
            (Claim::Grows, 1.0, 2.0, Yes),
            (Claim::Grows, -2.0, -1.0, No),
            (Claim::Steady, -9.0, 9.0, Yes),
            (Claim::Steady, 5.0, 15.0, CannotTell),
            (Claim::Steady, 11.0, 15.0, No),
            (near, 86.0, 94.0, Yes),
            (near, 80.0, 86.0, CannotTell),
            (near, 20.0, 84.0, No),
            (r, 0.5, 0.7, Yes),
            (r, 0.1, 0.8, CannotTell),
            (r, 0.7, 0.9, No),
        ] {
            assert_eq!(claim.judge(&figure(lo, hi)), verdict, "{claim:?} [{lo}, {hi}]");
        }
        assert_eq!(Claim::Falls.judge(&Figure::null(Reason::NoTrials)), CannotTell);
    }

    #[test]
    fn all_must_hold_and_one_contradicts() {
        use Agreement::{CannotTell, No, Yes};
        assert_eq!(all([Yes, Yes]), Yes);
        assert_eq!(all([Yes, CannotTell]), CannotTell);
        assert_eq!(all([CannotTell, No]), No);
        assert_eq!(all([]), CannotTell);
    }
}
