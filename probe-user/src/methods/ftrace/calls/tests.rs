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
        let kinds = [Kind::call(&format, "ip").unwrap()];
        CallDecoder::new(layout, &kinds, AddressMap::new(target))
    }
}

fn check(kernel: &str) {
    let golden = Golden::of(kernel);
    let target = golden.target("comm_write,comm_show");
    let decoder = golden.decoder(&target);
    let (mut tally, mut calls) = (Tally::default(), String::new());
    for page in golden.pages().chunks(decoder.layout().page_size()) {
        let visit = |function: usize, seen: Seen| {
            let Seen::Hit(at) = seen else { panic!("{seen:?}") };
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
    decoder.first += 1;
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
