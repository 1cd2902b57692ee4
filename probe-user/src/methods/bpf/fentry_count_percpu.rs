//! `bpf-fentry-count-percpu` and `bpf-fentry-count-hash`: textbook counters, read by system calls.
//!
//! One counts in a per-CPU array, the other in a per-CPU hash keyed by the function's address, like
//! bpftrace's `@[func] = count()`, with space for as many keys. bpftrace has one hash for all
//! functions; here each program has its own, so no other keys take part in the lookup. Both use the
//! kernel's lookup to find their value, and user space reads the values of all CPUs with one system
//! call per function and bin edge.

use std::os::fd::AsFd as _;

use probe_core::{
    error::{Error, Result},
    model::{item::ItemId, method::Class},
};
use probe_ebpf::{fentry_count_hash, fentry_count_percpu, losses};

use super::session::{Account, Design, MethodKind, Part, Programmed, Traced};
use crate::{
    kernel::bpf::{
        loader::{Loader, Spot},
        object::Map,
        probe::Probe,
        slots::Slots,
    },
    methods::{Method, Sink, options::Options},
    sys::bpf::maps,
};

/// Id of the method with the array.
pub(super) const PERCPU: &str = "bpf-fentry-count-percpu";
/// Id of the method with the hash.
pub(super) const HASH: &str = "bpf-fentry-count-hash";

/// bpftrace's default for `max_map_keys`: the cost of a lookup depends on the number of buckets.
const HASH_KEYS: u32 = 4096;

/// Counts in a per-CPU array; it has no parameters.
#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
pub(super) fn percpu(options: &mut Options) -> Result<Box<dyn Method>> {
    let summary = "fentry programs count each call in a per-CPU array; read by system call";
    Ok(Programmed::make(options, MethodKind::new(Class::Exact, summary), Array))
}

/// Counts in a per-CPU hash; it has no parameters.
#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
pub(super) fn hash(options: &mut Options) -> Result<Box<dyn Method>> {
    let summary =
        "fentry programs count each call in a per-CPU hash by address; read by system call";
    Ok(Programmed::make(options, MethodKind::new(Class::Exact, summary), Hash))
}

#[derive(Debug)]
struct Array;

#[derive(Debug)]
struct Hash;

impl Design for Array {
    type Part = PerCpu;

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<PerCpu>> {
        const MAP: &str = fentry_count_percpu::CALLS;
        let probe = loader.load(fentry_count_percpu::PROGRAM, &[(MAP, 1)], spot)?;
        let key = Some(0_u32.to_ne_bytes().to_vec());
        let part = PerCpu::new(probe.map(MAP)?, key, None, loader.cpus());
        Ok(Traced::new(probe, part))
    }
}

impl Design for Hash {
    type Part = PerCpu;

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<PerCpu>> {
        const MAP: &str = fentry_count_hash::CALLS;
        let maps = [(MAP, HASH_KEYS), (losses::LOSSES, loader.cpus())];
        let probe = loader.load(fentry_count_hash::PROGRAM, &maps, spot)?;
        let refused = probe.slots::<losses::Slot>(losses::LOSSES, 1)?;
        let part = PerCpu::new(probe.map(MAP)?, None, Some(refused), loader.cpus());
        Ok(Traced::new(probe, part))
    }
}

/// A per-CPU map with one value.
#[derive(Debug)]
struct PerCpu {
    map: Map,
    /// The key, known in advance or from the first call on.
    key: Option<Vec<u8>>,
    /// Calls that the map did not accept.
    refused: Option<Slots>,
    /// One word per possible CPU; words of impossible CPU numbers remain zero.
    values: Vec<u8>,
    reads: u64,
}

impl PerCpu {
    fn new(map: &Map, key: Option<Vec<u8>>, refused: Option<Slots>, cpus: u32) -> Self {
        let values = vec![0; cpus as usize * size_of::<u64>()];
        Self { map: Map::clone(map), key, refused, values, reads: 0 }
    }

    fn read(&mut self) -> Result<u64> {
        let failed = |call, e| Error::call(call, "a per-CPU map of calls", e);
        let map = self.map.fd().as_fd();
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
    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        sink.count(item, self.read()?);
        Ok(())
    }

    fn account(&mut self, _: &[Probe]) -> Result<Account> {
        let calls = self.read()?;
        let missed = self.refused.as_ref().map_or(0, |slots| slots.sum(0));
        let bytes = self.reads * self.values.len() as u64;
        Ok(Account { missed, ..Account::new(Some(calls), bytes) })
    }
}
