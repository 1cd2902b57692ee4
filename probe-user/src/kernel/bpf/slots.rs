//! A map of slots, one per CPU number: arrays of words that programs write. User space reads them
//! in place, and initializes them before the programs run.

use std::os::fd::AsFd as _;

use probe_core::error::{Error, Result};

use super::object::{LoadedProgram, Map};
use crate::{
    kernel::cpus,
    sys::{bpf::maps, mapped::MappedArray},
};

const WORD: usize = size_of::<u64>();

/// One slot per possible CPU number of this host, or one per item and CPU number: the first item's
/// slots, then the second's.
#[derive(Debug)]
pub struct Slots {
    map: Map,
    mapped: MappedArray,
    /// Words from one slot to the next.
    stride: usize,
    cpus: usize,
}

impl Slots {
    /// Maps the map `name` of a program, whose slots are `T`s; `subject` names it in errors.
    ///
    /// # Errors
    /// It has no such map, or one that cannot be mapped.
    pub fn new<T>(
        program: &LoadedProgram,
        name: &str,
        items: usize,
        subject: &str,
    ) -> Result<Self> {
        let (cpus, stride) = (cpus::slots()? as usize, size_of::<T>() / WORD);
        let map = Map::clone(program.map(name)?);
        let mapped = MappedArray::new(map.fd().as_fd(), items * cpus * stride)
            .map_err(|e| Error::call("mmap", format!("{name} for {subject}"), e))?;
        Ok(Self { map, mapped, stride, cpus })
    }

    /// The word at `offset` bytes in one CPU's slot, read without a system call.
    pub fn load(&self, cpu: usize, offset: usize) -> u64 {
        self.mapped.load(cpu * self.stride + offset / WORD)
    }

    /// Its sum over all CPUs.
    pub fn sum(&self, offset: usize) -> u64 {
        self.sum_of(0, offset)
    }

    /// Its sum over all CPUs' slots of one item.
    pub fn sum_of(&self, item: usize, offset: usize) -> u64 {
        let first = item * self.cpus;
        (first..first + self.cpus).map(|slot| self.load(slot, offset)).sum()
    }

    /// Number of CPU numbers that have slots.
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// Sets whole slots to the words that `slot` returns for each CPU, followed by zeros. Only
    /// while the program is not attached.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn fill<const N: usize>(&self, slot: impl Fn(usize) -> [u64; N]) -> Result<()> {
        for cpu in 0..self.cpus {
            let key = u32::try_from(cpu).unwrap_or(u32::MAX).to_ne_bytes();
            let mut value: Vec<u8> = slot(cpu).iter().flat_map(|word| word.to_ne_bytes()).collect();
            value.resize(self.stride * WORD, 0);
            maps::update(self.map.fd().as_fd(), &key, &value)
                .map_err(|e| Error::call("bpf(BPF_MAP_UPDATE_ELEM)", format!("CPU {cpu}"), e))?;
        }
        Ok(())
    }
}
