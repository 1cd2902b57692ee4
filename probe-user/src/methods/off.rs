//! `off`, the control: it goes the same way as every other method, and attaches nothing.
//! `off-again` does the same under a name of its own, so that a campaign can set the control
//! against itself: what that shows is chance.

use std::collections::BTreeMap;

use probe_core::{
    error::Result,
    model::{
        loss::Loss,
        method::{Class, Descriptor, Family, MethodId, SeriesUnit},
        observation::Observation,
        target::Target,
        units::Nanos,
    },
};

use super::{AttachContext, Cadence, Detection, Method, Session, Sink};
use crate::kernel::{clock, known::Known};

/// The control.
#[derive(Debug)]
pub struct Off {
    descriptor: Descriptor,
}

impl Off {
    /// The control once more, to be judged as any method is.
    pub fn again() -> Self {
        Self::named(MethodId::OFF_AGAIN, "the control once more: what it seems to cost is chance")
    }

    fn named(id: &str, summary: &str) -> Self {
        let descriptor = Descriptor {
            id: MethodId(id.into()),
            family: Family::Control,
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
        Self::named(MethodId::OFF, "the control: nothing is attached")
    }
}

impl Method for Off {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, _target: &Target, _: &Known) -> Detection {
        Detection::Available
    }

    fn attach(&self, target: &Target, _: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(OffSession { items: target.len(), enabled: None, observed: Nanos::default() }))
    }
}

/// The control in a trial.
#[derive(Debug)]
struct OffSession {
    items: usize,
    enabled: Option<Nanos>,
    observed: Nanos,
}

impl Session for OffSession {
    fn cadence(&self) -> Cadence {
        Cadence::Never
    }

    fn enable(&mut self) -> Result<()> {
        self.enabled = Some(clock::now());
        Ok(())
    }

    fn drain(&mut self, _sink: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    fn disable(&mut self) -> Result<()> {
        self.observed = self.enabled.take().map_or(self.observed, |at| clock::now().since(at));
        Ok(())
    }

    fn detach(self: Box<Self>) -> Result<Observation> {
        let observed = self.observed;
        Ok(Observation {
            // It does not look, so it has no counts; and it makes no records that could be lost or
            // missed.
            recorded: vec![None; self.items],
            lost: Loss::NONE,
            missed: Loss::NONE,
            enabled: observed,
            running: observed,
            ..Observation::default()
        })
    }
}
