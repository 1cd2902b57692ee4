//! Takes what a session hands over.

use probe_core::model::units::Nanos;
use probe_user::methods::{Sample, Share, Sink};

/// What came, and when.
#[derive(Default)]
pub(crate) struct Events(pub(crate) Vec<(usize, Nanos)>);

impl Sink for Events {
    fn count(&mut self, _: usize, _: u64) {}

    fn event(&mut self, item: usize, at: Nanos) {
        self.0.push((item, at));
    }

    fn sample(&mut self, _: Sample<'_>) {}

    fn weighted(&mut self, _: usize, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: &[Share]) {}
}
