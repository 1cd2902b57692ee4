//! A vhost-net device between guest memory and a TAP.

use std::{io, sync::Arc};

use probe_core::error::{Error, Result};
use vhost::{
    VhostBackend as _, VhostUserMemoryRegionInfo, VringConfigData, net::VhostNet as _,
    vhost_kern::net::Net,
};
use virtio_bindings::{
    virtio_config::VIRTIO_F_VERSION_1, virtio_net::VIRTIO_NET_F_MRG_RXBUF,
    virtio_ring::VIRTIO_RING_F_EVENT_IDX,
};
use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

use super::{ring::RingLayout, worker};
use crate::sys::{eventfd::Event, tun::Tap};

const PATH: &str = "/dev/vhost-net";

/// Bytes of `struct virtio_net_hdr_v1` before each frame.
pub const HEADER: u32 = 12;

/// The queues of a vhost-net device, by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// `VHOST_NET_VQ_RX`: the device fills buffers with frames for the guest.
    Receive = 0,
    /// `VHOST_NET_VQ_TX`: the device sends the guest's frames.
    Transmit = 1,
}

const QUEUES: [Queue; 2] = [Queue::Receive, Queue::Transmit];

/// How driver and device wake each other for one queue.
#[derive(Debug)]
pub struct QueueEvents {
    /// Driver to device: there is something available.
    pub kick: Event,
    /// Device to driver: something was used.
    pub call: Event,
}

/// A vhost device. The kernel's worker reads and writes the guest memory until the device is
/// dropped.
pub struct Device {
    // Before the TAP, which it uses as its backend; it has its own reference to the memory.
    vhost: Net<Arc<GuestMemoryMmap>>,
    tap: Tap,
    worker: u32,
    events: [QueueEvents; 2],
}

/// Whether a device can be opened here, and its worker found. It is owned briefly and transfers
/// nothing.
///
/// # Errors
/// The module or the privilege is missing; the worker is a kernel thread, and this process's PID
/// namespace hides it.
pub fn detect() -> Result<()> {
    let vhost = open(GuestMemoryMmap::new())?;
    own(&vhost).map(drop)
}

fn open(guest: GuestMemoryMmap) -> Result<Net<Arc<GuestMemoryMmap>>> {
    Net::new(Arc::new(guest)).map_err(|e| unopened(errno(e)))
}

/// Makes this process the owner, which starts the worker; returns the worker's thread id.
fn own(vhost: &Net<Arc<GuestMemoryMmap>>) -> Result<u32> {
    worker::spawned_by(|| vhost.set_owner().map_err(call("ioctl(VHOST_SET_OWNER)")))
}

impl Device {
    /// Opens a device with rings at `layouts` (receive, transmit) in `memory`, whose indices start
    /// at 0. It stays silent until [`Device::connect`].
    ///
    /// # Errors
    /// No /dev/vhost-net, not root, a feature that the kernel's vhost lacks.
    pub fn open(
        tap: Tap,
        memory: Arc<MmapRegion>,
        layouts: [&RingLayout; 2],
        event_idx: bool,
    ) -> Result<Self> {
        let region = VhostUserMemoryRegionInfo {
            guest_phys_addr: 0,
            memory_size: memory.size() as u64,
            userspace_addr: memory.as_ptr() as u64,
            mmap_offset: 0,
            mmap_handle: -1,
        };
        let guest = GuestRegionMmap::with_arc(memory, GuestAddress(0))
            .and_then(|region| GuestMemoryMmap::from_regions(vec![region]).ok())
            .ok_or_else(|| {
                Error::Inconsistent("guest memory must be one region at address 0".into())
            })?;
        let vhost = open(guest)?;
        let worker = own(&vhost)?;
        negotiate(&vhost, event_idx)?;
        vhost.set_mem_table(&[region]).map_err(call("ioctl(VHOST_SET_MEM_TABLE)"))?;
        let events = [QueueEvents::new()?, QueueEvents::new()?];
        for (queue, (layout, events)) in QUEUES.into_iter().zip(layouts.into_iter().zip(&events)) {
            configure(&vhost, queue, layout, events)?;
        }
        Ok(Self { vhost, tap, worker, events })
    }

    /// Sets the backend of both queues. The receive ring should be full by now.
    ///
    /// Setting a backend makes the worker call `handle_tx` once, since a TAP is always writable.
    /// That call has ended when this returns, so each later one belongs to a kick.
    /// # Errors
    /// The errno of `VHOST_NET_SET_BACKEND`.
    pub fn connect(&self) -> Result<()> {
        for queue in QUEUES {
            self.set_backend(queue, true)?;
        }
        self.flush()
    }

    /// Removes the backend from both queues; the worker no longer accesses the rings.
    ///
    /// # Errors
    /// The errno of `VHOST_NET_SET_BACKEND`; the other queue is still disconnected.
    pub fn disconnect(&self) -> Result<()> {
        QUEUES.map(|queue| self.set_backend(queue, false)).into_iter().collect()
    }

