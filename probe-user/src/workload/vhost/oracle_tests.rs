//! Tests the driver's ring against rust-vmm's device side of the same ring (`virtio-queue`).

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use proptest::prelude::*;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

use super::ring::{Buffer, RingError, RingLayout, Used, Vring, need_event};

/// Guest memory with one ring in it, and both ends of the ring.
struct Ends {
    memory: GuestMemoryMmap,
    layout: RingLayout,
    driver: Vring,
    device: Queue,
}

fn ends(size: u16, base: u16, event_idx: bool) -> Ends {
    // The oracle, like vhost, wants memory behind the ring's last byte.
    let layout = RingLayout::new(size, 0).unwrap();
    let region = Arc::new(MmapRegion::new(layout.end() + 64).unwrap());
    let driver = Vring::new(region.clone(), layout, event_idx, base).unwrap();
    let region = GuestRegionMmap::with_arc(region, GuestAddress(0)).unwrap();
    let memory = GuestMemoryMmap::from_regions(vec![region]).unwrap();
    let mut device = Queue::new(size).unwrap();
    device.set_size(size);
    device.try_set_desc_table_address(GuestAddress(layout.descriptors())).unwrap();
    device.try_set_avail_ring_address(GuestAddress(layout.available())).unwrap();
    device.try_set_used_ring_address(GuestAddress(layout.used())).unwrap();
    device.set_event_idx(event_idx);
    device.set_next_avail(base);
    device.set_next_used(base);
    device.set_ready(true);
    assert!(device.is_valid(&memory));
    Ends { memory, layout, driver, device }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Add {
        len: u32,
        writable: bool,
    },
    Publish,
    Pop,
    /// Completes one of the buffers that the device has, in any order.
    Complete {
        which: usize,
        len: u32,
    },
    /// The device finds nothing and asks for a kick.
    Sleep,
    Take,
    CallAfter(u16),
    NoCalls,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<u32>(), any::<bool>()).prop_map(|(len, writable)| Step::Add { len, writable }),
        4 => Just(Step::Publish),
        6 => Just(Step::Pop),
        6 => (any::<usize>(), any::<u32>()).prop_map(|(which, len)| Step::Complete { which, len }),
        2 => Just(Step::Sleep),
        6 => Just(Step::Take),
        1 => (1_u16..20).prop_map(Step::CallAfter),
        1 => Just(Step::NoCalls),
    ]
}

/// What both ends must agree on.
struct Model {
    ends: Ends,
    next: u16,
    published: u16,
    /// Added, not yet published; published, not yet popped.
    added: VecDeque<(u16, Buffer)>,
    offered: VecDeque<(u16, Buffer)>,
    held: Vec<u16>,
    completed: VecDeque<Used>,
    /// The index at which the device asked for its next kick; `None` while it works.
    asleep: Option<u16>,
    /// The number of completions for which the driver still sleeps.
    waiting: Option<u16>,
}

impl Model {
    fn new(size: u16, base: u16, event_idx: bool) -> Self {
        Self {
            ends: ends(size, base, event_idx),
            next: base,
            published: base,
            added: VecDeque::new(),
            offered: VecDeque::new(),
            held: Vec::new(),
            completed: VecDeque::new(),
            asleep: None,
            waiting: None,
        }
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        let settled = self.ends.driver.is_settled();
        prop_assert!(!settled || (self.held.is_empty() && self.offered.is_empty()));
        match step {
            Step::Add { len, writable } => self.add(len, writable),
            Step::Publish => self.publish(),
            Step::Pop => self.pop(),
            Step::Complete { which, len } => self.complete(which, len),
            Step::Sleep => self.sleep(),
            Step::Take => self.take(),
            Step::CallAfter(count) => self.call_after(count),
            Step::NoCalls => {
                self.ends.driver.no_calls();
                self.waiting = None;
                Ok(())
            }
        }
    }

    fn add(&mut self, len: u32, writable: bool) -> Result<(), TestCaseError> {
        let room = self.ends.driver.free() > 0;
        let mut offered = None;
        let added = self.ends.driver.add(|id| {
            let buffer = Buffer { address: 0x1_0000 + u64::from(id) * 0x800, len, writable };
            offered = Some((id, buffer));
            buffer
        });
        prop_assert_eq!(added, room);
        if added {
            self.next = self.next.wrapping_add(1);
        }
        self.added.extend(offered);
        Ok(())
    }

    fn publish(&mut self) -> Result<(), TestCaseError> {
        let kick = self.ends.driver.publish();
        let new = std::mem::replace(&mut self.published, self.next);
        // VIRTIO 1.2 §2.7.7: kicked if the device asked for one at an index that is now passed.
        let passed = |event| (0..self.next.wrapping_sub(new)).any(|i| new.wrapping_add(i) == event);
        if let Some(event) = self.asleep {
            prop_assert_eq!(kick, passed(event), "asleep at {}, {} -> {}", event, new, self.next);
        }
        if kick {
            self.asleep = None;
            self.ends.device.disable_notification(&self.ends.memory).unwrap();
        }
        self.offered.extend(self.added.drain(..));
        Ok(())
    }

