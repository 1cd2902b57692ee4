//! Measures how long frames take to the sink, by the timestamps that guests put into them.
//!
//! A packet socket at the sink's end of the cable looks at each frame. It is there under every
//! method, including the baseline: if load and sink share a CPU, the time it takes from the vhost
//! worker is on both sides of a pair.

use hdrhistogram::Histogram;
use probe_core::{
    error::{Error, Result},
    model::{latency::Latency, units::Nanos},
};

use crate::{
    kernel::packets::{
        block::Frame,
        listener::{Listener, Taker},
        realtime::Offset,
    },
    sys::packet::RingShape,
    workload::{Testbed, blast::frame},
};

/// Room for about 200,000 frames, so that nothing is dropped between two bin edges at any rate that
/// guests reach. Only the stamp is looked at.
const RING: RingShape =
    RingShape { block_size: 1 << 18, blocks: 128, retire_ms: 20, snaplen: Some(frame::MIN as u32) };

/// The longest time that can be represented: a minute.
const LONGEST: u64 = 60_000_000_000;

/// Three digits of each time.
const DIGITS: u8 = 3;

/// The socket, and what came of it so far.
pub(super) struct FrameTimer {
    listener: Listener,
    times: Times,
}

struct Times {
    offset: Offset,
    of_frames: Histogram<u64>,
}

impl FrameTimer {
    /// Looks at every frame from now on; none where there is no sink of ours.
    ///
    /// # Errors
    /// As [`Listener::open`].
    pub(super) fn start(testbed: &Testbed) -> Result<Option<Self>> {
        let Some((sink_netns, interface)) = testbed.far_end() else { return Ok(None) };
        let listener = sink_netns.run(|| Listener::open(interface, &RING))??;
        let of_frames = Histogram::new_with_bounds(1, LONGEST, DIGITS)
            .map_err(|e| Error::Inconsistent(format!("a histogram up to a minute: {e}")))?;
        listener.start()?;
        Ok(Some(Self { listener, times: Times { offset: Offset::read(), of_frames } }))
    }

    /// Reads the frames that have arrived.
    ///
    /// # Errors
    /// As [`Listener::drain`].
    pub(super) fn drain(&mut self) -> Result<()> {
        self.listener.drain(&mut self.times)
    }

    /// Stops, once all frames have arrived.
    ///
    /// # Errors
    /// As [`Listener::settle`]; or the time of day was set during the measurement.
    pub(super) fn finish(mut self) -> Result<Latency> {
        self.listener.stop()?;
        self.listener.settle()?;
        self.drain()?;
        self.times.offset.check()?;
        Latency::new(&self.times.of_frames, self.listener.statistics().dropped.into())
    }
}

impl Taker for Times {
    fn frame(&mut self, frame: &Frame<'_>) {
        let Some((_, stamp)) = frame::parse(frame.bytes) else { return };
        let arrived = self.offset.monotonic(frame.at);
        let Nanos(took) = arrived.since(stamp.scheduled);
        // The offset between the clocks is only known to some ten ns; no frame takes less than one.
        self.of_frames.saturating_record(took.max(1));
    }
}
