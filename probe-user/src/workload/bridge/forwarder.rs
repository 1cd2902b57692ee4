//! Connects a guest's TAP to its rings, like a guest's virtio-net driver.

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use probe_core::{
    error::{Error, Result},
    model::{
        scenario::Guests,
        trial::{Received, Sent},
        units::Bytes,
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use vm_memory::ReadVolatile as _;

use crate::{
    sys::{eventfd::Event, tun::Tap},
    workload::{
        blast::frame,
        network::mtu,
        vhost::{
            device::{Device, Queue},
            relay::{Added, Inbound, Outbound, broken},
        },
    },
};

/// An IP packet of the greatest size, with its Ethernet header.
const LONGEST: usize = 65_535 + frame::HEADER;

/// Least number of descriptors for frames of 64 KB: one frame takes 33 receive buffers, and vhost
/// waits until it has all of them.
const LEAST_FOR_OFFLOADS: u16 = 64;

/// If vhost leaves a buffer unused for this many seconds, it counts as dead.
const PATIENCE: i64 = 10;

/// What was forwarded, readable meanwhile.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kicks: AtomicU64,
    sent: [AtomicU64; 2],
    received: [AtomicU64; 2],
    dropped: AtomicU64,
}

impl Tally {
    /// What vhost took.
    pub(super) fn sent(&self) -> Sent {
        let [frames, bytes] = self.sent.each_ref().map(|count| count.load(Ordering::Relaxed));
        Sent { kicks: Some(self.kicks.load(Ordering::Relaxed)), frames, bytes: Bytes(bytes) }
    }

    /// What the guest received.
    pub(super) fn received(&self) -> Received {
        let [frames, bytes] = self.received.each_ref().map(|count| count.load(Ordering::Relaxed));
        Received { frames, bytes: Bytes(bytes) }
    }

    /// Frames in either direction that could not be forwarded: too long, or refused by the guest's
    /// TAP.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Tells a TAP forwarder to end.
#[derive(Debug)]
pub(super) struct Stop {
    due: AtomicBool,
    wake: Event,
}

impl Stop {
    pub(super) fn new() -> Result<Self> {
        let wake = Event::new().map_err(|e| Error::call("eventfd", "the load", e))?;
        Ok(Self { due: AtomicBool::new(false), wake })
    }

    /// Tells it now. The event is never cleared: it wakes every TAP forwarder.
    pub(super) fn now(&self) -> Result<()> {
        self.due.store(true, Ordering::Relaxed);
        self.wake.signal().map_err(|e| Error::call("write", "the load's eventfd", e))
    }
}

/// One guest's device, driver and TAP.
pub(super) struct TapForwarder {
    device: Device,
    outbound: Outbound,
    inbound: Inbound,
    own: Tap,
}

impl TapForwarder {
    /// Creates it between the guest's `own` TAP and the vhost device on `tap`, connected.
    ///
    /// # Errors
    /// An invalid ring, or one too small for offloads; as [`Device::open`] and [`Device::connect`].
    pub(super) fn new(tap: Tap, own: Tap, spec: &Guests) -> Result<Self> {
        if spec.offloads && spec.ring < LEAST_FOR_OFFLOADS {
            let hint = format!("Use {LEAST_FOR_OFFLOADS} or more, or offloads = false");
            let why = format!("{} descriptors cannot hold a frame of 64 KB", spec.ring);
            return Err(Error::invalid("guests.ring", why, hint));
        }
        let longest =
            if spec.offloads { LONGEST } else { mtu(spec.frame) as usize + frame::HEADER };
        let plan = Outbound::plan(spec.ring, longest).ok_or_else(|| {
            let why = format!("{} descriptors", spec.ring);
            Error::invalid("guests.ring", why, "Use a power of two up to 32768")
        })?;
        if spec.offloads {
            tap.offload()?;
        }
        let memory = plan.map()?;
        let outbound = Outbound::new(&memory, &plan, spec.event_idx, longest)?;
        let inbound = Inbound::new(&memory, &plan, spec.event_idx)?;
        let device = Device::open(tap, memory, plan.layouts(), spec.event_idx)?;
        device.connect()?;
        Ok(Self { device, outbound, inbound, own })
    }

    /// The vhost worker's thread id.
    pub(super) fn worker(&self) -> u32 {
        self.device.worker()
    }

    /// Disconnects the device and closes it.
    ///
    /// # Errors
    /// The kernel refuses; the device is closed all the same.
    pub(super) fn close(self) -> Result<()> {
        self.device.disconnect()
    }

    /// Forwards until `stop`, and then what is in flight.
    ///
    /// # Errors
    /// vhost broke the protocol or does not use anything; or the errno of a system call.
    pub(super) fn carry(&mut self, stop: &Stop, tally: &Tally) -> Result<()> {
        while !stop.due.load(Ordering::Relaxed) {
            let moved = self.receive(tally)? | self.reclaim(tally)? | self.transmit(tally)?;
            if !moved {
                self.sleep(Some(stop))?;
            }
        }
        self.reclaim(tally)?;
        while self.outbound.ring.in_flight() > 0 {
            self.sleep(None)?;
            self.reclaim(tally)?;
        }
        self.device.await_handler(Queue::Transmit)
    }

    /// Puts all waiting frames into the ring, as far as there is room, and kicks once for all of
    /// them, like a driver that knows of more to come (`netdev_xmit_more`). Returns whether there
    /// were any.
    fn transmit(&mut self, tally: &Tally) -> Result<bool> {
        let mut source = self.own.file();
        let failed = |e: io::Error| Error::call("read", self.own.name(), e);
        let mut moved = false;
        loop {
            match self.outbound.add(|to| source.read_volatile(to)).map_err(failed)? {
                Added::Frame => moved = true,
                Added::Refused => _ = tally.dropped.fetch_add(1, Ordering::Relaxed),
                Added::None | Added::Full => break,
            }
        }
        if moved && self.outbound.ring.publish() {
            self.kick(Queue::Transmit)?;
            tally.kicks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(moved)
    }

    /// Takes back what vhost has sent; returns whether there was any.
    fn reclaim(&mut self, tally: &Tally) -> Result<bool> {
        let sent = self.outbound.reclaim().map_err(broken)?;
        tally.sent[0].fetch_add(sent.frames, Ordering::Relaxed);
        tally.sent[1].fetch_add(sent.bytes, Ordering::Relaxed);
        Ok(sent.frames > 0)
    }

    /// Passes incoming frames to the guest; returns whether there were any.
    fn receive(&mut self, tally: &Tally) -> Result<bool> {
        if !self.inbound.ring.has_used() {
            return Ok(false);
        }
        let own = &self.own;
        let kick = self.inbound.drain(|frame| write(own, frame, tally))?;
        if kick {
            self.kick(Queue::Receive)?;
        }
        Ok(true)
    }

    fn kick(&self, queue: Queue) -> Result<()> {
        let kick = &self.device.events(queue).kick;
        kick.signal().map_err(|e| Error::call("write", "the kick eventfd", e))
    }

    /// Sleeps until a frame can be forwarded in either direction, most of what is in flight has
    /// been sent (`virtqueue_enable_cb_delayed`), or `stop`. Without `stop` it waits for everything
    /// in flight.
    fn sleep(&mut self, stop: Option<&Stop>) -> Result<()> {
        let in_flight = self.outbound.ring.in_flight();
        let part = if stop.is_some() { u32::from(in_flight) * 3 / 4 } else { in_flight.into() };
        let sent = in_flight > 0 && self.outbound.ring.call_after(part.max(1) as u16);
        // When it is time to end, no more frames are received.
        if sent || stop.is_some() && self.inbound.ring.call_after(1) {
            return Ok(());
        }
        let woken = self.wait(stop, in_flight > 0)?;
        self.outbound.ring.no_calls();
        self.inbound.ring.no_calls();
        if !woken && !self.outbound.ring.has_used() {
            return Err(Error::Inconsistent(format!(
                "vhost has not used any of {in_flight} frames in flight for {PATIENCE} s"
            )));
        }
        Ok(())
    }

    /// Whether it was woken, rather than reached the limit.
    fn wait(&self, stop: Option<&Stop>, limited: bool) -> Result<bool> {
        let calls = [Queue::Transmit, Queue::Receive].map(|queue| &self.device.events(queue).call);
        let mut fds: Vec<_> = calls
            .iter()
            .map(|call| PollFd::from_borrowed_fd(call.as_fd(), PollFlags::IN))
            .collect();
        if let Some(stop) = stop {
            fds.push(PollFd::from_borrowed_fd(stop.wake.as_fd(), PollFlags::IN));
            if self.outbound.ring.free() > 0 {
                fds.push(PollFd::from_borrowed_fd(self.own.file().as_fd(), PollFlags::IN));
            }
        }
        let limit = limited.then_some(Timespec { tv_sec: PATIENCE, tv_nsec: 0 });
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

/// Passes a frame to the guest. If its TAP refuses it, the frame is dropped, as by a network card
/// without memory.
fn write(own: &Tap, frame: &[u8], tally: &Tally) -> Result<()> {
    match own.file().write(frame) {
        Ok(_) => {
            let bytes = frame.len() as u64 - u64::from(crate::workload::vhost::device::HEADER);
            tally.received[0].fetch_add(1, Ordering::Relaxed);
            tally.received[1].fetch_add(bytes, Ordering::Relaxed);
        }
        Err(e) => match e.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOMEM | libc::ENOBUFS | libc::EINVAL) => {
                tally.dropped.fetch_add(1, Ordering::Relaxed);
            }
            _ => return Err(Error::call("write", own.name(), e)),
        },
    }
    Ok(())
}