    fn pop(&mut self) -> Result<(), TestCaseError> {
        if self.asleep.is_some() {
            return Ok(());
        }
        let chain = self.ends.device.pop_descriptor_chain(&self.ends.memory);
        let expected = self.offered.pop_front();
        prop_assert_eq!(chain.is_some(), expected.is_some());
        let (Some(chain), Some((id, buffer))) = (chain, expected) else { return Ok(()) };
        prop_assert_eq!(chain.head_index(), id);
        let parts: Vec<_> = chain.collect();
        prop_assert_eq!(parts.len(), 1);
        let part = Buffer {
            address: parts[0].addr().0,
            len: parts[0].len(),
            writable: parts[0].is_write_only(),
        };
        prop_assert_eq!(part, buffer);
        self.held.push(id);
        Ok(())
    }

    fn complete(&mut self, which: usize, len: u32) -> Result<(), TestCaseError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let id = self.held.swap_remove(which % self.held.len());
        self.ends.device.add_used(&self.ends.memory, id, len).unwrap();
        self.completed.push_back(Used { id, len });
        let call = self.ends.device.needs_notification(&self.ends.memory).unwrap();
        if let Some(left) = self.waiting.as_mut() {
            *left -= 1;
            prop_assert!(call || *left > 0, "the driver sleeps on");
            if call {
                self.waiting = None;
            }
        }
        Ok(())
    }

    fn sleep(&mut self) -> Result<(), TestCaseError> {
        if self.asleep.is_none() {
            let more = self.ends.device.enable_notification(&self.ends.memory).unwrap();
            prop_assert_eq!(more, !self.offered.is_empty());
            if more {
                self.ends.device.disable_notification(&self.ends.memory).unwrap();
            } else {
                self.asleep = Some(self.published);
            }
        }
        let idle = self.asleep.is_some() && self.held.is_empty();
        prop_assert_eq!(self.ends.driver.is_settled(), idle);
        Ok(())
    }

    fn take(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.ends.driver.has_used(), !self.completed.is_empty());
        prop_assert_eq!(self.ends.driver.take_used(), Ok(self.completed.pop_front()));
        Ok(())
    }

    fn call_after(&mut self, count: u16) -> Result<(), TestCaseError> {
        let count = count.min(self.ends.driver.in_flight());
        if count == 0 {
            return Ok(());
        }
        let due = self.ends.driver.call_after(count);
        let done = self.completed.len() as u16;
        prop_assert_eq!(due, done >= count);
        self.waiting = (!due).then(|| count - done);
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_buffer_is_lost_and_no_sleeper_forgotten(
        size in (0_u32..8).prop_map(|power| 1 << power),
        base in prop_oneof![any::<u16>(), 65_400_u16..],
        event_idx in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..400),
    ) {
        let mut model = Model::new(size, base, event_idx);
        for step in steps {
            model.run(step)?;
        }
    }

    #[test]
    fn an_event_is_passed_when_it_lies_on_the_way(old: u16, ahead in -4_i16..40, steps in 0_u16..36) {
        let event = old.wrapping_add_signed(ahead);
        let on_the_way = (0..steps).any(|i| old.wrapping_add(i) == event);
        prop_assert_eq!(need_event(event, old.wrapping_add(steps), old), on_the_way);
    }

    #[test]
    fn parts_of_a_layout_are_aligned_and_apart(power in 0_u32..=15, start in 0_usize..10_000) {
        let layout = RingLayout::new(1 << power, start).unwrap();
        let entries = 1_u64 << power;
        prop_assert!(layout.descriptors() >= start as u64 && layout.descriptors().is_multiple_of(16));
        prop_assert!(layout.available() >= layout.descriptors() + 16 * entries);
        prop_assert!(layout.used() >= layout.available() + 2 * entries + 6);
        prop_assert!(layout.end() as u64 >= layout.used() + 8 * entries + 6);
        prop_assert!(layout.available().is_multiple_of(2) && layout.used().is_multiple_of(4));
    }
}

#[test]
fn sizes_that_virtio_does_not_know_are_refused() {
    for size in [0, 3, 255, 32_769, u16::MAX] {
        assert_eq!(RingLayout::new(size, 0), None, "{size}");
    }
}

#[test]
fn a_ring_outside_its_memory_is_refused() {
    let layout = RingLayout::new(256, 0).unwrap();
    let memory = Arc::new(MmapRegion::new(layout.end() - 1).unwrap());
    assert!(Vring::new(memory, layout, true, 0).is_none());
}

