//! Tests the pipes against a device of a few lines on top of the oracle's ring.

use std::io;

use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap, VolatileMemoryError, VolatileSlice};

use super::{
    bench::Bench,
    queue::MemoryPlan,
    relay::{Added, Amount, Inbound, Outbound},
    ring::RingLayout,
};

const RING: u16 = 64;
const HEADER: usize = 12;
/// An IP packet of 64 KB and its Ethernet header.
const LONGEST: usize = 65_549;
const BUFFER: usize = 2048;

fn bench(layout: impl FnOnce(&MemoryPlan) -> RingLayout) -> Bench {
    Bench::new(Outbound::plan(RING, LONGEST).unwrap(), RING, layout)
}

/// `len` bytes that differ from those of any other salt at every position.
fn bytes(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251 + salt) as u8).collect()
}

type Read = Result<usize, VolatileMemoryError>;

/// Like read(2) on a TAP: what does not fit is truncated.
fn copy(from: &[u8], to: &mut VolatileSlice<'_>) -> Read {
    let len = from.len().min(to.len());
    to.write_slice(&from[..len], 0)?;
    Ok(len)
}

#[test]
fn frames_of_64_kb_pass_with_their_headers() {
    let Bench { plan, region, memory, mut device } = bench(|plan| *plan.layouts()[1]);
    let mut outbound = Outbound::new(&region, &plan, true, LONGEST).unwrap();
    // Many rounds, so that long frames follow short ones in every buffer.
    for round in 0..3 * usize::from(RING) {
        let lens = [LONGEST, 60, 1514, LONGEST - round];
        let frames: Vec<_> = lens.iter().map(|len| bytes(HEADER + len, round + len)).collect();
        for frame in &frames {
            assert_eq!(outbound.add(|to| copy(frame, to)).unwrap(), Added::Frame);
        }
        let _ = outbound.ring.publish();
        for frame in &frames {
            let chain = device.pop_descriptor_chain(&memory).unwrap();
            let head = chain.head_index();
            let parts: Vec<_> = chain.collect();
            assert_eq!((parts.len(), parts[0].is_write_only()), (1, false));
            let mut seen = vec![0; parts[0].len() as usize];
            memory.read_slice(&mut seen, parts[0].addr()).unwrap();
            assert!(seen == *frame, "a frame of {} bytes arrives as another", frame.len());
            device.add_used(&memory, head, 0).unwrap();
        }
        let sent = Amount { frames: 4, bytes: lens.iter().sum::<usize>() as u64 };
        assert_eq!(outbound.reclaim(), Ok(sent));
        assert_eq!(outbound.ring.free(), RING);
    }
}

#[test]
fn what_is_no_frame_takes_no_descriptor() {
    let Bench { plan, region, .. } = bench(|plan| *plan.layouts()[1]);
    let mut outbound = Outbound::new(&region, &plan, true, LONGEST).unwrap();
    let nothing = |_: &mut VolatileSlice<'_>| -> Read {
        Err(VolatileMemoryError::IOError(io::ErrorKind::WouldBlock.into()))
    };
    assert_eq!(outbound.add(nothing).unwrap(), Added::None);
    for len in [0, HEADER, HEADER + LONGEST + 1, HEADER + LONGEST + 5000] {
        let frame = bytes(len, 0);
        assert_eq!(outbound.add(|to| copy(&frame, to)).unwrap(), Added::Refused, "{len}");
    }
    let gone = |_: &mut VolatileSlice<'_>| -> Read {
        Err(VolatileMemoryError::IOError(io::Error::from_raw_os_error(libc::EBADFD)))
    };
    assert_eq!(outbound.add(gone).unwrap_err().raw_os_error(), Some(libc::EBADFD));
    assert_eq!(outbound.ring.free(), RING);
    for _ in 0..RING {
        assert_eq!(outbound.add(|to| copy(&[1; 100], to)).unwrap(), Added::Frame);
    }
    // If the ring is full, the frame remains in the TAP.
    let full = outbound.add(|_| panic!("read without a place for it")).unwrap();
    assert_eq!(full, Added::Full);
}

/// Puts `frame` into as many buffers as needed, like vhost; the first one's header has their
/// number.
fn deliver(memory: &GuestMemoryMmap, device: &mut Queue, frame: &[u8]) {
    let parts: Vec<_> = frame.chunks(BUFFER).collect();
    for (number, part) in parts.iter().enumerate() {
        let chain = device.pop_descriptor_chain(memory).unwrap();
        let head = chain.head_index();
        let buffer = chain.into_iter().next().unwrap();
        assert!(buffer.is_write_only() && buffer.len() as usize >= part.len());
        memory.write_slice(part, buffer.addr()).unwrap();
        if number == 0 {
            let at = GuestAddress(buffer.addr().0 + 10);
            memory.write_obj((parts.len() as u16).to_le(), at).unwrap();
        }
        device.add_used(memory, head, part.len() as u32).unwrap();
    }
}

/// With the number of its buffers in its header.
fn counted(len: usize, salt: usize) -> Vec<u8> {
    let mut frame = bytes(HEADER + len, salt);
    let count = frame.len().div_ceil(BUFFER) as u16;
    frame[10..12].copy_from_slice(&count.to_le_bytes());
    frame
}

#[test]
fn frames_over_several_buffers_come_out_whole() {
    let Bench { plan, region, memory, mut device } = bench(|plan| *plan.layouts()[0]);
    let mut inbound = Inbound::new(&region, &plan, true).unwrap();
    for round in 0..100 {
        let lens = [60, LONGEST - 37 * round, 2036, 2037, 1514];
        let frames: Vec<_> = lens.iter().map(|&len| counted(len, round + len)).collect();
        frames.iter().for_each(|frame| deliver(&memory, &mut device, frame));
        let mut seen = Vec::new();
        let delivered = inbound.drain(|frame| {
            seen.push(frame.to_vec());
            Ok(())
        });
        delivered.unwrap();
        assert!(seen == frames, "round {round}");
        assert_eq!(inbound.ring.in_flight(), RING, "the device has its buffers back");
    }
}

#[test]
fn a_frame_that_is_seen_in_parts_comes_out_once_it_is_whole() {
    let Bench { plan, region, memory, mut device } = bench(|plan| *plan.layouts()[0]);
    let mut inbound = Inbound::new(&region, &plan, true).unwrap();
    let frame = counted(3 * BUFFER, 1);
    deliver(&memory, &mut device, &frame);
    let idx = GuestAddress(plan.layouts()[0].used() + 2);
    for shown in 1..=3_u16 {
        memory.write_obj(shown, idx).unwrap();
        let _ = inbound.drain(|_| panic!("{shown} of 4 buffers are no frame")).unwrap();
    }
    memory.write_obj(4_u16, idx).unwrap();
    let mut seen = 0;
    let _ = inbound
        .drain(|whole| {
            assert!(whole == frame);
            seen += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn a_buffer_with_more_than_it_holds_is_a_broken_protocol() {
    let Bench { plan, region, memory, mut device } = bench(|plan| *plan.layouts()[0]);
    let mut inbound = Inbound::new(&region, &plan, true).unwrap();
    for len in [BUFFER as u32 + 1, 3] {
        let head = device.pop_descriptor_chain(&memory).unwrap().head_index();
        device.add_used(&memory, head, len).unwrap();
        let error = inbound.drain(|_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("protocol"), "{error}");
    }
}
