//! `bpf-fentry-perfbuf`: a timestamp per call, through `bpf_perf_event_output` into perf rings.
//!
//! Each function has a ring on each CPU: no two CPUs write to the same one. The reader runs
//! periodically, or is woken after each N records (`wake=N`; libbpf's default is 1) or when half of
//! a ring is full. If the helper fails, the program counts the call in its CPU's slot: so recorded
//! and lost together are exact. perf's own count of records without room must not exceed that.

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

use probe_core::{
    error::{Error, Result},
    model::{bounds, item::ItemId, method::Class, units::Nanos},
};
use probe_ebpf::{
    fentry_perfbuf::{EVENTS, PROGRAM},
    losses,
};
use serde_json::json;

use super::session::{Account, Design, Details, MethodKind, Part, Programmed, Traced, every};
use crate::{
    kernel::{
        bpf::{
            loader::{Loader, Spot},
            output::{Output, outputs},
            probe::Probe,
            slots::Slots,
        },
        cpus,
    },
    methods::{
        Cadence, Method, Sink,
        options::{Options, PerfRing},
    },
    sys::{
        bpf::maps,
        perf::{Attr, Event, Ring, SampleRate},
    },
};

/// Its id.
pub(super) const ID: &str = "bpf-fentry-perfbuf";
/// With libbpf's default.
pub(super) const WOKEN: &str = "bpf-fentry-perfbuf:wake=1";

/// Creates the method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    // 43690 records per CPU: at the default wake-up interval a ring holds 436 thousand calls per
    // second.
    let ring = options.perf_ring(1024)?;
    let word: String = options.take("wake", "never".to_owned())?;
    let mut parameters = Details::from([
        ("buffer_kib_per_cpu".into(), json!(ring.kib)),
        ("clock".into(), json!("monotonic")),
    ]);
    let wake = if word == "never" {
        let ms = options.number("wake_ms", 100, &bounds::WAKE_MS)?;
        parameters.extend([("wake".into(), json!(word)), ("wake_ms".into(), json!(ms))]);
        Wake::Every { ms }
    } else {
        let records = options.number("wake", 1, &bounds::WAKE_RECORDS)?;
        parameters.insert("wake".into(), json!(records));
        Wake::After { records }
    };
    let summary = format!("fentry programs write a timestamp per call to per-CPU perf rings{wake}");
    let kind = MethodKind { parameters, ..MethodKind::new(Class::Recorded, summary) };
    Ok(Programmed::make(options, kind, Record { ring, wake }))
}

/// When the rings are read.
#[derive(Debug, Clone, Copy)]
enum Wake {
    /// At this interval.
    Every { ms: u32 },
    /// When a ring wakes the reader: after each of this number of records.
    After { records: u32 },
}

impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every { .. } => Ok(()),
            Self::After { records: 1 } => f.write_str(", and each wakes the reader"),
            Self::After { records } => write!(f, ", and each {records} wake the reader"),
        }
    }
}

#[derive(Debug)]
struct Record {
    ring: PerfRing,
    wake: Wake,
}

#[derive(Debug)]
struct Recording {
    rings: Vec<Ring>,
    events: Vec<Event>,
    losses: Slots,
    buffer: Vec<u8>,
    recorded: u64,
    lost_by_records: u64,
    bytes: u64,
}

fn open(cpu: u32, wake: Wake) -> Result<Event> {
    const TYPE_SOFTWARE: u32 = 1;
    const COUNT_SW_BPF_OUTPUT: u64 = 10;
    const SAMPLE_RAW: u64 = 1 << 10;
    let attr = Attr {
        kind: TYPE_SOFTWARE,
        config: COUNT_SW_BPF_OUTPUT,
        rate: SampleRate::Period(1),
        sample_type: SAMPLE_RAW,
        wake_after: match wake {
            Wake::Every { .. } => None,
            Wake::After { records } => Some(records),
        },
        exclude_guest: false,
    };
    Event::open(&attr, cpu, None).map_err(|e| Error::call("perf_event_open", "BPF output", e))
}

impl Design for Record {
    type Part = Recording;

    fn cadence(&self) -> Cadence {
        match self.wake {
            Wake::Every { ms } => every(ms),
            Wake::After { .. } => Cadence::Woken,
        }
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Recording>> {
        let cpus = loader.cpus();
        let probe = loader.load(PROGRAM, &[(EVENTS, cpus), (losses::LOSSES, cpus)], spot)?;
        let losses = probe.slots::<losses::Slot>(losses::LOSSES, 1)?;
        let open = |&cpu| open(cpu, self.wake);
        let events: Vec<_> = cpus::online()?.iter().map(open).collect::<Result<_>>()?;
        let rings: Vec<_> =
            events.iter().map(|event| event.map(self.ring.pages)).collect::<Result<_>>()?;
        for event in &events {
            let (map, fd) = (probe.map(EVENTS)?.fd().as_fd(), event.as_fd().as_raw_fd());
            maps::update(map, &event.cpu().to_ne_bytes(), &fd.to_ne_bytes())
                .map_err(|e| Error::call("bpf(BPF_MAP_UPDATE_ELEM)", "perf events", e))?;
        }
        let part = Recording {
            rings,
            events,
            losses,
            buffer: Vec::new(),
            recorded: 0,
            lost_by_records: 0,
            bytes: 0,
        };
        Ok(Traced::new(probe, part))
    }
}

impl Part for Recording {
    fn ready(&self) -> Vec<BorrowedFd<'_>> {
        self.events.iter().map(AsFd::as_fd).collect()
    }

    /// An event that is not enabled accepts no output.
    fn start(&mut self) -> Result<()> {
        self.events.iter().try_for_each(Event::enable)
    }

    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        let Self { rings, buffer, recorded, lost_by_records, bytes, .. } = self;
        let mut drained = Ok(());
        for ring in rings {
            buffer.clear();
            *bytes += ring.drain(buffer)? as u64;
            let read = outputs(buffer, |output| match output {
                Output::Data([at]) => {
                    *recorded += 1;
                    sink.event(item, Nanos(at));
                }
                Output::Lost(n) => *lost_by_records += n,
            });
            drained =
                drained.and(read.map_err(|error| Error::malformed("perf ring", error.to_string())));
        }
        drained
    }

    fn stop(&mut self, _: Nanos) -> Result<()> {
        self.events.iter().map(Event::disable).fold(Ok(()), Result::and)
    }

    fn account(&mut self, probes: &[Probe]) -> Result<Account> {
        let lost = self.losses.sum(0);
        let readings = self.events.iter().map(|event| event.read(1)).collect::<Result<Vec<_>>>()?;
        let counts = readings.iter().flat_map(|reading| &reading.counts);
        let lost_by_perf = counts.map(|count| count.lost).sum::<Option<u64>>();
        let least = lost_by_perf.unwrap_or(0).max(self.lost_by_records);
        if least > lost {
            return Err(Error::Inconsistent(format!(
                "perf lost {least} records of {}, but its program failed to write only {lost}",
                probes[0].subject
            )));
        }
        let details = Details::from([
            ("lost_per_function".into(), json!(lost)),
            ("lost_by_perf_per_function".into(), json!(lost_by_perf)),
        ]);
        let memory = self.rings.iter().map(|ring| ring.mapped() as u64).sum();
        Ok(Account { lost, memory, details, ..Account::new(Some(self.recorded), self.bytes) })
    }
}
