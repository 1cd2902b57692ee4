//! Tests the queues against a device of a few lines on top of the oracle's ring.

use probe_core::model::units::{Bytes, Nanos};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::{
    bench::Bench,
    queue::{Incoming, MemoryPlan, Receive, Transmit},
    ring::RingLayout,
};
use crate::{
    kernel::netdev::Mac,
    workload::blast::frame::{self, Stamp},
};

const RING: u16 = 8;
const FRAME: usize = 100;
const HEADER: u64 = 12;

fn bench(layout: impl FnOnce(&MemoryPlan) -> RingLayout) -> Bench {
    Bench::new(MemoryPlan::new(RING, FRAME).unwrap(), RING, layout)
}

#[test]
fn each_frame_carries_its_own_stamp() {
    let Bench { plan, region, memory, mut device } = bench(|plan| *plan.layouts()[1]);
    let template = frame::template(FRAME, Mac([2; 6]), Mac([4; 6]), 3);
    let mut transmit = Transmit::new(&region, &plan, true, &template).unwrap();
    let stamp = |sequence| Stamp { sequence, scheduled: Nanos(1000 * sequence) };
    for sequence in 0..RING.into() {
        assert!(transmit.add(stamp(sequence)));
    }
    assert!(!transmit.add(stamp(99)), "the ring has room for {RING}");
    let _ = transmit.ring.publish();
    for sequence in 0..RING.into() {
        let chain = device.pop_descriptor_chain(&memory).unwrap();
        let head = chain.head_index();
        let parts: Vec<_> = chain.collect();
        assert_eq!((parts.len(), parts[0].is_write_only()), (1, false));
        let mut bytes = vec![0; parts[0].len() as usize];
        memory.read_slice(&mut bytes, parts[0].addr()).unwrap();
        let (header, sent) = bytes.split_at(HEADER as usize);
        assert_eq!(header, [0; HEADER as usize], "no offload is asked for");
        assert_eq!((sent.len(), &sent[..12]), (FRAME, &template[..12]));
        assert_eq!(frame::parse(sent), Some((3, stamp(sequence))));
        device.add_used(&memory, head, 0).unwrap();
    }
    assert_eq!(transmit.reclaim(), Ok(RING.into()));
    assert_eq!(transmit.ring.free(), RING);
}

/// Fills `lens.len()` buffers as one frame, as vhost does with mergeable buffers.
fn deliver(memory: &GuestMemoryMmap, device: &mut Queue, lens: &[u32]) {
    for (number, &len) in lens.iter().enumerate() {
        let chain = device.pop_descriptor_chain(memory).unwrap();
        let head = chain.head_index();
        let buffer = chain.into_iter().next().unwrap();
        assert!(buffer.is_write_only() && buffer.len() >= len);
        // Remains of an earlier frame must not be taken for a header.
        memory.write_slice(&[0xff; 12], buffer.addr()).unwrap();
        if number == 0 {
            let at = GuestAddress(buffer.addr().0 + 10);
            memory.write_obj((lens.len() as u16).to_le(), at).unwrap();
        }
        device.add_used(memory, head, len).unwrap();
    }
}

#[test]
fn a_frame_over_several_buffers_is_one_frame() {
    let Bench { plan, region, memory, mut device } = bench(|plan| *plan.layouts()[0]);
    let mut receive = Receive::new(&region, &plan, true).unwrap();
    // Many rounds, so that every buffer has been a first and a later one.
    for _ in 0..50 {
        deliver(&memory, &mut device, &[72]);
        deliver(&memory, &mut device, &[2048, 2048, 30]);
        deliver(&memory, &mut device, &[2048]);
        let Incoming { frames, bytes, kick: _ } = receive.discard().unwrap();
        assert_eq!((frames, bytes), (3, Bytes(72 + 4126 + 2048 - 3 * HEADER)));
        assert_eq!(receive.ring.in_flight(), RING, "the device has its buffers back");
    }
}

#[test]
fn a_frame_that_is_seen_in_parts_is_counted_once() {
    let Bench { plan, region, memory, mut device } = bench(|plan| *plan.layouts()[0]);
    let mut receive = Receive::new(&region, &plan, true).unwrap();
    deliver(&memory, &mut device, &[2048, 30]);
    // The device returns one of both.
    let idx = GuestAddress(plan.layouts()[0].used() + 2);
    memory.write_obj(1_u16, idx).unwrap();
    assert_eq!(receive.discard().unwrap().frames, 1);
    memory.write_obj(2_u16, idx).unwrap();
    let rest = receive.discard().unwrap();
    assert_eq!((rest.frames, rest.bytes), (0, Bytes(30)));
}
