//! The exact call counter of one function by vhost worker: one copy of `fentry_by_worker` with maps of its own. All its
//! slots together are what [`Counter`](super::counter::Counter) would have counted.

use std::{fs, mem::offset_of};

use probe_ebpf::{
    fentry_by_worker::{PROGRAM, WORKERS},
    fentry_count::{SLOTS, Slot},
};

use super::probe::{Probe, Probes};
use crate::{
    error::{Error, Result},
    model::{loss::Loss, target::Function},
    sys::{bpf::maps, mapped::MappedArray},
};

/// `PROC_PID_INIT_INO` of include/linux/proc_ns.h: what /proc shows as the first PID namespace.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Makes counters that tell the same workers apart.
#[derive(Debug)]
pub struct WorkerCounters {
    probes: Probes,
    workers: Vec<u32>,
}

/// Counts the calls of one function while it is attached, each worker's by itself.
#[derive(Debug)]
pub struct WorkerCounter {
    probe: Probe,
    slots: MappedArray,
    /// Slots of CPUs, before those of the workers.
    cpus: usize,
    workers: usize,
}

/// What a counter held at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// Of all threads.
    pub all: u64,
    /// Of each worker; empty where threads cannot be told apart.
    pub workers: Vec<u64>,
}

impl WorkerCounters {
    /// For the workers with these thread ids. In a PID namespace of its own a process knows threads by other ids than the
    /// kernel's programs do; there no worker is told from another, and only the sum is counted.
    ///
    /// # Errors
    /// The kernel has no BTF or refuses ours; not root.
    pub fn new(workers: &[u32]) -> Result<Self> {
        let ids_are_the_kernels = fs::read_link("/proc/self/ns/pid")
            .is_ok_and(|to| to.as_os_str() == FIRST_PID_NAMESPACE);
        let workers = if ids_are_the_kernels { workers.to_vec() } else { Vec::new() };
        Ok(Self { probes: Probes::new()?, workers })
    }

    /// Loads a counter for `function`, not yet attached. `name` is the program's name in the kernel.
    ///
    /// # Errors
    /// The function has no type, or the kernel refuses a map or the program on it.
    pub fn load(&mut self, function: &Function, name: &str) -> Result<WorkerCounter> {
        let (cpus, workers) = (self.probes.cpus(), self.workers.len());
        let number = u32::try_from(workers).unwrap_or(u32::MAX);
        let slots = cpus.saturating_add(number);
        // A hash of no entries cannot be made.
        let maps = [(SLOTS, slots), (WORKERS, number.max(1))];
        let probe = self.probes.load(PROGRAM, name, &maps, function)?;
        for (slot, worker) in (cpus..).zip(&self.workers) {
            maps::update(probe.map(WORKERS)?, &worker.to_ne_bytes(), &slot.to_ne_bytes()).map_err(
                |e| Error::call("bpf(BPF_MAP_UPDATE_ELEM)", format!("worker {worker}"), e),
            )?;
        }
        let slots = MappedArray::new(probe.map(SLOTS)?, slots as usize * WORDS)
            .map_err(|e| Error::call("mmap", format!("{SLOTS} for {}", function.name), e))?;
        Ok(WorkerCounter { probe, slots, cpus: cpus as usize, workers })
    }
}

/// Words from one slot to the next.
const WORDS: usize = size_of::<Slot>() / size_of::<u64>();

impl WorkerCounter {
    /// The function that it counts.
    pub fn function(&self) -> &str {
        self.probe.function()
    }

    /// Starts counting.
    ///
    /// # Errors
    /// The function cannot be patched, or something else holds it.
    pub fn attach(&mut self) -> Result<()> {
        self.probe.attach()
    }

    /// Stops counting; what was counted stays readable. Nothing to do where it is not attached.
    ///
    /// # Errors
    /// The program is still attached.
    pub fn detach(&mut self) -> Result<()> {
        self.probe.detach()
    }

    /// Calls counted since the counter was loaded, without a system call.
    pub fn calls(&self) -> Calls {
        let slot = |index: usize| {
            self.slots.load(index * WORDS + offset_of!(Slot, calls) / size_of::<u64>())
        };
        let workers: Vec<u64> = (self.cpus..self.cpus + self.workers).map(slot).collect();
        let others: u64 = (0..self.cpus).map(slot).sum();
        Calls { all: others + workers.iter().sum::<u64>(), workers }
    }

    /// Calls at which the program did not run, since it was loaded.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn missed(&self) -> Result<Loss> {
        self.probe.missed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_what_the_counter_asks_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        assert!(object.programs.contains_key(PROGRAM));
        let workers = &object.maps[WORKERS];
        assert_eq!((workers.key_size(), workers.value_size()), (4, 4));
        assert_eq!(object.maps[SLOTS].value_size() as usize, WORDS * size_of::<u64>());
    }
}
