//! A method attached without a trial around it, for benches of the hook alone.

use probe_core::{
    analysis::item::Item,
    error::Result,
    model::{method::Descriptor, observation::Observation, target::Target},
};

use super::{collector::Collector, reader::Reader, truth};
use crate::methods::{AttachContext, Method};

/// A method at work: attached, switched on, and drained as in a trial. Dropping it releases what it
/// holds, silently.
pub struct Hook<'a> {
    method: &'a Descriptor,
    target: &'a Target,
    reader: Reader,
}

/// How often each item of the target was hit while a hook was at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hits {
    /// So often.
    Exactly(u64),
    /// So often, and by other programs of the host as well.
    AtLeast(u64),
}

impl Hits {
    /// What `seen` of them is to be set against.
    fn truth(self, seen: Option<u64>) -> u64 {
        match self {
            Self::Exactly(hits) => hits,
            Self::AtLeast(hits) => seen.map_or(hits, |seen| seen.max(hits)),
        }
    }
}

impl<'a> Hook<'a> {
    /// Attaches `method` to `target` and switches it on. `context` names the CPUs that a reader may
    /// run on.
    ///
    /// # Errors
    /// What the kernel refused; whatever had attached by then is released.
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

    /// Switches it off, takes the rest, and detaches. The method must account for the hits of every
    /// item that it observes, as in a closed-loop trial.
    ///
    /// # Errors
    /// What the kernel refused; a count that does not hold, with both numbers.
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
