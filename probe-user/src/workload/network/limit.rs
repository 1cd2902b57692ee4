//! The link's capacity and each guest's share of it, as a tree of HTB classes where frames leave
//! the device under test.
//!
//! ```text
//! 1: ── 1:fffe the link ── 1:1 guest 0, always its part, at most its limit
//!                      └── 1:2 guest 1, …
//! ```
//! Without a limit of the link the guests' classes are side by side. A guest is identified by the
//! source address of its frames, so any protocol is limited; traffic back from the sink is not.
//!
//! A class queues as many bytes as an interface's queue of full frames (1000), so that offloaded
//! frames of 64 KiB do not make a deeper queue than others.

use std::sync::Mutex;

use probe_core::{
    error::Result,
    model::scenario::{BitRate, Link as Capacity, Network},
};

use crate::kernel::netlink::{Class, Interface, Netlink};
use crate::workload::addresses::{MAX_GUESTS, guest_mac};

/// The link's class; below it the guests', from 1.
const LINK: u16 = 0xfffe;

/// `DEFAULT_TX_QUEUE_LEN` of linux/netdevice.h.
const QUEUED_FRAMES: u32 = 1000;

/// Bytes of a frame that are not part of its MTU.
const HEADER: u32 = 14;

/// Limits of the cable; `None` means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// For all guests together.
    pub link: Option<BitRate>,
    /// For each guest.
    pub guest: Option<BitRate>,
}

impl Limits {
    /// The limits in `plan`. A share that is yet to be measured is not a limit.
    pub fn of(plan: &Network) -> Self {
        let link = match plan.link {
            Some(Capacity::Rate(rate)) => Some(rate),
            Some(Capacity::Share(_)) | None => None,
        };
        Self { link, guest: plan.guest_limit }
    }
}

/// The egress of the uplink.
#[derive(Debug)]
pub(super) struct Limiter {
    guests: usize,
    uplink: String,
    index: u32,
    mtu: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    links: Netlink,
    is_limited: bool,
    /// Frames dropped by trees that have been removed.
    dropped: u64,
}

impl Limiter {
    /// Looks after `uplink` in the namespace of `links`; limits nothing yet.
    pub(super) fn new(links: Netlink, guests: usize, uplink: Interface<'_>, mtu: u32) -> Self {
        let state = Mutex::new(State { links, is_limited: false, dropped: 0 });
        Self { guests, uplink: uplink.name.into(), index: uplink.index, mtu, state }
    }

    /// Sets these limits. Queued frames are dropped, and count as such: call it between loads.
    ///
    /// # Errors
    /// The kernel has no HTB or no u32 classifier.
    pub(super) fn set(&self, limits: Limits) -> Result<()> {
        let classes = classes(self.guests, limits);
        let mut state = self.state();
        let link = self.link();
        if state.is_limited {
            let last = state.links.backlog(link)?;
            state.links.delete_tree(link)?;
            state.is_limited = false;
            state.dropped += last.dropped + last.waiting;
        }
        if classes.is_empty() {
            return Ok(());
        }
        let links = &mut state.links;
        links.add_tree(link)?;
        let built = classes.into_iter().try_for_each(|class| {
            let guest = class.id.checked_sub(1).filter(|&guest| usize::from(guest) < MAX_GUESTS);
            let queue = guest.map(|_| QUEUED_FRAMES.saturating_mul(self.mtu + HEADER));
            links.add_class(link, class, queue)?;
            guest.map_or(Ok(()), |guest| links.classify(link, guest_mac(guest), class.id))
        });
        if built.is_err() {
            let _ = links.delete_tree(link);
        }
        state.is_limited = built.is_ok();
        built
    }

    /// Frames for which there was no room since it was created.
    ///
    /// # Errors
    /// The kernel does not report it.
    pub(super) fn dropped(&self) -> Result<u64> {
        let mut state = self.state();
        match state.is_limited {
            true => Ok(state.dropped + state.links.backlog(self.link())?.dropped),
            false => Ok(state.dropped),
        }
    }

    fn link(&self) -> Interface<'_> {
        Interface { name: &self.uplink, index: self.index }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The tree's classes, each after its parent.
fn classes(guests: usize, limits: Limits) -> Vec<Class> {
    let bytes = |limit: Option<BitRate>| limit.map(|limit| limit.bytes_per_second().max(1));
    let (link, guest) = (bytes(limits.link), bytes(limits.guest));
    let mut classes = Vec::new();
    if let Some(rate) = link {
        classes.push(Class { id: LINK, above: 0, rate, ceil: rate });
    }
    let Some(ceil) = [link, guest].into_iter().flatten().min() else { return classes };
    // The guaranteed rates of classes must not add up to more than the link's.
    let part = link.map_or(ceil, |link| (link / guests.max(1) as u64).clamp(1, ceil));
    let above = if link.is_some() { LINK } else { 0 };
    let guests = 1..=u16::try_from(guests).unwrap_or(u16::MAX);
    classes.extend(guests.map(|id| Class { id, above, rate: part, ceil }));
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(id: u16, above: u16, rate: u64, ceil: u64) -> Class {
        Class { id, above, rate, ceil }
    }

    #[test]
    fn guests_share_the_link_and_none_gets_more_than_its_limit() {
        let rate = |bits: Option<f64>| bits.and_then(BitRate::new);
        let limits = |link, guest| classes(2, Limits { link: rate(link), guest: rate(guest) });
        assert_eq!(limits(None, None), []);
        assert_eq!(limits(None, Some(80.0)), [class(1, 0, 10, 10), class(2, 0, 10, 10)]);
        let link = class(LINK, 0, 100, 100);
        let shared = [link, class(1, LINK, 50, 100), class(2, LINK, 50, 100)];
        assert_eq!(limits(Some(800.0), None), shared);
        let limited = [link, class(1, LINK, 10, 10), class(2, LINK, 10, 10)];
        assert_eq!(limits(Some(800.0), Some(80.0)), limited);
        // A guest's limit above the link's has no effect.
        assert_eq!(limits(Some(80.0), Some(800.0))[1], class(1, LINK, 5, 10));
        // The kernel does not accept a rate of 0.
        assert_eq!(limits(Some(1.0), None)[1], class(1, LINK, 1, 1));
    }
}
