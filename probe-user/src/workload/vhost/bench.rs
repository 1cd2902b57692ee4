//! The common part of tests of queues: their memory, and the device's end of one of them.

use std::sync::Arc;

use virtio_queue::{Queue, QueueT};
use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

use super::{queue::MemoryPlan, ring::RingLayout};

/// Memory with both queues in it, and the device's end of one of them.
pub(super) struct Bench {
    pub(super) plan: MemoryPlan,
    pub(super) region: Arc<MmapRegion>,
    pub(super) memory: GuestMemoryMmap,
    pub(super) device: Queue,
}

impl Bench {
    /// The device serves the ring of `ring` descriptors that `layout` picks of `plan`.
    pub(super) fn new(
        plan: MemoryPlan,
        ring: u16,
        layout: impl FnOnce(&MemoryPlan) -> RingLayout,
    ) -> Self {
        let region = plan.map().unwrap();
        let guest = GuestRegionMmap::with_arc(region.clone(), GuestAddress(0)).unwrap();
        let memory = GuestMemoryMmap::from_regions(vec![guest]).unwrap();
        let layout = layout(&plan);
        let mut device = Queue::new(ring).unwrap();
        device.set_size(ring);
        device.try_set_desc_table_address(GuestAddress(layout.descriptors())).unwrap();
        device.try_set_avail_ring_address(GuestAddress(layout.available())).unwrap();
        device.try_set_used_ring_address(GuestAddress(layout.used())).unwrap();
        device.set_event_idx(true);
        device.set_ready(true);
        assert!(device.is_valid(&memory));
        Self { plan, region, memory, device }
    }
}
