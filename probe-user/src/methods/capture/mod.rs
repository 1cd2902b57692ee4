//! Packet sockets on the guests' TAPs: frames represent the calls that carried them.
//!
//! Frames show that `handle_tx` took them, when the bridge got them, and their length. They do not
//! show the number of calls (one call takes 1 to 255 frames and more), calls that found an empty
//! ring, polling, or any part of `handle_rx` other than frames towards the guest, which these
//! methods ignore.

pub mod frames;
pub mod pcap;

use self::frames::{Capture, Kept};
use super::entry::Entry;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain("capture-headers", |options| Ok(Box::new(Capture::take(Kept::Headers, options)?))),
    Entry::plain("capture-full", |options| Ok(Box::new(Capture::take(Kept::Whole, options)?))),
];
