//! A device's two queues as a pair of pipes: frames with their virtio-net headers pass unchanged.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use probe_core::error::{Error, Result};
use vm_memory::{Bytes as _, MmapRegion, VolatileMemory as _, VolatileMemoryError, VolatileSlice};

use super::{
    device::HEADER,
    queue::{MemoryPlan, NUM_BUFFERS_AT, RECEIVE_BUFFER, misplanned, refill},
    ring::{Buffer, RingError, Vring},
};

const HEADER_LEN: usize = HEADER as usize;

/// A transmit queue whose buffers are filled by the caller, one frame each.
#[derive(Debug)]
pub struct Outbound {
    /// The ring.
    pub ring: Vring,
    memory: Arc<MmapRegion>,
    buffers: usize,
    stride: usize,
    /// Bytes of the longest frame.
    longest: usize,
    /// The frame bytes in each descriptor's buffer.
    lens: Vec<u32>,
}

/// How an attempt to add a frame ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in the ring.
    Frame,
    /// There is no frame at the moment (`EAGAIN`).
    None,
    /// The ring is full: nothing was read.
    Full,
    /// The frame was longer than the longest allowed, or shorter than its header, and is lost.
    Refused,
}

/// Frames and their bytes, without virtio headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Frames.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Outbound {
    /// The plan for rings of `ring` descriptors whose transmit buffers hold frames of up to
    /// `longest` bytes; none unless `ring` is a size for a ring.
    pub fn plan(ring: u16, longest: usize) -> Option<MemoryPlan> {
        // One byte more, to tell a frame that fits from one that was cut.
        MemoryPlan::new(ring, longest + 1)
    }

    /// The transmit queue of a plan that [`Outbound::plan`] made for `longest`.
    ///
    /// # Errors
    /// The plan was not made for this memory.
    pub fn new(
        memory: &Arc<MmapRegion>,
        plan: &MemoryPlan,
        event_idx: bool,
        longest: usize,
    ) -> Result<Self> {
        let [_, layout] = plan.layouts();
        let ring = Vring::new(memory.clone(), *layout, event_idx, 0).ok_or_else(misplanned)?;
        let (buffers, stride) = plan.transmit_buffers();
        let lens = vec![0; usize::from(layout.size())];
        Ok(Self { ring, memory: memory.clone(), buffers, stride, longest, lens })
    }

    /// Has `read` fill the next free buffer with a header and a frame, and adds it; the device sees
    /// it with the next [`Vring::publish`].
    ///
    /// # Errors
    /// An error of `read`, apart from `EAGAIN`.
    pub fn add(
        &mut self,
        read: impl FnOnce(&mut VolatileSlice<'_>) -> std::result::Result<usize, VolatileMemoryError>,
    ) -> io::Result<Added> {
        let Some(slot) = self.ring.next_free() else { return Ok(Added::Full) };
        let start = self.buffers + usize::from(slot) * self.stride;
        let room = HEADER_LEN + self.longest + 1;
        let slice = self.memory.as_volatile_slice().subslice(start, room);
        let len = match read(&mut slice.map_err(io::Error::other)?) {
            Ok(len) => len,
            Err(VolatileMemoryError::IOError(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Added::None);
            }
            Err(VolatileMemoryError::IOError(e)) => return Err(e),
            Err(e) => return Err(io::Error::other(e)),
        };
        if !(HEADER_LEN + 1..room).contains(&len) {
            return Ok(Added::Refused);
        }
        self.lens[usize::from(slot)] = (len - HEADER_LEN) as u32;
        let buffer = Buffer { address: start as u64, len: len as u32, writable: false };
        self.ring.add(|_| buffer);
        Ok(Added::Frame)
    }

    /// Takes back what the device has sent.
    ///
    /// # Errors
    /// The device broke the protocol.
    pub fn reclaim(&mut self) -> std::result::Result<Amount, RingError> {
        let mut sent = Amount::default();
        while let Some(used) = self.ring.take_used()? {
            sent.frames += 1;
            sent.bytes += u64::from(self.lens[usize::from(used.id)]);
        }
        Ok(sent)
    }
}

/// A receive queue that passes on incoming frames.
#[derive(Debug)]
pub struct Inbound {
    /// The ring.
    pub ring: Vring,
    memory: Arc<MmapRegion>,
    buffers: usize,
    /// The frame whose first buffers were taken, with its header.
    frame: Vec<u8>,
    /// Number of its buffers that are still missing.
    rest: u16,
}

impl Inbound {
    /// Gives the device every buffer; it is not connected yet, so no kick is needed.
    ///
    /// # Errors
    /// `plan` was not made for this memory.
    pub fn new(memory: &Arc<MmapRegion>, plan: &MemoryPlan, event_idx: bool) -> Result<Self> {
        let [layout, _] = plan.layouts();
        let mut ring = Vring::new(memory.clone(), *layout, event_idx, 0).ok_or_else(misplanned)?;
        let buffers = plan.receive_buffers();
        let _ = refill(&mut ring, buffers);
        Ok(Self { ring, memory: memory.clone(), buffers, frame: Vec::new(), rest: 0 })
    }

    /// Passes each complete frame, with its header, to `deliver`, and returns the buffers; returns
    /// whether the device asks to be kicked for them.
    ///
    /// # Errors
    /// The device broke the protocol; or an error of `deliver`.
    pub fn drain(&mut self, mut deliver: impl FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        while let Some(used) = self.ring.take_used().map_err(broken)? {
            let len = used.len as usize;
            if len > RECEIVE_BUFFER || self.rest == 0 && len < HEADER_LEN {
                let what = format!("{len} bytes in a buffer of {RECEIVE_BUFFER}");
                return Err(Error::Inconsistent(format!(
                    "vhost broke the virtqueue's protocol: {what}"
                )));
            }
            let start = self.buffers + usize::from(used.id) * RECEIVE_BUFFER;
            if self.rest == 0 {
                self.frame.clear();
                self.rest = self.num_buffers(start)?;
            }
            let at = self.frame.len();
            self.frame.resize(at + len, 0);
            let memory = self.memory.as_volatile_slice();
            memory.read_slice(&mut self.frame[at..], start).map_err(|_| misplanned())?;
            self.rest = self.rest.saturating_sub(1);
            if self.rest == 0 {
                deliver(&self.frame)?;
            }
        }
        Ok(refill(&mut self.ring, self.buffers))
    }

    /// VIRTIO 1.2 §5.1.6.4: the number of buffers of the frame that starts in the buffer at
    /// `start`.
    fn num_buffers(&self, start: usize) -> Result<u16> {
        let count = self.memory.get_atomic_ref::<AtomicU16>(start + NUM_BUFFERS_AT);
        Ok(u16::from_le(count.map_err(|_| misplanned())?.load(Ordering::Relaxed)))
    }
}

pub(crate) fn broken(error: RingError) -> Error {
    Error::Inconsistent(format!("vhost broke the virtqueue's protocol: {error}"))
}
