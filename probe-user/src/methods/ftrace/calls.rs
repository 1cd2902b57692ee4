//! Converts ring-buffer pages to hits of the target's items: the hot path of every recording ftrace
//! method.

use probe_core::model::item::ItemId;

use super::page::{Missed, Page, PageError, PageLayout};
use crate::kernel::{
    symbols::AddressMap,
    tracefs::format::{Format, FormatError},
};

/// Decodes pages whose relevant events are of known kinds.
#[derive(Debug, Clone)]
pub struct CallDecoder {
    layout: PageLayout,
    /// The meaning of each kind of events, indexed by its id minus `first`.
    kinds: Vec<Option<Tells>>,
    first: u16,
    /// Offset of an event's id in its payload, the same for all kinds.
    type_at: usize,
    map: AddressMap,
}

/// The meaning of the events of one kind. The numbers are offsets in an event's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// A hit of one item of the target: a probe event, or a tracepoint.
    Item(ItemId),
    /// A call of the function with the address that stands here.
    Call {
        /// Offset of the address.
        address: usize,
    },
    /// A return from the function with the address at this offset.
    Return {
        /// Offset of the address.
        address: usize,
        /// Offset of the time of the call, in ns.
        called: usize,
        /// Offset of the time of the return, in ns.
        returned: usize,
    },
}

/// The events of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKind {
    id: u16,
    type_at: usize,
    tells: Tells,
}

impl EventKind {
    /// Every event of this format is a hit of `item`.
    ///
    /// # Errors
    /// The format lacks what all events have.
    pub fn item(format: &Format, item: ItemId) -> Result<Self, FormatError> {
        Self::new(format, Tells::Item(item))
    }

    /// Each event is a call of the function whose address is in the field `address`: `ip` of
    /// `ftrace/function`.
    ///
    /// # Errors
    /// The format has no such field of eight bytes.
    pub fn call(format: &Format, address: &'static str) -> Result<Self, FormatError> {
        Self::new(format, Tells::Call { address: format.fields.offset::<8>(address)? })
    }

    /// Each event is a return, as in `ftrace/funcgraph_exit`.
    ///
    /// # Errors
    /// The format lacks one of its fields.
    pub fn graph_exit(format: &Format) -> Result<Self, FormatError> {
        let at = |name| format.fields.offset::<8>(name);
        let (address, called, returned) = (at("func")?, at("calltime")?, at("rettime")?);
        Self::new(format, Tells::Return { address, called, returned })
    }

    fn new(format: &Format, tells: Tells) -> Result<Self, FormatError> {
        let type_at = format.fields.offset::<2>("common_type")?;
        Ok(Self { id: format.id, type_at, tells })
    }
}

/// What one event says about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was hit, or called, at this time of the trace clock.
    Hit(u64),
    /// A call that has now returned took this many ns.
    Took(u64),
}

/// The content of the pages decoded so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pages.
    pub pages: u64,
    /// Events of every kind.
    pub events: u64,
    /// Number of these that are hits of the target's items.
    pub calls: u64,
    /// Number of these that are returns.
    pub returns: u64,
    /// Number of these that are calls of other functions: the map is not that of the running
    /// kernel.
    pub strangers: u64,
    /// Events that were overwritten, according to pages.
    pub missed: u64,
    /// Pages that report overwritten events without a number.
    pub missed_uncounted: u64,
}

impl CallDecoder {
    /// For events of these kinds; events of others are counted and passed over.
    pub fn new(layout: PageLayout, kinds: &[EventKind], map: AddressMap) -> Self {
        let first = kinds.iter().map(|kind| kind.id).min().unwrap_or_default();
        let last = kinds.iter().map(|kind| kind.id).max().unwrap_or_default();
        let mut table = vec![None; usize::from(last - first) + 1];
        for kind in kinds {
            table[usize::from(kind.id - first)] = Some(kind.tells);
        }
        // The common fields are the same in all events (kernel/trace/trace_events.c,
        // `trace_define_common_fields`).
        let type_at = kinds.first().map_or(0, |kind| kind.type_at);
        Self { layout, kinds: table, first, type_at, map }
    }

    /// Layout of the pages.
    pub fn layout(&self) -> &PageLayout {
        &self.layout
    }

    /// Decodes one page, passes what each event says about an item to `visit`, and adds to `tally`.
    ///
    /// # Errors
    /// The page is malformed; the events before the damage were visited and counted.
    pub fn page(
        &self,
        bytes: &[u8],
        tally: &mut Tally,
        visit: impl FnMut(ItemId, Seen),
    ) -> Result<(), PageError> {
        self.events(&self.layout.open(bytes)?, tally, visit)
    }

    /// Like [`CallDecoder::page`], for a page that is already open.
    ///
    /// # Errors
    /// As [`CallDecoder::page`].
    pub fn events(
        &self,
        page: &Page<'_>,
        tally: &mut Tally,
        mut visit: impl FnMut(ItemId, Seen),
    ) -> Result<(), PageError> {
        tally.pages += 1;
        match page.missed {
            Missed::None => {}
            Missed::Some => tally.missed_uncounted += 1,
            Missed::Counted(n) => tally.missed += n,
        }
        for event in page.events() {
            let event = event?;
            tally.events += 1;
            let Some(tells) = self.kind(event.payload) else { continue };
            match self.decode(tells, event.payload, event.at) {
                Some((item, seen)) => {
                    match seen {
                        Seen::Hit(_) => tally.calls += 1,
                        Seen::Took(_) => tally.returns += 1,
                    }
                    visit(item, seen);
                }
                None => tally.strangers += 1,
            }
        }
        Ok(())
    }

    #[inline]
    fn kind(&self, payload: &[u8]) -> Option<Tells> {
        let id = u16::from_le_bytes(*payload.get(self.type_at..)?.first_chunk()?);
        *self.kinds.get(usize::from(id.checked_sub(self.first)?))?
    }

    /// `None` if the event is too short, or is not about a function of the target.
    #[inline]
    fn decode(&self, tells: Tells, payload: &[u8], at: u64) -> Option<(ItemId, Seen)> {
        match tells {
            Tells::Item(item) => Some((item, Seen::Hit(at))),
            Tells::Call { address } => {
                Some((self.map.find(word(payload, address)?)?, Seen::Hit(at)))
            }
            Tells::Return { address, called, returned } => {
                let item = self.map.find(word(payload, address)?)?;
                let took = word(payload, returned)?.saturating_sub(word(payload, called)?);
                Some((item, Seen::Took(took)))
            }
        }
    }
}

#[inline]
fn word(payload: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*payload.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
