//! A guest without a VM: a vhost device, the driver of its rings, and the counts of both.

use std::{
    os::fd::AsFd as _,
    sync::atomic::{AtomicU64, Ordering},
};

use probe_core::{
    error::{Error, Result},
    model::{
        trial::{Received, Sent},
        units::{Bytes, Nanos},
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    thread::sched_yield,
};

use crate::{
    kernel::clock,
    sys::tun::Tap,
    workload::{
        addresses::{guest_mac, sink_mac},
        blast::{
            bell::Bell,
            frame::{self, Stamp},
        },
        vhost::{
            device::{Device, Queue},
            queue::{MemoryPlan, Receive, Transmit},
            ring::RingError,
        },
    },
};

/// If vhost leaves a buffer unused for this long, it counts as dead.
const PATIENCE: Nanos = Nanos(10_000_000_000);

/// What a guest has done, readable while it runs.
#[derive(Debug, Default)]
pub struct Tally {
    kicks: AtomicU64,
    frames: AtomicU64,
    bytes: AtomicU64,
    received_frames: AtomicU64,
    received_bytes: AtomicU64,
}

impl Tally {
    /// What it sent: frames count once vhost has used them.
    pub fn sent(&self) -> Sent {
        Sent {
            kicks: Some(self.kicks.load(Ordering::Relaxed)),
            frames: self.frames.load(Ordering::Relaxed),
            bytes: Bytes(self.bytes.load(Ordering::Relaxed)),
        }
    }

    /// What it received and discarded.
    pub fn received(&self) -> Received {
        Received {
            frames: self.received_frames.load(Ordering::Relaxed),
            bytes: Bytes(self.received_bytes.load(Ordering::Relaxed)),
        }
    }
}

/// What ends a sleep, besides an incoming frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until<'a> {
    /// vhost has used this many more of our frames.
    pub used: Option<u16>,
    /// This instant.
    pub at: Option<Nanos>,
    /// There is a new task.
    pub bell: Option<&'a Bell>,
}

/// One guest.
pub struct Guest {
    device: Device,
    transmit: Transmit,
    receive: Receive,
    sequence: u64,
}

impl Guest {
    /// Guest number `number` behind `tap`, connected, with rings of `ring` descriptors; it sends
    /// frames of `frame` bytes to the sink.
    ///
    /// # Errors
    /// As [`Device::open`] and [`Device::connect`]; too little memory.
    pub fn new(tap: Tap, number: u16, ring: u16, frame: usize, event_idx: bool) -> Result<Self> {
        let plan = MemoryPlan::new(ring, frame).ok_or_else(|| {
            Error::invalid("ring", format!("{ring} descriptors"), "Use a power of two up to 32768")
        })?;
        let template = frame::template(frame, sink_mac(), guest_mac(number), number);
        let memory = plan.map()?;
        let transmit = Transmit::new(&memory, &plan, event_idx, &template)?;
        let receive = Receive::new(&memory, &plan, event_idx)?;
        let device = Device::open(tap, memory, plan.layouts(), event_idx)?;
        device.connect()?;
        Ok(Self { device, transmit, receive, sequence: 0 })
    }

    /// Its vhost device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Disconnects the device and closes it.
    ///
    /// # Errors
    /// The kernel refuses; the device is closed all the same.
    pub fn close(self) -> Result<()> {
        self.device.disconnect()
    }

    /// Puts a frame into the ring, to be sent with the next [`Guest::publish`]; returns false if
    /// the ring is full.
    pub fn add(&mut self, scheduled: Nanos) -> bool {
        let added = self.transmit.add(Stamp { sequence: self.sequence, scheduled });
        self.sequence += u64::from(added);
        added
    }

