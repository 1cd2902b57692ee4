//! The load sources and the hogs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The load sources. Fields that mean nothing to a kind of guest are left alone by it, so that one
/// scenario serves several kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guests {
    /// Kind of guest.
    pub kind: GuestKind,
    /// How many, each with a vhost device and a TAP of its own. (`existing`: as many as are found.)
    pub count: usize,
    /// `blast`: Ethernet frame size in bytes, without the virtio-net header. Elsewhere it turns a
    /// rate in frames into one in bits.
    pub frame: usize,
    /// `blast`, `bridge`: descriptors per ring, a power of two up to 32768.
    pub ring: u16,
    /// `blast`: most frames put into the ring before one kick, paced and saturated.
    pub batch: u16,
    /// `blast`, `bridge`: whether VIRTIO_RING_F_EVENT_IDX is negotiated; without it a ring that is
    /// full of work is kicked for nothing.
    pub event_idx: bool,
    /// `bridge`, `kvm`: whether checksums and segmentation are left to the other side, so that one
    /// frame holds up to 64 KB.
    pub offloads: bool,
    /// `kvm`: virtual processors per VM, 1 or 2.
    pub vcpus: u32,
    /// `kvm`: pairs of queues per network card, each with a vhost worker of its own; at most one
    /// per virtual processor.
    pub queues: u32,
    /// `kvm`: memory per VM in MiB.
    pub memory_mib: u32,
    /// `kvm`: whether that memory is taken from the host's reserved huge pages of 2 MiB, all of it
    /// before the VM boots.
    pub huge_pages: bool,
    /// `kvm`: folder with the VMs' kernel and initramfs, as `tracetoll run --install` builds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
}

impl Default for Guests {
    fn default() -> Self {
        Self {
            kind: GuestKind::Blast,
            count: 1,
            frame: 1514,
            ring: 256,
            batch: 64,
            event_idx: true,
            offloads: true,
            vcpus: 1,
            queues: 1,
            memory_mib: 192,
            huge_pages: false,
            image: None,
        }
    }
}

/// Kind of load source.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum GuestKind {
    /// A user-space virtio driver that fills the TX ring itself.
    Blast,
    /// A network namespace whose TAP is carried over the vhost rings: iperf3 over TCP without a VM.
    Bridge,
    /// A QEMU/KVM virtual machine with iperf3 and `yes` in it.
    Kvm,
    /// Virtual machines that run already, with whatever load they have.
    Existing,
}

impl GuestKind {
    /// Whether such guests send TCP by iperf3.
    pub fn speaks_tcp(self) -> bool {
        matches!(self, Self::Bridge | Self::Kvm)
    }
}

/// What a hog of the schedule is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HogKind {
    /// Processes `yes` in the VM that becomes a hog, or spinning threads of the device under test
    /// where guests have no VM.
    pub threads: usize,
    /// Whether each keeps to one CPU of the device under test instead of wandering: threads in
    /// turn, VMs in turn.
    pub pinned: bool,
}

impl Default for HogKind {
    fn default() -> Self {
        Self { threads: 1, pinned: false }
    }
}
