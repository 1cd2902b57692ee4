//! What programs count per CPU, read from shared memory.

use probe_core::error::{Error, Result};

use crate::{
    kernel::{bpf::object::Instance, cpus},
    sys::mapped::MappedArray,
};

const WORD: usize = size_of::<u64>();

/// A map of one value for each CPU number that this host can have, or of as many for each of
/// several items: the first item's values, then the second's.
#[derive(Debug)]
pub struct PerCpu {
    mapped: MappedArray,
    /// Words from one value to the next.
    stride: usize,
    cpus: usize,
}

impl PerCpu {
    /// Maps the map `name` of `program`, whose values are `T`s.
    ///
    /// # Errors
    /// It has no such map, or one that cannot be mapped.
    pub fn new<T>(program: &Instance, name: &str, items: usize, subject: &str) -> Result<Self> {
        let (cpus, stride) = (cpus::slots()? as usize, size_of::<T>() / WORD);
        let mapped = MappedArray::new(program.map(name)?, items * cpus * stride)
            .map_err(|e| Error::call("mmap", format!("{name} for {subject}"), e))?;
        Ok(Self { mapped, stride, cpus })
    }

    /// What stands at `offset` bytes in one CPU's value of an item, without a system call.
    pub fn load(&self, item: usize, cpu: usize, offset: usize) -> u64 {
        self.mapped.load((item * self.cpus + cpu) * self.stride + offset / WORD)
    }

    /// Its sum over all CPUs.
    pub fn sum(&self, item: usize, offset: usize) -> u64 {
        (0..self.cpus).map(|cpu| self.load(item, cpu, offset)).sum()
    }

    /// CPU numbers that there are values for.
    pub fn cpus(&self) -> usize {
        self.cpus
    }
}
