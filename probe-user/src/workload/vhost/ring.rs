//! Driver side of the split virtqueue, VIRTIO 1.2 §2.7, with single-descriptor buffers.
//!
//! The ring is in memory that the device writes at the same time, so every shared field is atomic.
//! Two rules order the accesses. Contents before index: `avail.idx` is stored with Release after
//! the entries it covers, `used.idx` is loaded with Acquire before them. Own index before the
//! other's request: between publishing and reading when the other side wants to be notified there
//! is a full fence, and the other side does the same in reverse. So if both sides go to sleep, at
//! least one of them sees the other's last update.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};

use virtio_bindings::virtio_ring::{
    VRING_AVAIL_F_NO_INTERRUPT, VRING_DESC_F_WRITE, VRING_USED_F_NO_NOTIFY,
};
use vm_memory::{AtomicInteger, MmapRegion, VolatileMemory as _};

/// Most descriptors of a split ring.
pub const MAX_SIZE: u16 = 1 << 15;

/// If a `used_event` is this far in the past it is renewed, before the index wraps and the event
/// becomes the future.
const STALE: std::ops::Range<u16> = 1 << 14..1 << 15;

/// The layout of a ring in the guest's memory: guest addresses, which are offsets into its only
/// region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLayout {
    size: u16,
    descriptors: usize,
    available: usize,
    used: usize,
    end: usize,
}

impl RingLayout {
    /// The three parts of a ring of `size` descriptors one behind the other from `start`, each on
    /// cache lines of its own, since driver and device write different ones.
    ///
    /// `None` unless `size` is a power of two up to [`MAX_SIZE`].
    pub fn new(size: u16, start: usize) -> Option<Self> {
        if !size.is_power_of_two() || size > MAX_SIZE {
            return None;
        }
        let entries = usize::from(size);
        let descriptors = start.next_multiple_of(64);
        let available = (descriptors + 16 * entries).next_multiple_of(64);
        // flags, idx, ring[size], used_event
        let used = (available + 2 * (entries + 3)).next_multiple_of(64);
        // flags, idx, ring[size] of (id, len), avail_event
        let end = (used + 2 * 3 + 8 * entries).next_multiple_of(64);
        Some(Self { size, descriptors, available, used, end })
    }

    /// Number of descriptors.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Address of the descriptor table.
    pub fn descriptors(&self) -> u64 {
        self.descriptors as u64
    }

    /// Address of the available ring.
    pub fn available(&self) -> u64 {
        self.available as u64
    }

    /// Address of the used ring.
    pub fn used(&self) -> u64 {
        self.used as u64
    }

    /// First byte after the ring.
    pub fn end(&self) -> usize {
        self.end
    }

    fn used_event(&self) -> usize {
        self.available + 4 + 2 * usize::from(self.size)
    }

    fn avail_event(&self) -> usize {
        self.used + 4 + 8 * usize::from(self.size)
    }
}

/// An offered buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Its guest address.
    pub address: u64,
    /// Its length in bytes.
    pub len: u32,
    /// Whether the device writes it (receive) or reads it (transmit).
    pub writable: bool,
}

/// A returned buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The descriptor in which it was offered.
    pub id: u16,
    /// Bytes that the device wrote into it.
    pub len: u32,
}

/// The device broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// `used.idx` is beyond everything that was offered.
    #[error("used.idx claims {claimed} buffers of {in_flight} in flight")]
    TooMany {
        /// Number of buffers that it claims to have used since the last check.
        claimed: u16,
        /// Number of buffers that it has.
        in_flight: u16,
    },
    /// A buffer came back that the device did not have.
    #[error("descriptor {id} came back without being in flight")]
    NotInFlight {
        /// What the used ring names.
        id: u32,
    },
}

/// The driver's end of one ring.
#[derive(Debug)]
pub struct Vring {
    memory: Arc<MmapRegion>,
    layout: RingLayout,
    event_idx: bool,
    /// Descriptors that the device does not have.
    free: Vec<u16>,
    in_flight: Vec<bool>,
    /// Next index of the available ring; the device knows those up to `published`.
    next: u16,
    published: u16,
    /// Next index of the used ring.
    seen: u16,
    /// The value of `used_event`.
    used_event: u16,
}

impl Vring {
    /// A ring at `layout` in `memory`, which must be zero there, whose indices start at `base`
    /// (what `VHOST_SET_VRING_BASE` tells the device). Calls are off until [`Vring::call_after`].
    ///
    /// `None` if the layout does not fit into the memory.
    pub fn new(
        memory: Arc<MmapRegion>,
        layout: RingLayout,
        event_idx: bool,
        base: u16,
    ) -> Option<Self> {
        if layout.end > memory.size() {
            return None;
        }
        let mut ring = Self {
            memory,
            layout,
            event_idx,
            // Popped from the end: 0 first.
            free: (0..layout.size).rev().collect(),
            in_flight: vec![false; usize::from(layout.size)],
            next: base,
            published: base,
            seen: base,
            used_event: base,
        };
        ring.u16_at(layout.available + 2).store(base.to_le(), Ordering::Relaxed);
        ring.u16_at(layout.used + 2).store(base.to_le(), Ordering::Relaxed);
        ring.no_calls();
        Some(ring)
    }

    /// Where it lies.
    pub fn layout(&self) -> &RingLayout {
        &self.layout
    }

    /// Number of free descriptors.
    pub fn free(&self) -> u16 {
        // At most MAX_SIZE.
        self.free.len() as u16
    }

    /// Buffers that the device has, or that it will have with the next [`Vring::publish`].
    pub fn in_flight(&self) -> u16 {
        self.layout.size - self.free()
    }

