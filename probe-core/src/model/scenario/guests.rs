//! The load sources and the hogs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The load sources. A kind of guest ignores fields that do not apply to it, so that one scenario
/// can serve several kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guests {
    /// Kind of guest.
    pub kind: GuestKind,
    /// How many, each with its own vhost device and TAP. (`existing`: as many as are found.)
    pub count: usize,
    /// `blast`: Ethernet frame size in bytes, without the virtio-net header. Other kinds use it to
    /// convert a rate in frames to one in bits.
    pub frame: usize,
    /// `blast`, `bridge`: descriptors per ring, a power of two up to 32768.
    pub ring: u16,
    /// `blast`: most frames put into the ring before one kick, in paced and saturated trials.
    pub batch: u16,
    /// `blast`, `bridge`: whether VIRTIO_RING_F_EVENT_IDX is negotiated. Without it, a ring that is
    /// full of work gets needless kicks.
    pub event_idx: bool,
    /// `bridge`, `kvm`: whether checksums and segmentation are offloaded, so that one frame holds
    /// up to 64 KB.
    pub offloads: bool,
    /// `kvm`: virtual processors per VM, 1 or 2.
    pub vcpus: u32,
    /// `kvm`: pairs of queues per network card, each with its own vhost worker; at most one per
    /// virtual processor.
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
    /// A QEMU/KVM virtual machine that runs iperf3 and `yes`.
    Kvm,
    /// Virtual machines that already run, with whatever load they have.
    Existing,
}

impl GuestKind {
    /// Whether these guests send TCP with iperf3.
    pub fn speaks_tcp(self) -> bool {
        matches!(self, Self::Bridge | Self::Kvm)
    }
}

/// What a hog of the schedule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HogKind {
    /// Number of `yes` processes in a VM that becomes a hog, or of spinning threads of the device
    /// under test if guests are not VMs.
    pub threads: usize,
    /// Whether each hog stays on one CPU of the device under test instead of migrating: threads in
    /// turn, VMs in turn.
    pub pinned: bool,
}

impl Default for HogKind {
    fn default() -> Self {
        Self { threads: 1, pinned: false }
    }
}
