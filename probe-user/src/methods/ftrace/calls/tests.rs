use probe_core::model::target::Target;
use proptest::prelude::*;

use super::*;
use crate::kernel::{kallsyms::Kallsyms, targets};

#[path = "../../../../../tests/pages.rs"]
mod pages;
use pages::Golden;

impl Golden {
    fn target(&self, request: &str) -> Target {
        targets::resolve(request, &Kallsyms::parse(self.text("kallsyms")).unwrap()).unwrap()
    }

    fn decoder(&self, target: &Target) -> CallDecoder {
        let layout =
            PageLayout::parse(&self.text("header_page"), &self.text("header_event")).unwrap();
        let format = Format::parse(&self.text("format")).unwrap();
        let kinds = [EventKind::call(&format, "ip").unwrap()];
        CallDecoder::new(layout, &kinds, AddressMap::new(target))
    }
}

fn check(golden: &Golden) {
    let target = golden.target("comm_write,comm_show");
    let decoder = golden.decoder(&target);
    let (mut tally, mut calls) = (Tally::default(), String::new());
    for page in golden.pages().chunks(decoder.layout().page_size()) {
        let visit = |function: ItemId, seen: Seen| {
            let Seen::Hit(at) = seen else { panic!("{seen:?}") };
            // The kernel prints rounded microseconds.
            let micros = (at + 500) / 1000;
            let name = &target.functions[function.0].name;
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
fn pages_of_each_kernel_read_as_the_kernel_reads_them() {
    let all = Golden::all();
    assert!(all.len() >= 3);
    all.iter().for_each(check);
}

/// Pages with events of this kind, for each kernel that has them, the oldest first.
fn of_kind(kind: &str) -> Vec<(Golden, Target, PageLayout)> {
    let with_target = |above: Golden| {
        let golden = Golden(above.0.join(kind));
        golden.0.exists().then(|| {
            let [page, event] = ["header_page", "header_event"].map(|file| above.text(file));
            let target = golden.target("comm_write,comm_show");
            (golden, target, PageLayout::parse(&page, &event).unwrap())
        })
    };
    Golden::all().into_iter().filter_map(with_target).collect()
}

fn probe_decoder(golden: &Golden, target: &Target, layout: PageLayout) -> CallDecoder {
    let kind = |(item, function): (ItemId, &probe_core::model::target::Function)| {
        let format = Format::parse(&golden.text(&format!("format.{}", function.name))).unwrap();
        EventKind::item(&format, item).unwrap()
    };
    let kinds: Vec<_> = target.functions().map(kind).collect();
    CallDecoder::new(layout, &kinds, AddressMap::new(target))
}

fn graph_decoder(golden: &Golden, target: &Target, layout: PageLayout) -> CallDecoder {
    let format = |name| Format::parse(&golden.text(name)).unwrap();
    let kinds = [
        EventKind::call(&format("format.entry"), "func").unwrap(),
        EventKind::graph_exit(&format("format.exit")).unwrap(),
    ];
    CallDecoder::new(layout, &kinds, AddressMap::new(target))
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// All that the pages tell, item by item.
fn all(golden: &Golden, decoder: &CallDecoder) -> (Tally, Vec<(ItemId, Seen)>) {
    let (mut tally, mut seen) = (Tally::default(), Vec::new());
    for page in golden.pages().chunks(decoder.layout().page_size()) {
        decoder.page(page, &mut tally, |item, what| seen.push((item, what))).unwrap();
    }
    assert_eq!((tally.strangers, tally.events), (0, tally.calls + tally.returns));
    let stats = golden.text("stats");
    for line in [format!("entries: {}\n", tally.events), format!("overrun: {}\n", tally.missed)] {
        assert!(stats.contains(&line), "{tally:?}\n{stats}");
    }
    (tally, seen)
}

#[test]
fn probe_events_of_each_kernel_read_as_the_kernel_reads_them() {
    for kind in ["kprobe", "kretprobe"] {
        let kernels = of_kind(kind);
        assert_eq!(kernels.len(), Golden::all().len());
        for (golden, target, layout) in kernels {
            let (_, seen) = all(&golden, &probe_decoder(&golden, &target, layout));
            let line = |&(item, seen): &(ItemId, Seen)| match seen {
                Seen::Hit(at) => {
                    format!("{} {}\n", seconds((at + 500) / 1000), target.functions[item.0].name)
                }
                Seen::Took(_) => panic!("{}: a duration", golden.0.display()),
            };
            let found: String = seen.iter().map(line).collect();
            assert_eq!(found, golden.text("trace"), "{}", golden.0.display());
        }
    }
}

#[test]
fn graph_events_are_calls_and_durations_also_where_one_of_a_pair_is_lost() {
    let kernels = of_kind("graph");
    assert!(kernels.len() >= 2);
    for (golden, target, layout) in kernels {
        let kernel = golden.0.display();
        let (tally, seen) = all(&golden, &graph_decoder(&golden, &target, layout));
        let mut seen = seen.into_iter().peekable();
        for line in golden.text("trace").lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let (mut item, what) = seen.next().unwrap();
            let (mut at, mut took) = ("-".to_owned(), "-".to_owned());
            match what {
                Seen::Hit(entry) => {
                    // Here the kernel truncates what it rounds elsewhere.
                    at = seconds(entry / 1000);
                    // Neither function calls the other.
                    if let Some((exit, Seen::Took(ns))) =
                        seen.next_if(|(_, s)| matches!(s, Seen::Took(_)))
                    {
                        assert_eq!(exit, item);
                        (item, took) = (exit, format!("{}.{:03}", ns / 1000, ns % 1000));
                    }
                }
                Seen::Took(ns) => took = format!("{}.{:03}", ns / 1000, ns % 1000),
            }
            assert_eq!((at.as_str(), target.functions[item.0].name.as_str()), (words[0], words[1]));
            // The kernel prints seven digits, and cuts the others off.
            assert!(took.starts_with(words[2]), "{kernel}: {took} for {line}");
        }
        assert_eq!(seen.next(), None);
        // The oldest event that was not overwritten is an exit.
        assert_eq!(tally.returns, tally.calls + 1, "{kernel}: {tally:?}");
    }
}

proptest! {
    #[test]
    fn no_page_of_any_kind_makes_it_panic(
        at in 0_usize..3 * 4096, damage in proptest::collection::vec(any::<u8>(), 1..64), cut in 0_usize..4097,
    ) {
        let (golden, target, layout) = of_kind("graph").pop().unwrap();
        let decoder = graph_decoder(&golden, &target, layout);
        let mut bytes = golden.pages();
        let end = bytes.len().min(at + damage.len());
        bytes[at..end].copy_from_slice(&damage[..end - at]);
        let mut tally = Tally::default();
        for page in bytes.chunks(4096) {
            // Malformed or not: it terminates, and counts no more than possible.
            let _ = decoder.page(&page[..cut.min(page.len())], &mut tally, |_, _| {});
        }
        prop_assert!(tally.events <= bytes.len() as u64 / 4);
        prop_assert!(tally.calls + tally.returns + tally.strangers <= tally.events);
    }

    #[test]
    fn a_page_read_in_parts_gives_each_event_once(first in 0_usize..4080) {
        let (golden, target, layout) = of_kind("kprobe").pop().unwrap();
        let decoder = probe_decoder(&golden, &target, layout);
        let bytes = &golden.pages()[..layout.page_size()];
        let mut whole = Vec::new();
        decoder.page(bytes, &mut Tally::default(), |item, seen| whole.push((item, seen))).unwrap();
        let (header, body) = bytes.split_at(layout.header_size());
        let events = layout.open(bytes).unwrap().events;
        // The end of an event, as the kernel commits only complete events: header and 16 bytes.
        let cut = first.min(events.len()) / 20 * 20;
        let mut parts = Vec::new();
        for (length, skip) in [(cut, 0), (events.len(), cut)] {
            let page = layout.assemble(header, &body[..length], [0; 8], skip).unwrap();
            let visit = |item, seen| parts.push((item, seen));
            decoder.events(&page, &mut Tally::default(), visit).unwrap();
        }
        prop_assert_eq!(parts, whole);
    }
}

#[test]
fn other_functions_and_other_events_are_told_apart() {
    let golden = Golden::all().pop().unwrap();
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
    let golden = Golden::all().pop().unwrap();
    let decoder = golden.decoder(&golden.target("comm_write,comm_show"));
    let mut bytes = golden.pages();
    // The third event's header: seven words become 28.
    bytes[16 + 2 * 28] |= 28;
    let mut tally = Tally::default();
    let results: Vec<_> =
        bytes.chunks(4096).map(|page| decoder.page(page, &mut tally, |_, _| {})).collect();
    // Misread lengths lead to something impossible, only on that page.
    assert!(results[0].is_err(), "{results:?}");
    assert_eq!(results[1..], [Ok(()), Ok(())]);
    assert_eq!(tally.pages, 3);
}
