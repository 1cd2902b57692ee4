//! Orders to a load.

use probe_core::model::scenario::Rate;

/// What guests and hogs must do from now on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orders {
    /// What each guest that sends offers.
    pub offered: Offered,
    /// Number of guests that send, the first ones; the others rest.
    pub senders: usize,
    /// Number of hogs that run.
    pub hogs: usize,
}

impl From<Offered> for Orders {
    /// All guests, no hogs.
    fn from(offered: Offered) -> Self {
        Self { offered, senders: usize::MAX, hogs: 0 }
    }
}

/// What a guest offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Offered {
    /// One frame at a time, each with its own kick, and the next one only after the call for the
    /// last has ended: as many calls of `handle_tx` as kicks.
    ClosedLoop {
        /// Number of kicks; then the guest rests.
        kicks: u64,
    },
    /// Frames at fixed times.
    Paced {
        /// Frames per second.
        rate: Rate,
        /// Most frames for one kick.
        batch: u16,
        /// So many frames are due together; 1 for each at its own time.
        per_kick: u16,
    },
    /// As many frames as the ring accepts.
    Saturated {
        /// Most frames for one kick.
        batch: u16,
    },
}