#[test]
fn a_device_that_breaks_the_protocol_is_found_out() {
    let Ends { memory, layout, mut driver, .. } = ends(4, 0, true);
    let idx = GuestAddress(layout.used() + 2);
    assert!(driver.add(|_| Buffer { address: 0, len: 64, writable: false }));
    let _ = driver.publish();
    memory.write_obj(2_u16, idx).unwrap();
    assert_eq!(driver.take_used(), Err(RingError::TooMany { claimed: 2, in_flight: 1 }));
    memory.write_obj(1_u16, idx).unwrap();
    for id in [1_u32, 4, 65_536] {
        memory.write_obj(id, GuestAddress(layout.used() + 4)).unwrap();
        assert_eq!(driver.take_used(), Err(RingError::NotInFlight { id }));
    }
    memory.write_obj(0_u32, GuestAddress(layout.used() + 4)).unwrap();
    assert_eq!(driver.take_used(), Ok(Some(Used { id: 0, len: 0 })));
    // Back a second time, while another one is in flight.
    assert!(driver.add(|_| Buffer { address: 0, len: 64, writable: false }));
    assert!(driver.add(|_| Buffer { address: 0, len: 64, writable: false }));
    let _ = driver.publish();
    for (slot, id) in [(1, 0_u32), (2, 0)] {
        memory.write_obj(id, GuestAddress(layout.used() + 4 + 8 * slot)).unwrap();
    }
    memory.write_obj(3_u16, idx).unwrap();
    assert_eq!(driver.take_used(), Ok(Some(Used { id: 0, len: 0 })));
    assert_eq!(driver.take_used(), Err(RingError::NotInFlight { id: 0 }));
}

#[test]
fn a_driver_that_wants_no_calls_gets_none_when_the_index_wraps() {
    let Ends { memory, mut driver, mut device, .. } = ends(8, 0, true);
    let mut calls = 0;
    for _ in 0..200_000 {
        assert!(driver.add(|_| Buffer { address: 0, len: 64, writable: false }));
        let _ = driver.publish();
        let id = device.pop_descriptor_chain(&memory).unwrap().head_index();
        device.add_used(&memory, id, 0).unwrap();
        calls += usize::from(device.needs_notification(&memory).unwrap());
        assert!(driver.take_used().unwrap().is_some());
    }
    // The first one is free: the device cannot know yet what it last signalled.
    assert!(calls <= 1, "{calls} calls");
}

/// Both ends run at full speed and sleep whenever they may: if a kick or a call is lost, both sleep
/// forever.
///
/// With one buffer at a time they sleep at nearly every step; the pauses make their steps meet in
/// ever new ways.
#[test]
fn two_threads_never_both_sleep() {
    for (size, wish) in [(1, 1), (16, 8)] {
        bounce(size, wish);
    }
}

const BUFFERS: u32 = 200_000;

/// Generous: it decides whether both sleep forever, and does not measure speed.
const FOR_GOOD: Duration = Duration::from_secs(60);

fn bounce(size: u16, wish: u16) {
    let Ends { memory, mut driver, device, .. } = ends(size, 65_000, true);
    let (kick, kicked) = mpsc::channel();
    let (call, called) = mpsc::channel();
    let device = thread::spawn(move || serve(device, &memory, &kicked, &call));
    let (mut offered, mut back) = (0, 0);
    while back < BUFFERS {
        while let Some(used) = driver.take_used().unwrap() {
            assert_eq!(used.len, back);
            back += 1;
        }
        pause(back);
        while offered < BUFFERS
            && driver.add(|id| Buffer { address: u64::from(id), len: 64, writable: false })
        {
            offered += 1;
        }
        if driver.publish() {
            kick.send(()).unwrap();
        }
        let wish = driver.in_flight().min(wish);
        if wish > 0 && !driver.call_after(wish) {
            called.recv_timeout(FOR_GOOD).expect("the driver sleeps for good");
        }
    }
    device.join().unwrap();
}

fn serve(
    mut device: Queue,
    memory: &GuestMemoryMmap,
    kicked: &mpsc::Receiver<()>,
    call: &mpsc::Sender<()>,
) {
    let mut served = 0;
    while served < BUFFERS {
        while let Some(chain) = device.pop_descriptor_chain(memory) {
            device.add_used(memory, chain.head_index(), served).unwrap();
            served += 1;
            if device.needs_notification(memory).unwrap() {
                // The driver has ended once it has all its buffers.
                let _ = call.send(());
            }
        }
        pause(served.wrapping_mul(7));
        if served < BUFFERS && !device.enable_notification(memory).unwrap() {
            kicked.recv_timeout(FOR_GOOD).expect("the device sleeps for good");
        }
    }
}

fn pause(salt: u32) {
    for _ in 0..salt.wrapping_mul(2_654_435_761) >> 24 {
        std::hint::spin_loop();
    }
}
