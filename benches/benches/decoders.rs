//! How fast the decoders of kernel buffers are, in events per second on one core.
//!
//! Each bench first checks that the decoder finds exactly what is in its input.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use probe_core::model::{
    item::ItemId,
    target::{Function, Range, Target},
};
use probe_user::{
    kernel::{kallsyms::Kallsyms, symbols::AddressMap, targets, tracefs::format::Format},
    methods::{
        ftrace::{
            calls::{CallDecoder, EventKind, Seen, Tally},
            page::PageLayout,
        },
        perf::ring::{Record, Records, SampleLayout},
    },
};

#[path = "../../tests/pages.rs"]
mod recorded;
use recorded::Golden;

criterion_group!(benches, pages, perf_ring);
criterion_main!(benches);

/// Real pages, with the description by the kernel that wrote them.
impl Golden {
    fn target(&self) -> Target {
        let symbols = Kallsyms::parse(self.text("kallsyms")).expect("symbols of a kernel");
        targets::resolve("comm_write,comm_show", &symbols).expect("the traced functions")
    }

    fn decoder(&self, target: &Target) -> CallDecoder {
        let (page, event) = (self.text("header_page"), self.text("header_event"));
        let layout = PageLayout::parse(&page, &event).expect("the layout of a kernel");
        let format = Format::parse(&self.text("format")).expect("the format of a kernel");
        let kinds = [EventKind::call(&format, "ip").expect("a function event")];
        CallDecoder::new(layout, &kinds, AddressMap::new(target))
    }

    /// Its first page, which is full, 256 times: 1 MiB, more than a first-level cache holds.
    fn many_pages(&self, page_size: usize) -> Vec<u8> {
        self.pages()[..page_size].repeat(256)
    }
}

/// Decodes all pages; the sum of all times and functions represents the work of a consumer.
fn decode(decoder: &CallDecoder, pages: &[u8]) -> (Tally, u64) {
    let (mut tally, mut sum) = (Tally::default(), 0_u64);
    for page in pages.chunks(decoder.layout().page_size()) {
        let visit = |function: ItemId, seen: Seen| {
            let (Seen::Hit(n) | Seen::Took(n)) = seen;
            sum = sum.wrapping_add(n ^ function.0 as u64);
        };
        decoder.page(page, &mut tally, visit).expect("an intact page");
    }
    (tally, sum)
}

fn pages(criterion: &mut Criterion) {
    let golden = Golden::all().swap_remove(0);
    let mut group = criterion.benchmark_group("ftrace pages");
    let two = golden.target();
    // As many functions as vhost_net, vhost and tun have, including the two traced ones.
    let mut many = two.clone();
    many.functions.extend((0..400).map(|i| Function {
        name: format!("f{i}"),
        module: None,
        addresses: Range { start: i * 64, end: i * 64 + 64 },
    }));
    for (name, target) in [("two functions", two), ("402 functions", many)] {
        let decoder = golden.decoder(&target);
        let pages = golden.many_pages(decoder.layout().page_size());
        let (tally, _) = decode(&decoder, &pages);
        assert_eq!((tally.calls, tally.pages), (256 * 145, 256), "{tally:?}");
        group.throughput(Throughput::Elements(tally.calls));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode(&decoder, black_box(&pages)));
        });
    }
    group.finish();
}

/// Records as in a profiler's ring: samples with a chain of twelve, and occasionally another type.
fn ring(samples: u64) -> Vec<u8> {
    let record = |kind: u64, words: &[u64]| {
        let length = 8 + words.len() as u64 * 8;
        let header = (kind | length << 48).to_ne_bytes();
        header.into_iter().chain(words.iter().flat_map(|word| word.to_ne_bytes())).collect()
    };
    let sample = |i: u64| -> Vec<u8> {
        let mut words =
            vec![0xffff_ffff_8100_0000 + i, 7, 1_000_000 * i, 13, 0_u64.wrapping_sub(128)];
        words.extend((0..12).map(|frame| 0xffff_ffff_8100_0000 + i + frame * 4096));
        record(9, &words)
    };
    let other = |i: u64| if i.is_multiple_of(1000) { record(2, &[1, 3]) } else { Vec::new() };
    (0..samples).flat_map(|i| [sample(i), other(i)].concat()).collect()
}

fn perf_ring(criterion: &mut Criterion) {
    const SAMPLES: u64 = 4000;
    let bytes = ring(SAMPLES);
    let layout = SampleLayout::IP
        .and(SampleLayout::TID)
        .and(SampleLayout::TIME)
        .and(SampleLayout::CALLCHAIN);
    let decode = |bytes: &[u8]| {
        let (mut samples, mut sum) = (0, 0_u64);
        for record in Records::new(bytes, layout) {
            if let Record::Sample(sample) = record.expect("an intact record") {
                samples += 1;
                sum = sample.chain().fold(sum ^ sample.time, u64::wrapping_add);
            }
        }
        (samples, sum)
    };
    assert_eq!(decode(&bytes).0, SAMPLES);
    let mut group = criterion.benchmark_group("perf ring");
    group.throughput(Throughput::Elements(SAMPLES));
    group.bench_function("samples with a chain of 12", |bencher| {
        bencher.iter(|| decode(black_box(&bytes)));
    });
    group.finish();
}
