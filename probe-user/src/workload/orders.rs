//! What a load is told to do.

use probe_core::model::scenario::Rate;

/// What guests and hogs are to do from now on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orders {
    /// What each guest that sends offers.
    pub offered: Offered,
    /// The first so many guests send, the others rest.
    pub senders: usize,
    /// So many hogs run.
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
    /// One frame at a time, each with a kick of its own, and the next only when the call for the
    /// last has ended: as many calls of `handle_tx` as kicks.
    ClosedLoop {
        /// How many; then the guest rests.
        kicks: u64,
    },
    /// Frames at fixed times.
    Paced {
        /// How many per second.
        rate: Rate,
        /// Most frames for one kick.
        batch: u16,
    },
    /// As many frames as the ring takes.
    Saturated {
        /// Most frames for one kick.
        batch: u16,
    },
}
