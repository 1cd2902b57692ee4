//! A method attached without a trial, for benches that measure only the hook.

use probe_core::{
    analysis::item::Item,
    error::Result,
    model::{method::Descriptor, observation::Observation, target::Target},
};

use super::{collector::Collector, reader::Reader, truth};
use crate::methods::{AttachContext, Method};

/// An active method: attached, enabled, and drained as in a trial. Dropping it releases its
/// resources silently.
pub struct Hook<'a> {
    method: &'a Descriptor,
    target: &'a Target,
    reader: Reader,
}

/// How often each item of the target was hit while a hook was active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hits {
    /// Exactly this often.
    Exactly(u64),
    /// At least this often, since other programs of the host hit it too.
    AtLeast(u64),
}

impl Hits {
    /// The number of hits with which `seen` is compared.
    fn truth(self, seen: Option<u64>) -> u64 {
        match self {
            Self::Exactly(hits) => hits,
            Self::AtLeast(hits) => seen.map_or(hits, |seen| seen.max(hits)),
        }
    }
}

impl<'a> Hook<'a> {
    /// Attaches `method` to `target` and enables it. `context` names the CPUs that a reader may run
    /// on.
    ///
    /// # Errors
    /// The kernel's error; whatever had attached by then is released.
    pub fn attach(
        method: &'a dyn Method,
        target: &'a Target,
        context: &AttachContext<'_>,
    ) -> Result<Self> {
        let mut observer = method.attach(target, context)?;
        observer.enable()?;
        let reader = Reader::start(observer, Collector::new(target), context.cpus)?;
        Ok(Self { method: method.descriptor(), target, reader })
    }

    /// Disables it, reads what is left, and detaches. The method must account for the hits of every
    /// item that it observes, as in a closed-loop trial.
    ///
    /// # Errors
    /// The kernel's error, or a count that is wrong, with both numbers.
    pub fn finish(self, hits: Hits) -> Result<Observation> {
        let mut reading = self.reader.stop()?;
        reading.observer.disable()?;
        reading.drain()?;
        let seen = reading.observer.detach()?;
        for (id, name) in self.target.items() {
            let all = seen.counted.get(id).or(seen.recorded.get(id)).copied();
            truth::hits(&seen, self.method, Item { id, name: &name }, hits.truth(all))?;
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::Hits;

    #[test]
    fn strangers_may_add_hits_and_take_none() {
        assert_eq!(Hits::Exactly(7).truth(Some(9)), 7);
        assert_eq!(Hits::AtLeast(7).truth(Some(9)), 9);
        assert_eq!(Hits::AtLeast(7).truth(Some(5)), 7);
        assert_eq!(Hits::AtLeast(7).truth(None), 7);
    }
}