    /// Shows the device what was added, and kicks it if it asks for a kick; returns whether it did.
    ///
    /// # Errors
    /// The errno of write(2).
    pub fn publish(&mut self, tally: &Tally) -> Result<bool> {
        let wanted = self.transmit.ring.publish();
        if wanted {
            let kick = &self.device.events(Queue::Transmit).kick;
            kick.signal().map_err(|e| Error::call("write", "the kick eventfd", e))?;
            tally.kicks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(wanted)
    }

    /// Takes back what vhost has sent and discards what came in.
    ///
    /// # Errors
    /// vhost broke the protocol; the errno of write(2).
    pub fn collect(&mut self, tally: &Tally) -> Result<()> {
        let frames = self.transmit.reclaim().map_err(broken)?;
        tally.frames.fetch_add(frames, Ordering::Relaxed);
        tally.bytes.fetch_add(frames * self.transmit.frame() as u64, Ordering::Relaxed);
        if self.receive.ring.has_used() {
            let incoming = self.receive.discard().map_err(broken)?;
            tally.received_frames.fetch_add(incoming.frames, Ordering::Relaxed);
            tally.received_bytes.fetch_add(incoming.bytes.0, Ordering::Relaxed);
            if incoming.kick {
                let kick = &self.device.events(Queue::Receive).kick;
                kick.signal().map_err(|e| Error::call("write", "the kick eventfd", e))?;
            }
        }
        Ok(())
    }

    /// Frames that vhost has, or will get with the next [`Guest::publish`].
    pub fn in_flight(&self) -> u16 {
        self.transmit.ring.in_flight()
    }

    /// Waits until vhost has sent everything, asks for the next kick, and has left `handle_tx`:
    /// from then on a further kick means a further call.
    ///
    /// It polls and yields. If guest and worker share a CPU, the worker then runs until it sleeps,
    /// without being disturbed by a wake-up of the guest, and without the cost of a call that
    /// nobody else needs.
    ///
    /// # Errors
    /// vhost does not finish.
    pub fn settle(&mut self) -> Result<()> {
        let start = clock::now();
        let mut polls = 0_u32;
        while !self.transmit.ring.is_settled() {
            sched_yield();
            polls = polls.wrapping_add(1);
            if polls.is_multiple_of(1024) && clock::now().since(start) > PATIENCE {
                return Err(dead(self.in_flight()));
            }
        }
        // The used index and the event index may both have advanced while the worker is still on
        // its way out, where it checks again for new frames: it would serve the next one without a
        // separate call.
        self.device.await_handler(Queue::Transmit)
    }

    /// Sleeps until one of `until` happens or a frame comes in.
    ///
    /// # Errors
    /// vhost does not use anything although it was waited for; or the errno of ppoll(2).
    pub fn sleep(&mut self, until: Until<'_>) -> Result<()> {
        let due = until.used.is_some_and(|count| self.transmit.ring.call_after(count));
        if self.receive.ring.call_after(1) || due {
            return Ok(());
        }
        let limit = match (until.at, until.used) {
            (Some(at), _) => Some(at.since(clock::now())),
            (None, Some(_)) => Some(PATIENCE),
            (None, None) => None,
        };
        let woken = self.wait_for_calls(limit, until.bell)?;
        self.transmit.ring.no_calls();
        self.receive.ring.no_calls();
        if !woken && until.at.is_none() && !self.transmit.ring.has_used() {
            return Err(dead(self.in_flight()));
        }
        Ok(())
    }

    /// Whether it was woken, rather than reached the limit.
    fn wait_for_calls(&self, limit: Option<Nanos>, bell: Option<&Bell>) -> Result<bool> {
        let calls = [Queue::Transmit, Queue::Receive].map(|queue| &self.device.events(queue).call);
        let mut fds = vec![
            PollFd::from_borrowed_fd(calls[0].as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(calls[1].as_fd(), PollFlags::IN),
        ];
        fds.extend(bell.map(|bell| PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)));
        let limit = limit.map(timespec);
        let woken = match poll(&mut fds, limit.as_ref()) {
            Ok(count) => count > 0,
            Err(Errno::INTR) => true,
            Err(e) => return Err(Error::call("ppoll", "the call eventfds", e.into())),
        };
        for call in calls {
            call.clear().map_err(|e| Error::call("read", "the call eventfd", e))?;
        }
        Ok(woken)
    }
}

fn timespec(nanos: Nanos) -> Timespec {
    Timespec {
        tv_sec: (nanos.0 / 1_000_000_000).cast_signed(),
        tv_nsec: (nanos.0 % 1_000_000_000).cast_signed(),
    }
}

fn broken(error: RingError) -> Error {
    Error::Inconsistent(format!("vhost broke the virtqueue's protocol: {error}"))
}

fn dead(in_flight: u16) -> Error {
    Error::Inconsistent(format!(
        "vhost has not used any of {in_flight} frames in flight for {} s",
        PATIENCE.0 / 1_000_000_000
    ))
}
