//! `bpf-fentry-count-percpu` and `bpf-fentry-count-hash`: the textbook's counters, read by system
//! calls.
//!
//! The one counts in a per-CPU array, the other in a per-CPU hash by the function's address, as
//! bpftrace's `@[func] = count()` does, with room for as many keys. bpftrace has one hash for all
//! functions; here each program has its own, whose other keys are no part of the lookup. Both find
//! their value by the kernel's own lookup, and user space reads all CPUs' values with one system
//! call per function and bin edge.

use probe_core::{
    error::{Error, Result},
    model::{
        method::{Class, SeriesUnit},
        target::Function,
        units::Nanos,
    },
};
use probe_ebpf::{fentry_count_hash, fentry_count_percpu, losses};

use super::session::{Account, Design, Details, Fentry, Kind, Part};
use crate::{
    kernel::bpf::{
        probe::{Probe, Probes},
        slots::Slots,
    },
    methods::{Cadence, Method, Sink, options::Options},
    sys::bpf::maps,
};

/// Id of the one with the array.
pub(super) const PERCPU: &str = "bpf-fentry-count-percpu";
/// Id of the one with the hash.
pub(super) const HASH: &str = "bpf-fentry-count-hash";

/// bpftrace's `max_map_keys`, unless told otherwise: what a lookup costs depends on the number of
/// buckets.
const HASH_KEYS: u32 = 4096;

/// Counts in a per-CPU array; it has no parameters.
#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
pub(super) fn percpu(options: &mut Options) -> Result<Box<dyn Method>> {
    let summary = "fentry programs count each call in a per-CPU array; read by system call";
    Ok(Box::new(Fentry::new(options, kind(summary), Array)))
}

/// Counts in a per-CPU hash; it has no parameters.
#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
pub(super) fn hash(options: &mut Options) -> Result<Box<dyn Method>> {
    let summary =
        "fentry programs count each call in a per-CPU hash by address; read by system call";
    Ok(Box::new(Fentry::new(options, kind(summary), Hash)))
}

fn kind(summary: &str) -> Kind {
    Kind {
        class: Class::Exact,
        unit: SeriesUnit::Calls { factor: 1.0 },
        summary: summary.into(),
        parameters: Details::new(),
    }
}

#[derive(Debug)]
struct Array;

#[derive(Debug)]
struct Hash;

impl Design for Array {
    type Part = PerCpu;

    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn load(&self, probes: &mut Probes, f: &Function, name: &str) -> Result<(Probe, PerCpu)> {
        const MAP: &str = fentry_count_percpu::CALLS;
        let probe = probes.load(fentry_count_percpu::PROGRAM, name, &[(MAP, 1)], f)?;
        let key = Some(0_u32.to_ne_bytes().to_vec());
        Ok((probe, PerCpu::new(MAP, key, None, probes.cpus())))
    }
}

impl Design for Hash {
    type Part = PerCpu;

    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn load(&self, probes: &mut Probes, f: &Function, name: &str) -> Result<(Probe, PerCpu)> {
        const MAP: &str = fentry_count_hash::CALLS;
        let cpus = probes.cpus();
        let maps = [(MAP, HASH_KEYS), (losses::LOSSES, cpus)];
        let probe = probes.load(fentry_count_hash::PROGRAM, name, &maps, f)?;
        let refused = Slots::of::<losses::Slot>(&probe, losses::LOSSES)?;
        Ok((probe, PerCpu::new(MAP, None, Some(refused), cpus)))
    }
}

/// A per-CPU map with one value.
#[derive(Debug)]
struct PerCpu {
    map: &'static str,
    /// Known before, or from the first call on.
    key: Option<Vec<u8>>,
    /// Calls that the map did not take.
    refused: Option<Slots>,
    /// One word for each possible CPU; those of numbers that no CPU can have stay zero.
    values: Vec<u8>,
    reads: u64,
}

impl PerCpu {
    fn new(map: &'static str, key: Option<Vec<u8>>, refused: Option<Slots>, cpus: u32) -> Self {
        Self { map, key, refused, values: vec![0; cpus as usize * size_of::<u64>()], reads: 0 }
    }

    fn read(&mut self, probe: &Probe) -> Result<u64> {
        let failed =
            |call, e| Error::call(call, format!("{} for {}", self.map, probe.function()), e);
        let map = probe.map(self.map)?;
        if self.key.is_none() {
            let mut key = vec![0; size_of::<u64>()];
            let found = maps::first_key(map, &mut key)
                .map_err(|e| failed("bpf(BPF_MAP_GET_NEXT_KEY)", e))?;
            self.key = found.then_some(key);
        }
        let Some(key) = &self.key else { return Ok(0) };
        maps::lookup(map, key, &mut self.values)
            .map_err(|e| failed("bpf(BPF_MAP_LOOKUP_ELEM)", e))?;
        self.reads += 1;
        Ok(self.values.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).sum())
    }
}

impl Part for PerCpu {
    fn drain(&mut self, probe: &Probe, item: usize, sink: &mut dyn Sink) -> Result<()> {
        sink.count(item, self.read(probe)?);
        Ok(())
    }

    fn account(&mut self, probe: &Probe, _: Nanos) -> Result<Account> {
        let calls = self.read(probe)?;
        let missed = self.refused.as_ref().map_or(0, |slots| slots.sum(0));
        let bytes = self.reads * self.values.len() as u64;
        Ok(Account { missed, ..Account::new(Some(calls), bytes) })
    }
}