    /// Waits until the worker has done everything asked of it so far. This itself gives the worker
    /// something to do.
    ///
    /// # Errors
    /// The errno of `VHOST_SET_LOG_FD`.
    pub fn flush(&self) -> Result<()> {
        // There is no ioctl for it, but each one that concerns the whole device ends in
        // vhost_net_flush() (vhost_net_ioctl in drivers/vhost/net.c). This one removes a log file
        // that was never set.
        self.vhost.set_log_fd(-1).map_err(call("ioctl(VHOST_SET_LOG_FD)"))
    }

    /// Waits until the worker is outside the queue's handler, without giving it anything to do.
    ///
    /// # Errors
    /// The errno of `VHOST_GET_VRING_BASE`.
    pub fn await_handler(&self, queue: Queue) -> Result<()> {
        // The handler holds the queue's mutex from its first line to its last; so does this ioctl,
        // which only reads.
        self.vhost
            .get_vring_base(queue as usize)
            .map(drop)
            .map_err(call("ioctl(VHOST_GET_VRING_BASE)"))
    }

    /// The worker's thread id.
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The TAP.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// The events of `queue`.
    pub fn events(&self, queue: Queue) -> &QueueEvents {
        &self.events[queue as usize]
    }

    fn set_backend(&self, queue: Queue, connected: bool) -> Result<()> {
        let file = connected.then(|| self.tap.file());
        self.vhost.set_backend(queue as usize, file).map_err(call("ioctl(VHOST_NET_SET_BACKEND)"))
    }
}

impl QueueEvents {
    fn new() -> Result<Self> {
        let event = || Event::new().map_err(|e| Error::call("eventfd", PATH, e));
        Ok(Self { kick: event()?, call: event()? })
    }
}

fn negotiate(vhost: &Net<Arc<GuestMemoryMmap>>, event_idx: bool) -> Result<()> {
    let mut wanted = 1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_NET_F_MRG_RXBUF;
    if event_idx {
        wanted |= 1 << VIRTIO_RING_F_EVENT_IDX;
    }
    let offered = vhost.get_features().map_err(call("ioctl(VHOST_GET_FEATURES)"))?;
    let missing = wanted & !offered;
    if missing != 0 {
        return Err(Error::unsupported(
            PATH,
            format!("it lacks the virtio features {missing:#x} (it offers {offered:#x})"),
            "Run Linux 6.1 or newer",
        ));
    }
    vhost.set_features(wanted).map_err(call("ioctl(VHOST_SET_FEATURES)"))
}

fn configure(
    vhost: &Net<Arc<GuestMemoryMmap>>,
    queue: Queue,
    layout: &RingLayout,
    events: &QueueEvents,
) -> Result<()> {
    let index = queue as usize;
    let addresses = VringConfigData {
        queue_max_size: layout.size(),
        queue_size: layout.size(),
        flags: 0,
        desc_table_addr: layout.descriptors(),
        used_ring_addr: layout.used(),
        avail_ring_addr: layout.available(),
        log_addr: None,
    };
    vhost.set_vring_num(index, layout.size()).map_err(call("ioctl(VHOST_SET_VRING_NUM)"))?;
    vhost.set_vring_base(index, 0).map_err(call("ioctl(VHOST_SET_VRING_BASE)"))?;
    vhost.set_vring_addr(index, &addresses).map_err(call("ioctl(VHOST_SET_VRING_ADDR)"))?;
    vhost
        .set_vring_kick(index, events.kick.for_vhost())
        .map_err(call("ioctl(VHOST_SET_VRING_KICK)"))?;
    vhost
        .set_vring_call(index, events.call.for_vhost())
        .map_err(call("ioctl(VHOST_SET_VRING_CALL)"))
}

fn call(name: &'static str) -> impl Fn(vhost::Error) -> Error {
    move |e| Error::call(name, PATH, errno(e))
}

fn errno(error: vhost::Error) -> io::Error {
    match error {
        vhost::Error::VhostOpen(e) | vhost::Error::IoctlError(e) | vhost::Error::IOError(e) => e,
        other => io::Error::other(other.to_string()),
    }
}

fn unopened(error: io::Error) -> Error {
    // ENODEV, ENXIO: the node exists (udev creates it from the module's alias), but the module does
    // not.
    let missing = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::ENXIO));
    let error = Error::file("open", PATH, error);
    if missing {
        error.with_hint("Load the module: `modprobe vhost_net` (CONFIG_VHOST_NET)")
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_and_a_missing_right_name_their_hints() {
        let hint = |errno| unopened(io::Error::from_raw_os_error(errno)).to_string();
        for errno in [libc::ENOENT, libc::ENODEV, libc::ENXIO] {
            assert!(hint(errno).contains("`modprobe vhost_net`"), "{}", hint(errno));
        }
        assert!(hint(libc::EACCES).ends_with("Run as root"));
    }
}
