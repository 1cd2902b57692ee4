//! A device's two queues with the buffers behind them.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU64, Ordering},
};

use probe_core::{
    error::{Error, Result},
    model::units::Bytes,
};
use vm_memory::{Bytes as _, MmapRegion, VolatileMemory as _};

use super::{
    device::HEADER,
    ring::{Buffer, RingError, RingLayout, Vring},
};
use crate::workload::blast::frame::{STAMP_AT, Stamp};

/// Bytes of a receive buffer; longer frames take several ("mergeable").
pub(super) const RECEIVE_BUFFER: usize = 2048;

/// Offset of `num_buffers` in `struct virtio_net_hdr_v1`.
pub(super) const NUM_BUFFERS_AT: usize = 10;

const HEADER_LEN: usize = HEADER as usize;

/// The layout of a guest's memory.
#[derive(Debug, Clone, Copy)]
pub struct MemoryPlan {
    receive: RingLayout,
    transmit: RingLayout,
    receive_buffers: usize,
    transmit_buffers: usize,
    stride: usize,
    size: usize,
}

impl MemoryPlan {
    /// For rings of `ring` descriptors and frames of `frame` bytes to send; none unless `ring` is a
    /// size for a ring.
    pub fn new(ring: u16, frame: usize) -> Option<Self> {
        let entries = usize::from(ring);
        let receive = RingLayout::new(ring, 0)?;
        let transmit = RingLayout::new(ring, receive.end())?;
        let receive_buffers = transmit.end().next_multiple_of(64);
        let transmit_buffers = receive_buffers + entries * RECEIVE_BUFFER;
        let stride = (HEADER_LEN + frame).next_multiple_of(64);
        let size = transmit_buffers + entries * stride;
        Some(Self { receive, transmit, receive_buffers, transmit_buffers, stride, size })
    }

    /// Maps the memory.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn map(&self) -> Result<Arc<MmapRegion>> {
        MmapRegion::new(self.size).map(Arc::new).map_err(|e| {
            Error::unsupported(
                "guest memory",
                format!("{} bytes cannot be mapped: {e}", self.size),
                "Use a smaller ring or shorter frames",
            )
        })
    }

    /// Offset of the receive buffers, which are contiguous.
    pub(super) fn receive_buffers(&self) -> usize {
        self.receive_buffers
    }

    /// Offset of the transmit buffers, and the distance between them.
    pub(super) fn transmit_buffers(&self) -> (usize, usize) {
        (self.transmit_buffers, self.stride)
    }

    /// The rings: receive, transmit.
    pub fn layouts(&self) -> [&RingLayout; 2] {
        [&self.receive, &self.transmit]
    }
}

/// The transmit queue: each descriptor has its own buffer, which has the frame except for its
/// stamp.
#[derive(Debug)]
pub struct Transmit {
    /// The ring.
    pub ring: Vring,
    memory: Arc<MmapRegion>,
    buffers: usize,
    stride: usize,
    len: usize,
}

impl Transmit {
    /// Writes `frame` into every buffer.
    ///
    /// # Errors
    /// `plan` was not made for this memory and frame.
    pub fn new(
        memory: &Arc<MmapRegion>,
        plan: &MemoryPlan,
        event_idx: bool,
        frame: &[u8],
    ) -> Result<Self> {
        let ring =
            Vring::new(memory.clone(), plan.transmit, event_idx, 0).ok_or_else(misplanned)?;
        let MemoryPlan { transmit_buffers: buffers, stride, .. } = *plan;
        for slot in 0..usize::from(plan.transmit.size()) {
            // A header of zeros: no checksum to fill in, no segmentation.
            memory
                .as_volatile_slice()
                .write_slice(frame, buffers + slot * stride + HEADER_LEN)
                .map_err(|_| misplanned())?;
        }
        Ok(Self { ring, memory: memory.clone(), buffers, stride, len: frame.len() })
    }

