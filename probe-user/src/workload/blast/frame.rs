//! The frames that a guest without a VM sends.
//!
//! Their EtherType is the first of the two that IEEE 802 reserves for local experiments. No kernel
//! has a handler for it, so the sink drops a frame right after its interface has counted it, and
//! never answers, whatever forwarding, ICMP or firewall settings a new namespace inherits from its
//! host.

use probe_core::model::units::Nanos;

use crate::kernel::netdev::Mac;

/// IEEE 802 Local Experimental EtherType 1.
const ETHERTYPE: u16 = 0x88b5;

/// The start of the payload.
const MAGIC: [u8; 4] = *b"toll";

/// Offset of the stamp: after the addresses, EtherType, magic and the guest's number.
pub const STAMP_AT: usize = 6 + 6 + 2 + 4 + 2;

/// Shortest frame: Ethernet's minimum without checksum.
pub const MIN: usize = 60;

/// Longest frame: the largest MTU of a TAP (`MAX_MTU - dev->hard_header_len`, drivers/net/tun.c),
/// plus the header.
pub const MAX: usize = 65_535;

/// Bytes of a frame that are not part of its MTU.
pub const HEADER: usize = 14;

/// The data in each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its number among its guest's frames, from 0.
    pub sequence: u64,
    /// When it was due, on `CLOCK_MONOTONIC`; without a schedule, when it was sent.
    pub scheduled: Nanos,
}

impl Stamp {
    /// Its representation in the frame, in network byte order.
    pub fn to_words(self) -> [u64; 2] {
        [self.sequence.to_be(), self.scheduled.0.to_be()]
    }
}

/// A frame of `len` bytes from guest number `guest`, with an empty stamp.
pub fn template(len: usize, to: Mac, from: Mac, guest: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(len);
    frame.extend(to.0);
    frame.extend(from.0);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(MAGIC);
    frame.extend(guest.to_be_bytes());
    frame.resize(len, 0);
    frame
}

/// Guest and stamp of one of our frames; `None` for any other frame.
pub fn parse(frame: &[u8]) -> Option<(u16, Stamp)> {
    let payload = frame.get(12..)?.strip_prefix(&ETHERTYPE.to_be_bytes())?.strip_prefix(&MAGIC)?;
    let (guest, payload) = payload.split_first_chunk()?;
    let (sequence, payload) = payload.split_first_chunk()?;
    let (scheduled, _) = payload.split_first_chunk()?;
    let stamp = Stamp {
        sequence: u64::from_be_bytes(*sequence),
        scheduled: Nanos(u64::from_be_bytes(*scheduled)),
    };
    Some((u16::from_be_bytes(*guest), stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_frame_reads_back() {
        let mut frame = template(MIN, Mac([2; 6]), Mac([4; 6]), 7);
        assert_eq!((frame.len(), &frame[..6], &frame[6..12]), (MIN, &[2; 6][..], &[4; 6][..]));
        let stamp = Stamp { sequence: 1 << 40, scheduled: Nanos(123_456_789) };
        for (word, at) in stamp.to_words().into_iter().zip([STAMP_AT, STAMP_AT + 8]) {
            frame[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        assert_eq!(parse(&frame), Some((7, stamp)));
    }

    #[test]
    fn foreign_and_short_frames_are_not_ours() {
        let frame = template(MIN, Mac([2; 6]), Mac([4; 6]), 0);
        assert_eq!(parse(&frame[..STAMP_AT + 15]), None);
        let mut ip = frame;
        ip[12..14].copy_from_slice(&[8, 0]);
        assert_eq!(parse(&ip), None);
    }
}
