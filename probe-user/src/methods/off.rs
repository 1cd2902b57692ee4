//! `off`, the baseline: it goes the same way as every other method, and attaches nothing.
//! `off-again` does the same under a name of its own, so that a campaign can set the baseline
//! against itself: what that shows is chance.

use std::collections::BTreeMap;

use probe_core::{
    error::Result,
    model::{
        loss::Loss,
        method::{Class, Descriptor, Family, MethodId, SeriesUnit},
        observation::Observation,
        target::Target,
    },
};

use super::{AttachContext, Cadence, Detection, Method, Session};
use crate::kernel::known::Known;

/// The baseline.
#[derive(Debug)]
pub struct Off {
    descriptor: Descriptor,
}

impl Off {
    /// A second baseline, judged as a method: the A/A control.
    pub fn again() -> Self {
        Self::named(
            MethodId::OFF_AGAIN,
            "a second baseline, for A/A testing: what it seems to cost is chance",
        )
    }

    fn named(id: &str, summary: &str) -> Self {
        let descriptor = Descriptor {
            id: MethodId(id.into()),
            family: Family::Baseline,
            class: Class::Nothing,
            unit: SeriesUnit::Nothing,
            durations: false,
            summary: summary.into(),
            parameters: BTreeMap::new(),
        };
        Self { descriptor }
    }
}

impl Default for Off {
    fn default() -> Self {
        Self::named(MethodId::OFF, "the baseline: nothing is attached")
    }
}

impl Method for Off {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, _target: &Target, _: &Known) -> Detection {
        Detection::Available
    }

    fn open(&self, _: &Target, _: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(OffSession))
    }
}

/// The baseline in a trial.
#[derive(Debug)]
struct OffSession;

impl Session for OffSession {
    fn cadence(&self) -> Cadence {
        Cadence::Never
    }

    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn attached(&self, _: &Target) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn stop(&mut self) -> Result<()> {
        Ok(())
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        // It does not look, so it has no counts; and it makes no records that could be lost or
        // missed.
        Ok(Observation { lost: Loss::NONE, missed: Loss::NONE, ..noted })
    }
}
