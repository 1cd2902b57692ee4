//! The targets.

use std::sync::{Arc, LazyLock};

use probe_core::model::{
    item::ItemId,
    target::{Function, Range, Target},
};
use probe_user::{
    kernel::{
        btf::Functions,
        kallsyms::Kallsyms,
        packets::block::{Block, FRAME_HEADER},
        symbols::AddressMap,
        targets,
        tracefs::format::{Fields, Format},
    },
    methods::{
        counters::parse,
        ftrace::{
            calls::{CallDecoder, EventKind, Tally},
            page::PageLayout,
        },
        perf::ring::{Record, Records, SampleLayout},
    },
};

use crate::pages::Golden;

/// Decoders, one for each kernel's description of its pages.
static DECODERS: LazyLock<Vec<CallDecoder>> =
    LazyLock::new(|| Golden::all().iter().map(decoder).collect());

fn decoder(golden: &Golden) -> CallDecoder {
    let symbols = Kallsyms::parse(golden.text("kallsyms")).expect("symbols of a kernel");
    let target = targets::resolve("comm_write,comm_show", &symbols).expect("the traced functions");
    let layout = PageLayout::parse(&golden.text("header_page"), &golden.text("header_event"));
    let format = Format::parse(&golden.text("format")).expect("the format of a kernel");
    let kind = EventKind::call(&format, "ip").expect("a function event");
    CallDecoder::new(layout.expect("the layout of a kernel"), &[kind], AddressMap::new(&target))
}

/// A page of one of the kernels; the last byte chooses which.
pub(crate) fn ftrace_page(data: &[u8]) {
    let Some((&choice, page)) = data.split_last() else { return };
    check_page(&DECODERS[usize::from(choice) % DECODERS.len()], page);
}

/// What must hold for every page, damaged or not.
fn check_page(decoder: &CallDecoder, page: &[u8]) {
    let (mut tally, mut visited) = (Tally::default(), 0);
    let outcome = decoder.page(page, &mut tally, |_, _| visited += 1);
    assert!(tally.pages <= 1);
    assert_eq!(tally.calls + tally.returns, visited);
    assert!(tally.calls + tally.returns + tally.strangers <= tally.events);
    assert!(tally.events <= page.len() as u64 / 4 + 1, "{} events: {outcome:?}", tally.events);
}

/// `header_page`, `header_event`, `format` and a page that they describe, with a zero after each
/// text.
pub(crate) fn ftrace_format(data: &[u8]) {
    let mut parts = data.splitn(4, |&byte| byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (header_page, header_event, format) = (text(), text(), text());
    let page = parts.next().unwrap_or_default();
    let _ = Fields::parse(&format);
    let Ok(format) = Format::parse(&format) else { return };
    let Ok(layout) = PageLayout::parse(&header_page, &header_event) else { return };
    let function =
        Function { name: "f".into(), module: None, addresses: Range { start: 0, end: u64::MAX } };
    let target = Target { functions: vec![function], ..Target::default() };
    for kind in [
        EventKind::call(&format, "ip"),
        EventKind::item(&format, ItemId(0)),
        EventKind::graph_exit(&format),
    ] {
        let Ok(kind) = kind else { continue };
        check_page(&CallDecoder::new(layout, &[kind], AddressMap::new(&target)), page);
    }
}

/// Records; bits of the last byte choose the fields of samples.
pub(crate) fn perf_ring(data: &[u8]) {
    let Some((choice, bytes)) = data.split_last() else { return };
    let chosen = SampleLayout::FIELDS.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1);
    // There is no record without any field.
    let layout =
        chosen.map(|(_, field)| *field).reduce(SampleLayout::and).unwrap_or(SampleLayout::TIME);
    let mut records = 0;
    for record in Records::new(bytes, layout) {
        records += 1;
        let Ok(Record::Sample(sample)) = record else { continue };
        assert!(sample.chain().count() <= bytes.len() / 8);
        assert!(layout.has(SampleLayout::CALLCHAIN) || sample.chain().next().is_none());
        assert!(layout.has(SampleLayout::IDENTIFIER) || sample.id == 0);
    }
    assert!(records <= bytes.len() / 8 + 1, "{records} records in {} bytes", bytes.len());
}

/// A block of a packet socket's ring.
pub(crate) fn packet_block(data: &[u8]) {
    let Ok(block) = Block::parse(data) else { return };
    let used = block.used();
    assert!(used <= data.len());
    let (said, mut frames) = (block.frames(), 0);
    for frame in block {
        frames += 1;
        assert!(frame.is_err() || frame.is_ok_and(|frame| frame.bytes.len() <= used));
    }
    assert!(frames <= used / FRAME_HEADER + 1 && frames <= said as usize, "{frames} of {said}");
}

/// The kernel's BTF followed by a module's; the last two bytes are the length of the first.
pub(crate) fn btf(data: &[u8]) {
    let Some((rest, &length)) = data.split_last_chunk::<2>() else { return };
    let (kernel, module) = rest.split_at(rest.len().min(u16::from_le_bytes(length).into()));
    let base = Functions::parse(kernel, None).ok().map(Arc::new);
    if let Some(base) = &base {
        base.id("f");
    }
    if let Ok(functions) = Functions::parse(module, base) {
        functions.id("f");
    }
}

/// The files of the kernel's own counters.
pub(crate) fn counters(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for parse in [
        parse::number,
        parse::run_time,
        parse::run_delay,
        parse::switches,
        parse::net_rx,
        parse::net_tx,
        parse::squeezed,
        parse::pressure,
    ] {
        let _ = parse(&text);
    }
}

/// A list of symbols, and a function to find in it.
pub(crate) fn kallsyms(data: &[u8]) {
    let Ok(symbols) = Kallsyms::parse(String::from_utf8_lossy(data).into_owned()) else { return };
    let Ok(target) = targets::resolve("f", &symbols) else { return };
    let [function] = &target.functions[..] else { panic!("{target:?}") };
    assert!(function.addresses.start <= function.addresses.end, "{target:?}");
}