    /// Puts a frame with this stamp into the ring; returns false if the ring is full.
    #[expect(
        clippy::expect_used,
        reason = "the plan is our own; `new` wrote a frame to each buffer, whose stamp is aligned"
    )]
    pub fn add(&mut self, stamp: Stamp) -> bool {
        let Self { ring, memory, buffers, stride, len } = self;
        ring.add(|slot| {
            let start = *buffers + usize::from(slot) * *stride;
            for (word, at) in stamp.to_words().into_iter().zip([0, 8]) {
                memory
                    .get_atomic_ref::<AtomicU64>(start + HEADER_LEN + STAMP_AT + at)
                    .expect("buffers start on cache lines and lie in the memory")
                    .store(word, Ordering::Relaxed);
            }
            let len = (HEADER_LEN + *len) as u32;
            Buffer { address: start as u64, len, writable: false }
        })
    }

    /// Takes back every frame that the device has sent; returns their number.
    ///
    /// # Errors
    /// The device broke the protocol.
    pub fn reclaim(&mut self) -> std::result::Result<u64, RingError> {
        let mut frames = 0;
        while self.ring.take_used()?.is_some() {
            frames += 1;
        }
        Ok(frames)
    }

    /// Bytes of one frame.
    pub fn frame(&self) -> usize {
        self.len
    }
}

/// The receive queue; incoming frames are counted and discarded.
#[derive(Debug)]
pub struct Receive {
    /// The ring.
    pub ring: Vring,
    memory: Arc<MmapRegion>,
    buffers: usize,
    /// Buffers that belong to the current frame and were not taken yet.
    rest: u16,
}

/// What came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Frames.
    pub frames: u64,
    /// Their bytes, without the virtio header.
    pub bytes: Bytes,
    /// Whether the device asks to be kicked for the returned buffers.
    pub kick: bool,
}

impl Receive {
    /// Gives the device every buffer; it is not connected yet, so no kick is needed.
    ///
    /// # Errors
    /// `plan` was not made for this memory.
    pub fn new(memory: &Arc<MmapRegion>, plan: &MemoryPlan, event_idx: bool) -> Result<Self> {
        let ring = Vring::new(memory.clone(), plan.receive, event_idx, 0).ok_or_else(misplanned)?;
        let mut queue =
            Self { ring, memory: memory.clone(), buffers: plan.receive_buffers, rest: 0 };
        let _ = refill(&mut queue.ring, queue.buffers);
        Ok(queue)
    }

    /// Takes incoming frames and returns the buffers.
    ///
    /// # Errors
    /// The device broke the protocol.
    pub fn discard(&mut self) -> std::result::Result<Incoming, RingError> {
        let mut incoming = Incoming::default();
        while let Some(used) = self.ring.take_used()? {
            incoming.bytes.0 += u64::from(used.len);
            if self.rest == 0 {
                incoming.bytes.0 -= u64::from(HEADER.min(used.len));
                incoming.frames += 1;
                self.rest = self.num_buffers(used.id);
            }
            self.rest = self.rest.saturating_sub(1);
        }
        incoming.kick = refill(&mut self.ring, self.buffers);
        Ok(incoming)
    }

    /// VIRTIO 1.2 §5.1.6.4: the number of buffers of the frame that starts in descriptor `id`.
    #[expect(
        clippy::expect_used,
        reason = "the plan is our own, and the ring gives no id beyond its size"
    )]
    fn num_buffers(&self, id: u16) -> u16 {
        let at = self.buffers + usize::from(id) * RECEIVE_BUFFER + NUM_BUFFERS_AT;
        let count = self.memory.get_atomic_ref::<AtomicU16>(at);
        u16::from_le(count.expect("buffers lie in the memory").load(Ordering::Relaxed))
    }
}

/// Gives the device every free buffer; whether it asks to be kicked for them.
pub(super) fn refill(ring: &mut Vring, buffers: usize) -> bool {
    while ring.add(|slot| Buffer {
        address: (buffers + usize::from(slot) * RECEIVE_BUFFER) as u64,
        len: RECEIVE_BUFFER as u32,
        writable: true,
    }) {}
    ring.publish()
}

pub(super) fn misplanned() -> Error {
    Error::Inconsistent("the plan of the guest's memory does not fit its memory".into())
}
