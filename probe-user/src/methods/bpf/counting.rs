//! The session of the methods in [`count`](super::count).

use probe_core::{
    error::Result,
    model::{
        loss::Loss,
        observation::Observation,
        units::{Bytes, Nanos},
    },
};

use super::session::{Details, await_programs};
use crate::{
    kernel::{
        bpf::{attachable::Attachable, tally::Tally},
        clock,
    },
    methods::{Cadence, Session, Sink},
};

/// Tallies, none attached until it is enabled.
#[derive(Debug)]
pub(super) struct Counting {
    tallies: Vec<Tally>,
    /// The target's item that the first tally's first is; the others follow.
    first: usize,
    enabled: Option<Enabled>,
    disabled: Option<Nanos>,
    /// Said once programs that still ran at the end were waited for.
    details: Details,
    /// Reads of all tallies so far.
    reads: u64,
}

#[derive(Debug)]
struct Enabled {
    at: Nanos,
    /// What attached, one line each.
    attached: Vec<String>,
}

impl Counting {
    /// A session of these tallies, whose items are the target's from `first` on.
    pub(super) fn new(tallies: Vec<Tally>, first: usize) -> Self {
        let details = Details::new();
        Self { tallies, first, enabled: None, disabled: None, details, reads: 0 }
    }

    /// Attaches all.
    ///
    /// # Errors
    /// One does not attach; then none stays.
    pub(super) fn attach_all(&mut self) -> Result<()> {
        let attached = self.tallies.iter_mut().try_for_each(|tally| tally.program.attach());
        if attached.is_err() {
            // The reason that it failed says more than a failure to undo it; what is left goes with
            // the session.
            let _ = self.detach_all();
        }
        attached
    }

    /// Detaches all: goes on past an error, and reports the first.
    ///
    /// # Errors
    /// One is still attached.
    pub(super) fn detach_all(&mut self) -> Result<()> {
        self.tallies.iter_mut().map(|tally| tally.program.detach()).fold(Ok(()), Result::and)
    }

    /// The hits of each item.
    fn hits(&self) -> impl Iterator<Item = u64> + '_ {
        self.tallies.iter().flat_map(Tally::hits)
    }
}

impl Session for Counting {
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn enable(&mut self) -> Result<()> {
        self.attach_all()?;
        let attached =
            self.tallies.iter().map(|tally| tally.program.describe()).collect::<Result<_>>()?;
        self.enabled = Some(Enabled { at: clock::now(), attached });
        Ok(())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        for (place, hits) in self.hits().enumerate() {
            sink.count(self.first + place, hits);
        }
        self.reads += 1;
        Ok(())
    }

    fn disable(&mut self) -> Result<()> {
        let released = self.detach_all();
        self.disabled = Some(clock::now());
        await_programs(&mut self.details);
        released
    }

    fn detach(mut self: Box<Self>) -> Result<Observation> {
        self.detach_all()?;
        await_programs(&mut self.details);
        let hits: Vec<_> = self.hits().map(Some).collect();
        let Self { tallies, first, enabled, disabled, mut details, reads } = *self;
        let programs = || tallies.iter().map(|tally| &tally.program);
        let missed = programs().map(Attachable::missed).collect::<Result<Vec<_>>>()?;
        let memory = programs().map(Attachable::memory).collect::<Result<Vec<_>>>()?;
        let runs = programs().map(Attachable::runs).collect::<Result<Vec<_>>>()?;
        let words: usize = tallies.iter().map(Tally::words).sum();
        let (at, attached) = enabled.map_or((None, Vec::new()), |e| (Some(e.at), e.attached));
        let end = disabled.unwrap_or_else(clock::now);
        let time = at.map_or(Nanos(0), |at| end.since(at));
        let per_program = serde_json::to_value(&missed).unwrap_or_default();
        details.insert("missed_per_program".into(), per_program);
        Ok(Observation {
            recorded: std::iter::repeat_n(None, first).chain(hits).collect(),
            lost: Loss::NONE,
            missed: missed.into_iter().fold(Loss::NONE, Loss::and),
            enabled: time,
            running: time,
            attached,
            bytes_read: Bytes(reads * (words * size_of::<u64>()) as u64),
            kernel_memory: Bytes(memory.iter().map(|bytes| bytes.0).sum()),
            program_runs: runs.into_iter().flatten().collect(),
            details,
            ..Observation::default()
        })
    }
}
