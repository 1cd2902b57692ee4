use std::{
    fs,
    io::Read as _,
    os::fd::{IntoRawFd as _, OwnedFd},
};

use probe_core::model::target::{Function, Range};

use super::*;
use crate::methods::{self, Share};
use crate::sys::{call::Script, perf::Count};

fn target() -> Target {
    let function = |name: &str, start| Function {
        name: name.into(),
        module: None,
        addresses: Range { start, end: start + 0x100 },
    };
    Target {
        functions: vec![function("handle_tx", 0x1000), function("handle_rx", 0x1100)],
        ..Target::default()
    }
}

fn profiler() -> SampleProfiler {
    SampleProfiler::of(&mut Options::parse("perf-sample-99-callchain:event=cpu-clock").unwrap())
        .unwrap()
}

/// A descriptor for the script to give out, and the end that tells when it is closed.
fn watched_fd() -> (fs::File, i64) {
    let (read, write): (OwnedFd, OwnedFd) = rustix::pipe::pipe().unwrap();
    (read.into(), write.into_raw_fd().into())
}

/// The watched descriptor is closed: a pipe without writers reads as ended; with one, this would
/// wait for ever.
fn assert_closed(mut end: fs::File) {
    rustix::fs::fcntl_setfl(&end, rustix::fs::OFlags::NONBLOCK).unwrap();
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_event_that_opened_is_closed_when_the_next_is_refused() {
    let (end, fd) = watched_fd();
    let script = Script::install([fd, -i64::from(libc::EMFILE)]);
    let error = profiler().attach_on(&[0, 1], &target()).unwrap_err().to_string();
    assert!(error.contains("perf_event_open on cpu-clock"), "{error}");
    assert_eq!(script.remaining(), 0);
    assert_closed(end);
}

#[test]
fn all_events_are_closed_when_a_ring_cannot_be_mapped() {
    let (first, second) = (watched_fd(), watched_fd());
    let _script = Script::install([first.1, second.1]);
    let error = profiler().attach_on(&[0, 1], &target()).unwrap_err().to_string();
    assert!(error.contains("mmap on perf event on CPU 0"), "{error}");
    assert_closed(first.0);
    assert_closed(second.0);
}

#[test]
fn the_id_says_which_event_ticks() {
    let id = |text: &str| {
        let profiler = SampleProfiler::of(&mut Options::parse(text).unwrap());
        profiler.unwrap().descriptor.id.0
    };
    {
        let _script = Script::install([-i64::from(libc::ENOENT)]);
        assert_eq!(id("perf-sample-999"), "perf-sample-999:event=cpu-clock");
    }
    {
        let (_end, fd) = watched_fd();
        let _script = Script::install([fd]);
        assert_eq!(id("perf-sample-999"), "perf-sample-999:event=cycles");
    }
    // An explicit id asks nothing, and is not replaced.
    let _script = Script::install([]);
    assert_eq!(id("perf-sample-97:event=cycles"), "perf-sample-97:event=cycles");
}

#[test]
fn a_missing_pmu_and_missing_rights_are_a_no_and_the_rest_is_open() {
    let answer = |errno: i32| {
        let _script = Script::install([-i64::from(errno), -i64::from(errno)]);
        profiler().detect(&target())
    };
    assert!(matches!(answer(libc::ENOENT), Detection::Unsupported { .. }));
    match answer(libc::EACCES) {
        Detection::Unsupported { hint, .. } => assert!(hint.contains("perf_event_paranoid")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(answer(libc::EMFILE), Detection::Inconclusive(_)));
}

/// One sample as the kernel writes it.
fn sample_bytes(ip: u64, tid: u32, chain: &[u64]) -> Vec<u8> {
    let length = u16::try_from(8 + 32 + chain.len() * 8).unwrap();
    let mut bytes = [&9_u32.to_ne_bytes()[..], &[0; 2], &length.to_ne_bytes()].concat();
    let fixed = [ip, u64::from(tid) << 32, 5, chain.len() as u64];
    bytes.extend(fixed.iter().chain(chain).flat_map(|word| word.to_ne_bytes()));
    bytes
}

#[derive(Default)]
struct Samples(Vec<(u64, u64, Vec<ItemId>, Option<ItemId>)>);

impl Sink for Samples {
    fn count(&mut self, _: ItemId, _: u64) {
        unreachable!("a profiler does not count");
    }

    fn event(&mut self, _: ItemId, _: Nanos) {
        unreachable!("a profiler does not record calls");
    }

    fn sample(&mut self, sample: methods::ProfilerSample<'_>) {
        let methods::ProfilerSample { at, weight, functions, innermost } = sample;
        self.0.push((at.0, weight, functions.to_vec(), innermost));
    }

    fn weighted(&mut self, _: ItemId, _: Nanos, _: f64) {}

    fn shares(&mut self, _: u64, _: PerItem<Share>) {}
}

#[test]
fn shares_are_by_chain_and_by_innermost_frame() {
    let kernel = 128_u64.wrapping_neg();
    let map = AddressMap::new(&target());
    let mut sink = Samples::default();
    let mut tally = Tally::of(&target());
    let mut functions = Vec::new();
    let mut guest = sample_bytes(0x1110, 7, &[]);
    guest[4] = 4;
    let samples = [
        // In handle_tx itself.
        sample_bytes(0x1010, 7, &[kernel, 0x1010, 0x5000]),
        // In a callee of handle_tx.
        sample_bytes(0x9000, 7, &[kernel, 0x9000, 0x1020, 0x5000]),
        // handle_tx ends in a call: the return address is handle_rx's first byte.
        sample_bytes(0x9000, 7, &[kernel, 0x9000, 0x1100, 0x5000]),
        // Idle.
        sample_bytes(0x8000, 0, &[kernel, 0x8000]),
        // A guest's kernel, at an address that is handle_rx's in the host.
        guest,
    ];
    for record in Records::new(&samples.concat(), profiler().parameters.layout()) {
        tally.add(record.unwrap(), &map, &mut functions, &mut sink);
    }
    let tx = vec![ItemId(0)];
    let seen = [(tx.clone(), Some(ItemId(0))), (tx.clone(), None), (tx, None), (Vec::new(), None)];
    assert_eq!(sink.0, seen.map(|(functions, innermost)| (5, 1, functions, innermost)));
    let expected = Tally {
        inclusive: vec![Some(3), Some(0)].into(),
        samples: 4,
        idle: 1,
        guest: 1,
        ..Tally::default()
    };
    assert_eq!(tally, expected);
}

fn session_with(tally: Tally) -> SampleSession {
    SampleSession {
        rings: Vec::new(),
        events: Vec::new(),
        layout: SampleLayout::IP,
        map: AddressMap::new(&target()),
        wake: Duration::ZERO,
        event: String::new(),
        buffer: Vec::new(),
        functions: Vec::new(),
        tally,
    }
}

#[test]
fn loss_is_exact_only_where_the_kernel_counts_it() {
    let session = session_with(Tally { lost: 8, ..Tally::default() });
    let reading = |lost| {
        let counts = vec![Count { value: 0, lost }];
        Reading { enabled: Nanos(10), running: Nanos(5), counts }
    };
    let noted = Observation { enabled: Nanos(2_000_000_000), ..Observation::default() };
    let account = |readings: &[Reading]| session.seen(readings, noted.clone());
    let observation = account(&[reading(Some(9)), reading(Some(5))]).unwrap();
    assert_eq!(observation.lost, Loss::Exact(14));
    assert_eq!(observation.running, Nanos(1_000_000_000));
    assert_eq!(account(&[reading(Some(9)), reading(None)]).unwrap().lost, Loss::AtLeast(8));
    // Records that tell of more than the counters know.
    assert!(matches!(account(&[reading(Some(7))]), Err(Error::Inconsistent(_))));
}

#[test]
fn a_sample_weighs_the_cycles_that_it_stands_for() {
    let parameters = |ticker| Parameters { ticker, chains: false, ..profiler().parameters };
    let layout = parameters(Ticker::Cycles).layout();
    assert_eq!(
        layout,
        SampleLayout::IP.and(SampleLayout::TID).and(SampleLayout::TIME).and(SampleLayout::PERIOD)
    );
    assert!(!parameters(Ticker::CpuClock).layout().has(SampleLayout::PERIOD));
    let words: [u64; 5] = [9 | 40 << 48, 0x1110, 7 << 32, 5, 12345];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut tally = Tally::of(&target());
    let mut sink = Samples::default();
    for record in Records::new(&bytes, layout) {
        let map = AddressMap::new(&target());
        tally.add(record.unwrap(), &map, &mut Vec::new(), &mut sink);
    }
    assert_eq!(sink.0, [(5, 12345, vec![ItemId(1)], Some(ItemId(1)))]);
    assert_eq!(*tally.inclusive, [Some(0), Some(1)]);
}
