//! What arrives at machine 2.

use std::{fs::File, os::unix::fs::FileExt as _};

use crate::{
    error::{Error, Result},
    kernel::netdev::NetDevices,
    model::{trial::Received, units::Bytes},
};

/// The counters at both ends of the cable to machine 2.
///
/// The sink's interface counts a frame when its CPU's backlog takes it. A backlog that holds `net.core.netdev_max_backlog`
/// frames already, since its CPU did not get to them, refuses more; those count at the near end. So frames received and
/// frames refused are together what guests sent, to the frame.
///
/// They are read from sysfs, whose files stay open: no lock that configuration elsewhere could hold (an rtnetlink
/// request waits for the one rtnl lock), no message to parse.
#[derive(Debug)]
pub struct Sink {
    frames: File,
    bytes: File,
    refused: File,
}

impl Sink {
    /// Watches the cable from `near` on machine 1 to `far` on machine 2.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn open(near: (&NetDevices, &str), far: (&NetDevices, &str)) -> Result<Self> {
        Ok(Self {
            frames: far.0.open(far.1, "statistics/rx_packets")?,
            bytes: far.0.open(far.1, "statistics/rx_bytes")?,
            refused: near.0.open(near.1, "statistics/tx_dropped")?,
        })
    }

    /// What has arrived since the interface began. The two counters are read one after the other, bytes first.
    ///
    /// # Errors
    /// The interface is gone (`EINVAL`).
    pub fn read(&self) -> Result<Received> {
        let bytes = Bytes(number(&self.bytes, "rx_bytes")?);
        Ok(Received { frames: number(&self.frames, "rx_packets")?, bytes })
    }

    /// Frames that machine 2 had no room for.
    ///
    /// # Errors
    /// The interface is gone (`EINVAL`).
    pub fn refused(&self) -> Result<u64> {
        number(&self.refused, "tx_dropped")
    }
}

/// Reads a counter's file again.
///
/// # Errors
/// The interface is gone (`EINVAL`).
pub(super) fn number(file: &File, name: &str) -> Result<u64> {
    // Twenty digits and a line feed.
    let mut text = [0; 24];
    let length = file.read_at(&mut text, 0).map_err(|e| Error::file("read", name, e))?;
    let text = str::from_utf8(&text[..length]).unwrap_or_default().trim_end();
    text.parse().map_err(|_| Error::malformed(name, format!("`{text}` is no number")))
}
