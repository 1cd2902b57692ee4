//! The kernel's counts of the kprobe events that were created for a program, to compare with the
//! program's counts.

use probe_core::{error::Result, model::loss::Loss};

use crate::kernel::probe_events::{ProbeEvents, Profile};

/// The counts of each event (zero when it was created) at enable, at disable, and after the
/// program's end.
///
/// The program observed for at least the time between the first two, and for at most the events'
/// whole life. A number is exact if both give the same result.
#[derive(Debug, Default)]
pub(super) struct Hits(Vec<Vec<Profile>>);

impl Hits {
    /// Adds the next of the three.
    ///
    /// # Errors
    /// The counts cannot be read.
    pub(super) fn take(&mut self, events: &ProbeEvents) -> Result<()> {
        self.0.push(events.profile()?.into_iter().flatten().collect());
        Ok(())
    }

    /// Hits at which the probes did not run, because they were inside another one's handler.
    pub(super) fn missed(&self) -> Loss {
        let [on, off, end] = &self.0[..] else { return Loss::Unknown };
        let during = |(on, off): (&Profile, &Profile)| off.missed.checked_sub(on.missed);
        let Some(least) = on.iter().zip(off).map(during).sum() else { return Loss::Unknown };
        between(least, Some(end.iter().map(|end| end.missed).sum()))
    }

    /// Hits at which they ran, but which a program that should see all did not count.
    pub(super) fn unseen(&self, recorded: &[Option<u64>]) -> Loss {
        let [on, off, end] = &self.0[..] else { return Loss::Unknown };
        let Some(recorded) = recorded.iter().copied().collect::<Option<Vec<_>>>() else {
            return Loss::Unknown;
        };
        if recorded.len() != end.len() {
            return Loss::Unknown;
        }
        let window = on.iter().zip(off).map(|(on, off)| off.hits.checked_sub(on.hits));
        let unseen = window.zip(&recorded).map(|(hits, &seen)| Some(hits?.saturating_sub(seen)));
        let Some(least) = unseen.sum() else { return Loss::Unknown };
        // More than happened: it counts something else, and nothing is known.
        let most = end.iter().zip(&recorded).map(|(end, &seen)| end.hits.checked_sub(seen)).sum();
        between(least, most)
    }
}

fn between(least: u64, most: Option<u64>) -> Loss {
    match least {
        _ if most == Some(least) => Loss::Exact(least),
        0 => Loss::Unknown,
        _ => Loss::AtLeast(least),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For one event, `(hits, missed)` at each of the three times.
    fn hits(marks: [(u64, u64); 3]) -> Hits {
        Hits(marks.map(|(hits, missed)| vec![Profile { hits, missed }]).into())
    }

    #[test]
    fn what_happened_in_the_window_alone_is_exact() {
        let hits = hits([(0, 0), (10, 2), (10, 2)]);
        assert_eq!(hits.missed(), Loss::Exact(2));
        assert_eq!(hits.unseen(&[Some(10)]), Loss::NONE);
        assert_eq!(hits.unseen(&[Some(7)]), Loss::Exact(3));
    }

    #[test]
    fn what_may_lie_outside_is_a_bound() {
        let early = hits([(4, 1), (10, 3), (10, 3)]);
        assert_eq!(early.missed(), Loss::AtLeast(2));
        assert_eq!(early.unseen(&[Some(5)]), Loss::AtLeast(1));
        assert_eq!(early.unseen(&[Some(8)]), Loss::Unknown);
        assert_eq!(early.unseen(&[Some(10)]), Loss::NONE);
        assert_eq!(hits([(0, 0), (10, 0), (12, 1)]).missed(), Loss::Unknown);
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_nothing() {
        let hits = hits([(0, 0), (10, 0), (10, 0)]);
        assert_eq!(hits.unseen(&[None]), Loss::Unknown);
        assert_eq!(hits.unseen(&[]), Loss::Unknown);
        assert_eq!(hits.unseen(&[Some(11)]), Loss::Unknown);
        assert_eq!(Hits::default().missed(), Loss::Unknown);
    }
}
