//! From ring-buffer pages to calls of the target's functions: the hot path of every recording ftrace method.

use crate::kernel::symbols::AddressMap;

use super::{
    format::{Format, FormatError},
    page::{Missed, PageError, PageLayout},
};

/// Decodes pages whose events of interest carry the address of a traced function.
#[derive(Debug, Clone)]
pub struct CallDecoder {
    layout: PageLayout,
    /// `common_type` of those events.
    id: u16,
    /// Where an event's type and address stand in its payload.
    type_at: usize,
    address_at: usize,
    map: AddressMap,
}

/// What was in the pages decoded so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pages.
    pub pages: u64,
    /// Events of every kind.
    pub events: u64,
    /// Of those, calls of the target's functions.
    pub calls: u64,
    /// Of those, calls of other functions: the map is not that of the running kernel.
    pub strangers: u64,
    /// Events that pages say were overwritten before them.
    pub missed: u64,
    /// Pages that say so without a number.
    pub missed_uncounted: u64,
}

impl CallDecoder {
    /// `address` names the field with the function's address: `ip` of `ftrace/function`.
    ///
    /// # Errors
    /// The event has no such field of eight bytes.
    pub fn new(
        layout: PageLayout,
        format: &Format,
        address: &'static str,
        map: AddressMap,
    ) -> Result<Self, FormatError> {
        let type_at = format.fields.offset::<2>("common_type")?;
        let address_at = format.fields.offset::<8>(address)?;
        Ok(Self { layout, id: format.id, type_at, address_at, map })
    }

    /// Layout of the pages.
    pub fn layout(&self) -> &PageLayout {
        &self.layout
    }

    /// Decodes one page, hands each call's function and time to `visit`, and adds to `tally`.
    ///
    /// # Errors
    /// The page is malformed; what precedes the damage was visited and counted.
    pub fn page(
        &self,
        bytes: &[u8],
        tally: &mut Tally,
        mut visit: impl FnMut(usize, u64),
    ) -> Result<(), PageError> {
        tally.pages += 1;
        let page = self.layout.open(bytes)?;
        match page.missed {
            Missed::None => {}
            Missed::Some => tally.missed_uncounted += 1,
            Missed::Counted(n) => tally.missed += n,
        }
        for event in page.events() {
            let event = event?;
            tally.events += 1;
            let Some(address) = self.address(event.payload) else { continue };
            match self.map.find(address) {
                Some(function) => {
                    tally.calls += 1;
                    visit(function, event.at);
                }
                None => tally.strangers += 1,
            }
        }
        Ok(())
    }

    /// The traced function's address, if the event is of the right kind.
    #[inline]
    fn address(&self, payload: &[u8]) -> Option<u64> {
        let kind = u16::from_le_bytes(*payload.get(self.type_at..)?.first_chunk()?);
        let address = u64::from_le_bytes(*payload.get(self.address_at..)?.first_chunk()?);
        (kind == self.id).then_some(address)
    }
}
