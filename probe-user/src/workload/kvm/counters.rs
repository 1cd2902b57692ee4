//! What has gone through a guest's TAP.

use std::{fs::File, os::unix::fs::FileExt as _};

use crate::{
    error::{Error, Result},
    kernel::netdev::NetDevices,
    model::{
        trial::{Received, Sent},
        units::Bytes,
    },
};

/// A TAP's counters, seen from machine 1: what it receives is what its guest sent. A frame of up to 64 KB that the guest
/// leaves to be segmented is one frame.
#[derive(Debug)]
pub(super) struct Counters {
    rx: [File; 2],
    tx: [File; 2],
}

impl Counters {
    pub(super) fn open(devices: &NetDevices, tap: &str) -> Result<Self> {
        let open = |name: &str| devices.open(tap, &format!("statistics/{name}"));
        Ok(Self {
            rx: [open("rx_packets")?, open("rx_bytes")?],
            tx: [open("tx_packets")?, open("tx_bytes")?],
        })
    }

    pub(super) fn sent(&self) -> Result<Sent> {
        let [frames, bytes] = read(&self.rx)?;
        Ok(Sent { kicks: None, frames, bytes: Bytes(bytes) })
    }

    pub(super) fn received(&self) -> Result<Received> {
        let [frames, bytes] = read(&self.tx)?;
        Ok(Received { frames, bytes: Bytes(bytes) })
    }
}

fn read([packets, bytes]: &[File; 2]) -> Result<[u64; 2]> {
    Ok([number(packets)?, number(bytes)?])
}

/// Reads a counter's file again.
fn number(file: &File) -> Result<u64> {
    // Twenty digits and a line feed.
    let mut text = [0; 24];
    let failed = |e| Error::file("read", "the statistics of a TAP", e);
    let length = file.read_at(&mut text, 0).map_err(failed)?;
    let text = str::from_utf8(&text[..length]).unwrap_or_default().trim_end();
    text.parse().map_err(|_| Error::malformed("the statistics of a TAP", format!("`{text}`")))
}
