//! What arrives at machine 2.

use std::{fs::File, os::unix::fs::FileExt as _};

use crate::{
    error::{Error, Result},
    kernel::netdev::NetDevices,
    model::{trial::Received, units::Bytes},
};

/// The receive counters of the sink's interface. A veth end counts a frame when its CPU's backlog has taken it, so a
/// frame that the backlog refuses is not in here.
///
/// They are read from sysfs, whose files stay open: no lock that configuration elsewhere could hold (an rtnetlink
/// request waits for the one rtnl lock), no message to parse.
#[derive(Debug)]
pub struct Sink {
    frames: File,
    bytes: File,
}

impl Sink {
    /// Watches `name`.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn open(devices: &NetDevices, name: &str) -> Result<Self> {
        Ok(Self {
            frames: devices.open(name, "statistics/rx_packets")?,
            bytes: devices.open(name, "statistics/rx_bytes")?,
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
}

fn number(file: &File, name: &str) -> Result<u64> {
    // Twenty digits and a line feed.
    let mut text = [0; 24];
    let length = file.read_at(&mut text, 0).map_err(|e| Error::file("read", name, e))?;
    let text = str::from_utf8(&text[..length]).unwrap_or_default().trim_end();
    text.parse().map_err(|_| Error::malformed(name, format!("`{text}` is no number")))
}