    /// The descriptor that the next [`Vring::add`] takes; none if no descriptor is free.
    pub fn next_free(&self) -> Option<u16> {
        self.free.last().copied()
    }

    /// Offers the buffer that `describe` returns for its descriptor; returns false if no descriptor
    /// is free.
    ///
    /// The device learns of it with the next [`Vring::publish`].
    pub fn add(&mut self, describe: impl FnOnce(u16) -> Buffer) -> bool {
        let Some(id) = self.free.pop() else { return false };
        let Buffer { address, len, writable } = describe(id);
        let flags = if writable { VRING_DESC_F_WRITE } else { 0 };
        let at = self.layout.descriptors + 16 * usize::from(id);
        // struct vring_desc: addr, then len, flags (16 bits), next (16 bits, unused).
        let rest = u64::from(len) | u64::from(flags) << 32;
        self.atomic::<AtomicU64>(at).store(address.to_le(), Ordering::Relaxed);
        self.atomic::<AtomicU64>(at + 8).store(rest.to_le(), Ordering::Relaxed);
        let slot = usize::from(self.next & (self.layout.size - 1));
        self.u16_at(self.layout.available + 4 + 2 * slot).store(id.to_le(), Ordering::Relaxed);
        self.in_flight[usize::from(id)] = true;
        self.next = self.next.wrapping_add(1);
        true
    }

    /// Lets the device see what was added; returns whether it asks to be kicked for it.
    #[must_use = "a device that asks for a kick and gets none sleeps on"]
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.next);
        if old == new {
            return false;
        }
        self.u16_at(self.layout.available + 2).store(new.to_le(), Ordering::Release);
        self.published = new;
        fence(Ordering::SeqCst);
        if self.event_idx { need_event(self.avail_event(), new, old) } else { !self.busy_flag() }
    }

    /// Takes back the next buffer that the device has used.
    ///
    /// # Errors
    /// The device broke the protocol; the ring must not be used any more.
    pub fn take_used(&mut self) -> Result<Option<Used>, RingError> {
        let claimed = self.used_idx().wrapping_sub(self.seen);
        if claimed == 0 {
            return Ok(None);
        }
        if claimed > self.published.wrapping_sub(self.seen) {
            return Err(RingError::TooMany { claimed, in_flight: self.in_flight() });
        }
        let slot = usize::from(self.seen & (self.layout.size - 1));
        let at = self.layout.used + 4 + 8 * slot;
        let id = u32::from_le(self.atomic::<AtomicU32>(at).load(Ordering::Relaxed));
        let len = u32::from_le(self.atomic::<AtomicU32>(at + 4).load(Ordering::Relaxed));
        let taken = u16::try_from(id)
            .ok()
            .filter(|&id| self.in_flight.get_mut(usize::from(id)).is_some_and(std::mem::take));
        let Some(id) = taken else { return Err(RingError::NotInFlight { id }) };
        self.free.push(id);
        self.seen = self.seen.wrapping_add(1);
        if self.event_idx && STALE.contains(&self.seen.wrapping_sub(self.used_event)) {
            self.no_calls();
        }
        Ok(Some(Used { id, len }))
    }

    /// Whether [`Vring::take_used`] has something to take.
    pub fn has_used(&self) -> bool {
        self.used_idx() != self.seen
    }

    /// Asks for a call when the device has used `count` more of the buffers in flight. Returns
    /// whether it already has, in which case nobody should wait for the call. Without the event
    /// index the call comes for the first buffer.
    #[must_use = "a call that is already due may never come"]
    pub fn call_after(&mut self, count: u16) -> bool {
        if self.event_idx {
            self.set_used_event(self.seen.wrapping_add(count).wrapping_sub(1));
        } else {
            self.u16_at(self.layout.available).store(0, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        self.used_idx().wrapping_sub(self.seen) >= count
    }

    /// Asks for no more calls; one may still be on its way.
    pub fn no_calls(&mut self) {
        if self.event_idx {
            self.set_used_event(self.seen.wrapping_sub(1));
        } else {
            let flag = VRING_AVAIL_F_NO_INTERRUPT as u16;
            self.u16_at(self.layout.available).store(flag.to_le(), Ordering::Relaxed);
        }
    }

    /// Whether the device has used everything published and waits for a kick.
    pub fn is_settled(&self) -> bool {
        self.used_idx() == self.published
            && if self.event_idx { self.avail_event() == self.published } else { !self.busy_flag() }
    }

    fn set_used_event(&mut self, event: u16) {
        self.used_event = event;
        self.u16_at(self.layout.used_event()).store(event.to_le(), Ordering::Relaxed);
    }

    fn used_idx(&self) -> u16 {
        u16::from_le(self.u16_at(self.layout.used + 2).load(Ordering::Acquire))
    }

    fn avail_event(&self) -> u16 {
        u16::from_le(self.u16_at(self.layout.avail_event()).load(Ordering::Acquire))
    }

    fn busy_flag(&self) -> bool {
        let flags = u16::from_le(self.u16_at(self.layout.used).load(Ordering::Acquire));
        u32::from(flags) & VRING_USED_F_NO_NOTIFY != 0
    }

    fn u16_at(&self, offset: usize) -> &AtomicU16 {
        self.atomic(offset)
    }

    #[expect(
        clippy::expect_used,
        reason = "the layout is our own; `new` refuses a memory that does not hold it"
    )]
    fn atomic<T: AtomicInteger>(&self, offset: usize) -> &T {
        self.memory.get_atomic_ref(offset).expect("the layout is aligned and lies in the memory")
    }
}

/// VIRTIO 1.2 §2.7.7.2 and §2.7.10: whether the step from `old` to `new` passed `event`, all modulo
/// 2^16.
#[doc(alias = "vring_need_event")]
pub fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
