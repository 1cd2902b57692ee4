//! What of a load has come to the sink, or been refused there.

use std::{thread, time::Duration};

use probe_core::error::Result;

use crate::workload::network::Sink;

/// How often, and how far apart, the sink is asked for the last frames of a load: for a second in
/// all.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// The sink's counts since one moment.
pub(super) struct Arrivals<'a> {
    sink: &'a Sink,
    frames: u64,
    refused: u64,
}

impl<'a> Arrivals<'a> {
    /// Counts from now.
    pub(super) fn since_now(sink: &'a Sink) -> Result<Self> {
        Ok(Self { sink, frames: sink.read()?.frames, refused: sink.refused()? })
    }

    /// Frames that the sink had no room for.
    pub(super) fn refused(&self) -> Result<u64> {
        Ok(self.sink.refused()? - self.refused)
    }

    /// Waits for the frames that vhost has sent, but that still stand in the backlog of the sink's
    /// CPU. Gives up after a second: whoever needs all `sent` compares the counts.
    pub(super) fn wait_for(&self, sent: u64) -> Result<()> {
        for _ in 0..TRIES {
            if self.sink.read()?.frames - self.frames + self.refused()? >= sent {
                break;
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}
