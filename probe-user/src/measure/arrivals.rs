//! Counts what part of a load has reached the sink, or was refused there.

use std::{thread, time::Duration};

use probe_core::error::Result;

use crate::workload::network::Sink;

/// How often the sink is asked for the last frames of a load, for one second in total.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// The sink's counts since a moment.
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

    /// Frames for which the sink had no room.
    pub(super) fn refused(&self) -> Result<u64> {
        Ok(self.sink.refused()? - self.refused)
    }

    /// Waits for frames that vhost has sent but that are still in the backlog of the sink's CPU.
    /// Gives up after a second: callers that need all `sent` frames compare the counts.
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
