//! What a trial is to measure.

use std::{borrow::Cow, fmt};

use probe_core::model::{
    method::Descriptor,
    target::Target,
    trial::{Pace, Part},
};

/// What a trial is to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialPlan {
    /// Overhead or fidelity.
    pub part: Part,
    /// How the load is offered.
    pub pace: Pace,
    /// Whether the reference counter runs beside the method.
    pub with_reference: bool,
    /// Number of functions, the first ones of the target; `None` for all.
    pub functions: Option<usize>,
    /// What a schedule is drawn from: the same for all methods of a block.
    pub seed: u64,
}

impl TrialPlan {
    /// An overhead trial of the method alone, on the whole target.
    pub fn overhead(pace: Pace) -> Self {
        Self { part: Part::Overhead, pace, with_reference: false, functions: None, seed: 0 }
    }

    /// Whether trials of this plan are made under `method`. The overhead trial with the reference
    /// counter shows that counter's cost, and is made only under the baseline; for the baseline,
    /// the number of functions makes no difference.
    pub fn runs_under(self, method: &Descriptor) -> bool {
        let price_of_reference = self.part == Part::Overhead && self.with_reference;
        match method.id.is_off() {
            true => self.functions.is_none(),
            false => !price_of_reference,
        }
    }

    /// How often a block measures the baseline, beside `others` methods. All their costs share its
    /// scatter: at the square root of their number, one more trial of the baseline would gain as
    /// much as one more of every method (Dunnett 1955). A fidelity trial takes too long.
    pub fn baselines(self, others: usize) -> usize {
        match self.part {
            Part::Overhead if !self.with_reference => others.isqrt().max(1),
            Part::Overhead | Part::Fidelity => 1,
        }
    }

    /// What is traced of `target`.
    pub(super) fn part_of(self, target: &Target) -> Cow<'_, Target> {
        match self.functions {
            Some(functions) => Cow::Owned(target.first(functions)),
            None => Cow::Borrowed(target),
        }
    }
}

impl fmt::Display for TrialPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.part, self.pace) {
            (Part::Overhead, _) if self.with_reference => "overhead of the reference counter",
            (Part::Overhead, _) if self.functions.is_some() => "overhead of some",
            (Part::Overhead, Pace::ClosedLoop) => "overhead closed loop",
            (Part::Overhead, Pace::Paced) => "overhead paced",
            (Part::Overhead, Pace::Saturated) => "overhead saturated",
            (Part::Fidelity, _) => "fidelity",
        })
    }
}
