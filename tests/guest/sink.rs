//! Receives what a session delivers.

use probe_core::model::{
    item::{ItemId, PerItem},
    units::Nanos,
};
use probe_user::methods::{ProfilerSample, Share, Sink};

/// What was delivered, and when.
#[derive(Default)]
pub(crate) struct Events(pub(crate) Vec<(ItemId, Nanos)>);

impl Sink for Events {
    fn count(&mut self, _: ItemId, _: u64) {}

    fn event(&mut self, item: ItemId, at: Nanos) {
        self.0.push((item, at));
    }

    fn sample(&mut self, _: ProfilerSample<'_>) {}

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}
}
