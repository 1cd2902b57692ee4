//! How long the load's virtio driver takes to offer a frame and to take its descriptor back.
//!
//! The device here completes every frame at once and in order, with four plain stores per frame:
//! its part of the figure is small.

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use probe_user::workload::vhost::ring::{Buffer, RingLayout, Vring};
use vm_memory::{Bytes as _, MmapRegion, VolatileMemory as _};

const SIZE: u16 = 256;
const BATCH: u16 = 64;

/// The device's end: what it has completed so far.
struct Device {
    memory: Arc<MmapRegion>,
    layout: RingLayout,
    done: u16,
}

impl Device {
    /// Uses the next `count` buffers of the available ring, VIRTIO 1.2 §2.7.8.
    fn complete(&mut self, count: u16) {
        let memory = self.memory.as_volatile_slice();
        let (available, used) = (self.layout.available() as usize, self.layout.used() as usize);
        for _ in 0..count {
            let slot = usize::from(self.done % SIZE);
            let id: u16 = memory.read_obj(available + 4 + 2 * slot).unwrap();
            memory.write_obj(u32::from(id), used + 4 + 8 * slot).unwrap();
            memory.write_obj(0_u32, used + 4 + 8 * slot + 4).unwrap();
            self.done = self.done.wrapping_add(1);
        }
        memory.write_obj(self.done, used + 2).unwrap();
    }
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring driver");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for event_idx in [true, false] {
        let layout = RingLayout::new(SIZE, 0).unwrap();
        let memory = Arc::new(MmapRegion::new(layout.end() + 64).unwrap());
        let mut ring = Vring::new(memory.clone(), layout, event_idx, 0).unwrap();
        let mut device = Device { memory, layout, done: 0 };
        let name = if event_idx { "64 frames, event index" } else { "64 frames, flags" };
        group.bench_function(name, |b| {
            b.iter(|| {
                for _ in 0..BATCH {
                    assert!(ring.add(|_| Buffer { address: 0, len: 1526, writable: false }));
                }
                let kick = black_box(ring.publish());
                device.complete(BATCH);
                let mut taken = 0;
                while ring.take_used().unwrap().is_some() {
                    taken += 1;
                }
                assert_eq!(taken, BATCH);
                kick
            });
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
