//! `bpf-fentry-perfbuf`: a timestamp per call, through `bpf_perf_event_output` into perf rings.
//!
//! Each function has a ring on each CPU: no two CPUs write to the same one. Nobody is woken; the
//! reader runs periodically. If the helper fails, the program counts the call in its CPU's slot, so
//! recorded + lost is exact. perf's own count of records without room must not exceed that.

use std::os::fd::{AsFd as _, AsRawFd as _};

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

/// Creates the method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    // 43690 records per CPU: at the default wake-up interval a ring holds 436 thousand calls per
    // second.
    let ring = options.perf_ring(1024)?;
    let wake_ms = options.number("wake_ms", 100, &bounds::WAKE_MS)?;
    let summary = "fentry programs write a timestamp per call to per-CPU perf rings";
    let parameters = Details::from([
        ("buffer_kib_per_cpu".into(), json!(ring.kib)),
        ("wake_ms".into(), json!(wake_ms)),
        ("clock".into(), json!("monotonic")),
    ]);
    let kind = MethodKind { parameters, ..MethodKind::new(Class::Recorded, summary) };
    Ok(Programmed::make(options, kind, Record { ring, wake_ms }))
}

#[derive(Debug)]
struct Record {
    ring: PerfRing,
    wake_ms: u32,
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

fn open(cpu: u32) -> Result<Event> {
    const TYPE_SOFTWARE: u32 = 1;
    const COUNT_SW_BPF_OUTPUT: u64 = 10;
    const SAMPLE_RAW: u64 = 1 << 10;
    let attr = Attr {
        kind: TYPE_SOFTWARE,
        config: COUNT_SW_BPF_OUTPUT,
        rate: SampleRate::Period(1),
        sample_type: SAMPLE_RAW,
        exclude_guest: false,
    };
    Event::open(&attr, cpu, None).map_err(|e| Error::call("perf_event_open", "BPF output", e))
}

impl Design for Record {
    type Part = Recording;

    fn cadence(&self) -> Cadence {
        every(self.wake_ms)
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Recording>> {
        let cpus = loader.cpus();
        let probe = loader.load(PROGRAM, &[(EVENTS, cpus), (losses::LOSSES, cpus)], spot)?;
        let losses = probe.slots::<losses::Slot>(losses::LOSSES, 1)?;
        let events: Vec<_> = cpus::online()?.iter().copied().map(open).collect::<Result<_>>()?;
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
