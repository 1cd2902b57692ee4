//! Packet sockets on the guests' TAPs: frames stand for the calls that carried them.
//!
//! What frames tell of vhost: that `handle_tx` took them, when the bridge got them, and how long
//! they were. What they do not tell: how many calls it took (one call takes 1 to 255 frames and
//! more), calls that found an empty ring, polling, and everything of `handle_rx` that is not a
//! frame towards the guest, which these methods do not look at.

pub mod frames;
pub mod pcap;

use self::frames::{Capture, Kept};
use super::entry::Entry;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain("capture-headers", |options| Ok(Box::new(Capture::take(Kept::Headers, options)?))),
    Entry::plain("capture-full", |options| Ok(Box::new(Capture::take(Kept::Whole, options)?))),
];
