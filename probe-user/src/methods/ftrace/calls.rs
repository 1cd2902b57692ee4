//! From ring-buffer pages to calls of the target's functions: the hot path of every recording ftrace method.

use super::page::{Missed, PageError, PageLayout};
use crate::kernel::{
    symbols::AddressMap,
    tracefs::format::{Format, FormatError},
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

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::{
        kernel::{kallsyms::Kallsyms, targets},
        model::target::Target,
    };

    /// Pages of one kernel, see tests/data/pages/README.md.
    struct Golden(PathBuf);

    impl Golden {
        fn of(kernel: &str) -> Self {
            Self([env!("CARGO_MANIFEST_DIR"), "../tests/data/pages", kernel].iter().collect())
        }

        fn text(&self, file: &str) -> String {
            fs::read_to_string(self.0.join(file)).unwrap()
        }

        fn pages(&self) -> Vec<u8> {
            let digits: Vec<u8> = self
                .text("pages.hex")
                .chars()
                .filter_map(|digit| digit.to_digit(16)?.try_into().ok())
                .collect();
            digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
        }

        fn target(&self, request: &str) -> Target {
            targets::resolve(request, &Kallsyms::parse(self.text("kallsyms")).unwrap()).unwrap()
        }

        fn decoder(&self, target: &Target) -> CallDecoder {
            let layout =
                PageLayout::parse(&self.text("header_page"), &self.text("header_event")).unwrap();
            let format = Format::parse(&self.text("format")).unwrap();
            CallDecoder::new(layout, &format, "ip", AddressMap::new(target)).unwrap()
        }
    }

    fn check(kernel: &str) {
        let golden = Golden::of(kernel);
        let target = golden.target("comm_write,comm_show");
        let decoder = golden.decoder(&target);
        let (mut tally, mut calls) = (Tally::default(), String::new());
        for page in golden.pages().chunks(decoder.layout().page_size()) {
            let visit = |function: usize, at: u64| {
                // The kernel prints rounded microseconds.
                let micros = (at + 500) / 1000;
                let name = &target.functions[function].name;
                calls += &format!("{}.{:06} {name}\n", micros / 1_000_000, micros % 1_000_000);
            };
            decoder.page(page, &mut tally, visit).unwrap();
        }
        assert_eq!(calls, golden.text("trace"));
        let stats = golden.text("stats");
        let overrun = format!("overrun: {}\n", tally.missed);
        assert!(tally.missed > 0 && stats.contains(&overrun), "{tally:?}\n{stats}");
        assert_eq!((tally.strangers, tally.events), (0, tally.calls));
    }

    #[test]
    fn pages_of_6_1_read_as_the_kernel_reads_them() {
        check("6.1");
    }

    #[test]
    fn pages_of_6_12_read_as_the_kernel_reads_them() {
        check("6.12");
    }

    #[test]
    fn pages_of_7_3_read_as_the_kernel_reads_them() {
        check("7.3");
    }

    #[test]
    fn other_functions_and_other_events_are_told_apart() {
        let golden = Golden::of("6.12");
        let tally = |decoder: &CallDecoder| {
            let mut tally = Tally::default();
            for page in golden.pages().chunks(4096) {
                decoder.page(page, &mut tally, |_, _| {}).unwrap();
            }
            tally
        };
        let both = tally(&golden.decoder(&golden.target("comm_write,comm_show")));
        let mut decoder = golden.decoder(&golden.target("comm_write"));
        let one = tally(&decoder);
        assert!(one.calls > 0 && one.strangers > 0);
        assert_eq!(one.calls + one.strangers, both.calls);
        decoder.id += 1;
        let none = tally(&decoder);
        assert_eq!((none.calls, none.strangers, none.events), (0, 0, both.events));
    }

    #[test]
    fn a_damaged_page_is_one_error_and_the_next_is_read() {
        let golden = Golden::of("6.12");
        let decoder = golden.decoder(&golden.target("comm_write,comm_show"));
        let mut bytes = golden.pages();
        // The third event's header: seven words become 28.
        bytes[16 + 2 * 28] |= 28;
        let mut tally = Tally::default();
        let results: Vec<_> =
            bytes.chunks(4096).map(|page| decoder.page(page, &mut tally, |_, _| {})).collect();
        // Misread lengths run into something that cannot be, on that page only.
        assert!(results[0].is_err(), "{results:?}");
        assert_eq!(results[1..], [Ok(()), Ok(())]);
        assert_eq!(tally.pages, 3);
    }
}
