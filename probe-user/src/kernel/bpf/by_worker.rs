//! The exact call counter of one function by vhost worker: one copy of `fentry_by_worker` with its
//! own maps. The sum of its slots is what [`Counter`](super::counter::Counter) would count.

use std::{mem::offset_of, os::fd::AsFd as _};

use probe_core::{
    error::{Error, Result},
    model::target::Function,
};
use probe_ebpf::{
    fentry_by_worker::{ENTRIES, PROBES, PROGRAM, WORKERS},
    fentry_count::{SLOTS, Slot},
};

use super::{
    chosen::Programs,
    loader::{Loader, Spot},
    probe::Probe,
};
use crate::{
    kernel::host,
    sys::{bpf::maps, mapped::MappedArray},
};

/// Creates counters that distinguish the same workers.
#[derive(Debug)]
pub struct WorkerCounters {
    /// Loads other programs too.
    pub loader: Loader,
    workers: Vec<u32>,
}

/// Counts the calls of one function while it is attached, separately for each worker.
#[derive(Debug)]
pub struct WorkerCounter {
    /// The program.
    pub probe: Probe,
    slots: MappedArray,
    /// Number of slots of CPUs, which precede those of the workers.
    cpus: usize,
    workers: usize,
}

/// The value of a counter at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Of all threads.
    pub all: u64,
    /// Calls of each worker; empty if threads cannot be distinguished.
    pub workers: Vec<u64>,
}

impl WorkerCounters {
    /// Creates counters for the workers with these thread ids; the kernel will call the programs
    /// `name`. In its own PID namespace a process knows threads by other ids than the kernel's
    /// programs do. Workers cannot be distinguished there, and only the sum is counted.
    ///
    /// # Errors
    /// The kernel has no BTF or rejects ours; not root.
    pub fn new(programs: &Programs, name: &str, workers: &[u32]) -> Result<Self> {
        let ids_are_the_kernels = host::is_first_pid_namespace();
        let workers = if ids_are_the_kernels { workers.to_vec() } else { Vec::new() };
        Ok(Self { loader: Loader::new(programs, name)?, workers })
    }

    /// Loads a counter for `function`, not yet attached.
    ///
    /// # Errors
    /// The function has no type, or the kernel refuses a map or the program on it.
    pub fn load(&mut self, function: &Function) -> Result<WorkerCounter> {
        let (cpus, workers) = (self.loader.cpus(), self.workers.len());
        let number = u32::try_from(workers).unwrap_or(u32::MAX);
        let slots = cpus.saturating_add(number);
        let maps = [(SLOTS, slots), (WORKERS, ENTRIES + PROBES)];
        let probe = self.loader.load(PROGRAM, &maps, Spot::Fentry(function))?;
        for (place, worker, slot) in places(&self.workers, cpus)? {
            let value = [worker.to_ne_bytes(), slot.to_ne_bytes()].concat();
            maps::update(probe.map(WORKERS)?.fd().as_fd(), &place.to_ne_bytes(), &value).map_err(
                |e| Error::call("bpf(BPF_MAP_UPDATE_ELEM)", format!("worker {worker}"), e),
            )?;
        }
        let slots = MappedArray::new(probe.map(SLOTS)?.fd().as_fd(), slots as usize * WORDS)
            .map_err(|e| Error::call("mmap", format!("{SLOTS} for {}", function.name), e))?;
        Ok(WorkerCounter { probe, slots, cpus: cpus as usize, workers })
    }
}

/// The place of each worker in [`WORKERS`], with its slot; slots from `first` on belong to workers.
fn places(workers: &[u32], first: u32) -> Result<Vec<(u32, u32, u32)>> {
    let mut taken: Vec<(u32, u32, u32)> = Vec::new();
    for (slot, &worker) in (first..).zip(workers) {
        let own = worker % ENTRIES;
        let free = |place: &u32| taken.iter().all(|(other, ..)| other != place);
        let place = (own..own + PROBES).find(free).ok_or_else(|| {
            Error::unsupported(
                "calls by worker",
                format!("{} workers have ids that collide", workers.len()),
                "Measure with fewer guests, or restart them",
            )
        })?;
        taken.push((place, worker, slot));
    }
    Ok(taken)
}

/// Words from one slot to the next.
const WORDS: usize = size_of::<Slot>() / size_of::<u64>();

impl WorkerCounter {
    /// Calls counted since the counter was loaded, without a system call.
    pub fn calls(&self) -> CallCounts {
        let slot = |index: usize| {
            self.slots.load(index * WORDS + offset_of!(Slot, calls) / size_of::<u64>())
        };
        let workers: Vec<u64> = (self.cpus..self.cpus + self.workers).map(slot).collect();
        let others: u64 = (0..self.cpus).map(slot).sum();
        CallCounts { all: others + workers.iter().sum::<u64>(), workers }
    }
}

#[cfg(test)]
mod tests {
    use probe_ebpf::fentry_by_worker::Worker;

    use super::*;

    #[test]
    fn the_object_has_what_the_counter_asks_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        assert!(object.programs.contains_key(PROGRAM));
        assert_eq!(object.maps[WORKERS].value_size() as usize, size_of::<Worker>());
        assert_eq!(object.maps[SLOTS].value_size() as usize, WORDS * size_of::<u64>());
    }

    #[test]
    fn ids_that_are_alike_stand_one_behind_the_other() {
        let far = |id: u32| id + ENTRIES;
        let found = places(&[7, far(7), 8, ENTRIES - 1, 2 * ENTRIES - 1], 2).unwrap();
        let expected = [
            (7, 7, 2),
            (8, far(7), 3),
            (9, 8, 4),
            (ENTRIES - 1, ENTRIES - 1, 5),
            // Beyond the last place it does not wrap around.
            (ENTRIES, 2 * ENTRIES - 1, 6),
        ];
        assert_eq!(found, expected);
        let alike: Vec<u32> = (0..=PROBES).map(|times| 5 + times * ENTRIES).collect();
        places(&alike, 0).unwrap_err();
    }
}
