//! The events of all places on all CPUs.
//!
//! Those of one CPU are a group: they start and stop at the same time, and one read(2), for which
//! the kernel interrupts that CPU once, returns all counts. They share one ring.

use std::{io, result};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    points::Point,
    ring::{Record, RecordError, Records, SampleLayout},
};
use crate::sys::perf::{Event, Reading, Ring, SampleRate};

/// The events, by CPU.
#[derive(Debug)]
pub(super) struct PerfEvents {
    cpus: Vec<Cpu>,
    layout: SampleLayout,
    buffer: Vec<u8>,
}

/// The events of one CPU, the leader first.
#[derive(Debug)]
struct Cpu {
    /// The ring for their records.
    ring: Option<Ring>,
    events: Vec<Event>,
    /// Numbers by which records identify the events, in the order of the events; empty if there is
    /// only one.
    ids: Vec<u64>,
    /// What was read from the ring.
    taken: Taken,
}

/// The content of a ring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Records of each place.
    pub(super) records: Vec<u64>,
    /// Records for which there was no room, as far as records report it.
    pub(super) lost: u64,
    /// How often the kernel stopped an event for the rest of a tick.
    pub(super) throttled: u64,
    /// Total bytes.
    pub(super) bytes: u64,
}

impl PerfEvents {
    /// Opens an event at each of `places` on each of `cpus`, disabled; with rings of so many pages
    /// where they record.
    ///
    /// # Errors
    /// The kernel refused one; none remains open.
    pub(super) fn open(
        places: &[Point],
        cpus: &[u32],
        rate: SampleRate,
        pages: Option<usize>,
    ) -> Result<Self> {
        // If there is only one event, its records need no identifier.
        let layout = match places {
            [_] => SampleLayout::TIME,
            _ => SampleLayout::TIME.and(SampleLayout::IDENTIFIER),
        };
        allow_files(places.len() * cpus.len())?;
        let open = |&cpu: &u32| Cpu::open(places, cpu, rate, layout, pages);
        Ok(Self { cpus: cpus.iter().map(open).collect::<Result<_>>()?, layout, buffer: Vec::new() })
    }

    /// Checks that this process may open events for all tasks.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn may_open(cpus: &[u32]) -> Result<()> {
        cpus.iter().take(1).try_for_each(|&cpu| {
            Event::may_watch_all(cpu).map_err(|e| refused("a disabled event", cpu, e))
        })
    }

    /// Starts all.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn enable(&self) -> Result<()> {
        self.leaders().try_for_each(Event::enable)
    }

    /// Stops all, even if one fails.
    ///
    /// # Errors
    /// What the kernel refused first.
    pub(super) fn disable(&self) -> Result<()> {
        self.leaders().map(Event::disable).fold(Ok(()), Result::and)
    }

    fn leaders(&self) -> impl Iterator<Item = &Event> {
        self.cpus.iter().filter_map(|cpu| cpu.events.first())
    }

    /// The counts of each CPU's events so far, in the order of the places.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn read(&self) -> Result<Vec<Reading>> {
        self.cpus
            .iter()
            .filter_map(|cpu| Some(cpu.events.first()?.read(cpu.events.len())))
            .collect()
    }

    /// Reads all records from the rings, and passes each one's place and time to `each`.
    ///
    /// # Errors
    /// A record is wrong; the others are still read.
    pub(super) fn drain(&mut self, mut each: impl FnMut(usize, Nanos)) -> Result<()> {
        let mut damage = None;
        for cpu in &mut self.cpus {
            let Cpu { ring: Some(ring), events, ids, taken } = cpu else { continue };
            self.buffer.clear();
            taken.bytes += ring.drain(&mut self.buffer)? as u64;
            for record in Records::new(&self.buffer, self.layout) {
                if let Err(why) = taken.take(record, ids, &mut each) {
                    let ring = format!("perf ring of CPU {}", events[0].cpu());
                    damage.get_or_insert(Error::malformed(ring, why));
                }
            }
        }
        damage.map_or(Ok(()), Err)
    }

    /// What was read from each CPU's ring.
    pub(super) fn taken(&self) -> impl Iterator<Item = &Taken> {
        self.cpus.iter().map(|cpu| &cpu.taken)
    }

    /// Bytes of all rings.
    pub(super) fn memory(&self) -> u64 {
        self.cpus.iter().filter_map(|cpu| cpu.ring.as_ref()).map(|ring| ring.mapped() as u64).sum()
    }
}

impl Cpu {
    fn open(
        places: &[Point],
        cpu: u32,
        rate: SampleRate,
        layout: SampleLayout,
        pages: Option<usize>,
    ) -> Result<Self> {
        let mut events: Vec<Event> = Vec::with_capacity(places.len());
        for place in places {
            let attr = place.attr(rate, layout.sample_type());
            let event = Event::open(&attr, cpu, events.first());
            events.push(event.map_err(|e| refused(&place.name, cpu, e))?);
        }
        let ring = match (events.first(), pages) {
            (Some(leader), Some(pages)) => Some(leader.map(pages)?),
            _ => None,
        };
        let mut ids = Vec::new();
        if let ([leader, members @ ..], Some(_)) = (&events[..], &ring)
            && !members.is_empty()
        {
            members.iter().try_for_each(|member| member.write_to(leader))?;
            ids = events.iter().map(Event::id).collect::<Result<_>>()?;
        }
        let taken = Taken { records: vec![0; places.len()], ..Taken::default() };
        Ok(Self { ring, events, ids, taken })
    }
}

impl Taken {
    #[inline]
    fn take(
        &mut self,
        record: result::Result<Record<'_>, RecordError>,
        ids: &[u64],
        each: &mut impl FnMut(usize, Nanos),
    ) -> result::Result<(), String> {
        match record.map_err(|e| e.to_string())? {
            Record::Sample(sample) => {
                let place = match ids {
                    [] => 0,
                    // The kernel numbers events in the order of opening.
                    _ => ids
                        .binary_search(&sample.id)
                        .map_err(|_| format!("a record of unknown event {}", sample.id))?,
                };
                self.records[place] += 1;
                each(place, Nanos(sample.time));
            }
            Record::Lost(n) | Record::LostSamples(n) => self.lost += n,
            Record::Throttle => self.throttled += 1,
            Record::Unthrottle | Record::Other(_) => {}
        }
        Ok(())
    }
}

fn refused(what: &str, cpu: u32, source: io::Error) -> Error {
    let errno = source.raw_os_error();
    let error = Error::call("perf_event_open", format!("{what} on CPU {cpu}"), source);
    match errno {
        Some(libc::EACCES | libc::EPERM) => {
            error.with_hint("Run as root, or: sysctl kernel.perf_event_paranoid=-1")
        }
        Some(libc::EMFILE) => error.with_hint("Allow more open files (ulimit -Hn), or trace less"),
        Some(libc::E2BIG) => error.with_hint("Trace less: the events of one CPU are one group"),
        _ => error,
    }
}

/// An event is an open file, and a large target on many CPUs has more of them than a process may
/// open by default: raises the limit to the maximum if necessary.
fn allow_files(events: usize) -> Result<()> {
    /// Number of other open files of this process.
    const OTHERS: u64 = 256;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= events as u64 + OTHERS) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .map_err(|e| Error::call("setrlimit", "RLIMIT_NOFILE", e.into()))
}
