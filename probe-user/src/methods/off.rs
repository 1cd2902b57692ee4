//! `off`, the baseline: it takes the same path as every other method, and attaches nothing.
//! `off-again` does the same under another name, so that a campaign can compare the baseline with
//! itself (A/A control): the difference is chance.

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
    /// A second baseline, treated as a method: the A/A control.
    pub fn again() -> Self {
        Self::named(
            MethodId::OFF_AGAIN,
            "a second baseline, for A/A testing: its apparent cost is chance",
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
        // It does not observe, so it has no counts; and it writes no records that could be lost or
        // missed.
        Ok(Observation { lost: Loss::NONE, missed: Loss::NONE, ..noted })
    }
}
