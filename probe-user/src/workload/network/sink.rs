//! What arrives at the sink.

use std::{fs::File, os::unix::fs::FileExt as _, sync::Arc};

use probe_core::{
    error::{Error, Result},
    model::{
        trial::{CountedAt, Received},
        units::Bytes,
    },
};

use super::{limit::Limiter, ovs::Datapath};
use crate::kernel::netdev::NetDevices;

/// Where traffic is counted.
#[derive(Debug)]
pub struct Sink(Meters);

#[derive(Debug)]
enum Meters {
    Cable(Box<Cable>),
    Taps(Vec<Counters>),
}

/// The counters at both ends of the cable to the sink, since the network was built.
///
/// The sink's interface counts a frame when its CPU's backlog takes it. If the backlog already has
/// `net.core.netdev_max_backlog` frames, because the CPU was too slow, it refuses more; those are
/// counted at the near end. On the way there, frames are lost only if a limit's queue or Open
/// vSwitch has no room for them, and both count that. So frames received and frames refused
/// together are exactly what guests sent.
///
/// The interfaces' counters are read from sysfs, whose files stay open: without a lock that
/// configuration elsewhere could hold (an rtnetlink request waits for the one rtnl lock), and
/// without a message to parse.
#[derive(Debug)]
struct Cable {
    received: Counters,
    refused: Counter,
    limiter: Arc<Limiter>,
    datapath: Option<Datapath>,
    /// What `datapath` had lost when the network was built.
    lost: u64,
}

impl Sink {
    /// Counts at the cable from `near` on the device under test to `far` on the sink, and what
    /// frames pass on the way.
    ///
    /// # Errors
    /// There is no such interface.
    pub(super) fn open(
        near: (&NetDevices, &str),
        far: (&NetDevices, &str),
        limiter: Arc<Limiter>,
        datapath: Option<Datapath>,
    ) -> Result<Self> {
        let received = Counters::open(far, Way::Received)?;
        let refused = Counter::open(near, "tx_dropped")?;
        let cable = Cable { received, refused, limiter, datapath, lost: 0 };
        Ok(Self(Meters::Cable(Box::new(cable))))
    }

    /// For a sink that is not ours: counts what guests' TAPs sent, since the interfaces were
    /// created.
    pub(in crate::workload) fn of_taps(taps: Vec<Counters>) -> Self {
        Self(Meters::Taps(taps))
    }

    /// Counts from now on.
    pub(super) fn begin(&mut self) -> Result<()> {
        let Meters::Cable(cable) = &mut self.0 else { return Ok(()) };
        let Counters { frames, bytes } = &mut cable.received;
        for counter in [frames, bytes, &mut cable.refused] {
            counter.begin()?;
        }
        cable.lost = cable.datapath.as_ref().map_or(Ok(0), Datapath::lost)?;
        Ok(())
    }

    /// Where it counts.
    pub fn counted_at(&self) -> CountedAt {
        match self.0 {
            Meters::Cable(_) => CountedAt::Sink,
            Meters::Taps(_) => CountedAt::Tap,
        }
    }

    /// What has arrived. The two counters are read one after the other, bytes first.
    ///
    /// # Errors
    /// The interface is gone (`EINVAL`).
    pub fn read(&self) -> Result<Received> {
        match &self.0 {
            Meters::Cable(cable) => cable.received.read(),
            Meters::Taps(taps) => taps.iter().try_fold(Received::default(), |all, tap| {
                let one = tap.read()?;
                let bytes = Bytes(all.bytes.0 + one.bytes.0);
                Ok(Received { frames: all.frames + one.frames, bytes })
            }),
        }
    }

    /// Frames for which the sink, or something on the way to it, had no room.
    ///
    /// # Errors
    /// The interface is gone (`EINVAL`), or a queue or the switch does not report it.
    pub fn refused(&self) -> Result<u64> {
        let Meters::Cable(cable) = &self.0 else { return Ok(0) };
        let lost = cable.datapath.as_ref().map_or(Ok(0), Datapath::lost)? - cable.lost;
        Ok(cable.refused.read()? + cable.limiter.dropped()? + lost)
    }
}

/// Frames and bytes in one direction of an interface.
#[derive(Debug)]
pub(in crate::workload) struct Counters {
    frames: Counter,
    bytes: Counter,
}

/// A direction, as the interface sees it.
#[derive(Debug, Clone, Copy)]
pub(in crate::workload) enum Way {
    Received,
    Sent,
}

impl Counters {
    /// Opens those of this interface.
    ///
    /// # Errors
    /// There is no such interface.
    pub(in crate::workload) fn open(interface: (&NetDevices, &str), way: Way) -> Result<Self> {
        let (frames, bytes) = match way {
            Way::Received => ("rx_packets", "rx_bytes"),
            Way::Sent => ("tx_packets", "tx_bytes"),
        };
        Ok(Self {
            frames: Counter::open(interface, frames)?,
            bytes: Counter::open(interface, bytes)?,
        })
    }

    /// Reads them, bytes first.
    ///
    /// # Errors
    /// The interface is gone (`EINVAL`).
    pub(in crate::workload) fn read(&self) -> Result<Received> {
        let bytes = Bytes(self.bytes.read()?);
        Ok(Received { frames: self.frames.read()?, bytes })
    }
}

/// Both directions of a guest's TAP, from the interface's point of view: it receives what its guest
/// sent. A frame of up to 64 KB that the guest leaves to be segmented is one frame.
#[derive(Debug)]
pub(in crate::workload) struct TapCounters {
    pub(in crate::workload) from_guest: Counters,
    pub(in crate::workload) to_guest: Counters,
}

impl TapCounters {
    /// Opens those of this interface.
    ///
    /// # Errors
    /// There is no such interface.
    pub(in crate::workload) fn open(interface: (&NetDevices, &str)) -> Result<Self> {
        Ok(Self {
            from_guest: Counters::open(interface, Way::Received)?,
            to_guest: Counters::open(interface, Way::Sent)?,
        })
    }
}

/// A counter of an interface, relative to its start.
#[derive(Debug)]
pub(super) struct Counter {
    file: File,
    name: &'static str,
    began_at: u64,
}

impl Counter {
    /// Opens a counter of this interface.
    ///
    /// # Errors
    /// There is no such interface or counter.
    pub(super) fn open(
        (devices, interface): (&NetDevices, &str),
        name: &'static str,
    ) -> Result<Self> {
        let file = devices.open(interface, &format!("statistics/{name}"))?;
        Ok(Self { file, name, began_at: 0 })
    }

    /// Counts from now on.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.began_at += self.read()?;
        Ok(())
    }

    /// # Errors
    /// The interface is gone (`EINVAL`).
    pub(super) fn read(&self) -> Result<u64> {
        // Twenty digits and a line feed.
        let mut text = [0; 24];
        let length =
            self.file.read_at(&mut text, 0).map_err(|e| Error::file("read", self.name, e))?;
        let text = str::from_utf8(&text[..length]).unwrap_or_default().trim_end();
        let number: u64 = text
            .parse()
            .map_err(|_| Error::malformed(self.name, format!("`{text}` is not a number")))?;
        Ok(number - self.began_at)
    }
}
