//! What programs count per CPU, read from shared memory.

use std::fs;

use crate::{
    error::{Error, Result},
    kernel::bpf::object::Instance,
    sys::mapped::MappedArray,
};

const WORD: usize = size_of::<u64>();

/// A map of one value for each CPU number that this host can have, or of as many for each of several items: the first
/// item's values, then the second's.
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
        let (cpus, stride) = (possible_cpus()? as usize, size_of::<T>() / WORD);
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

/// One more than the highest number that a CPU can have on this host: the numbers may have gaps.
///
/// # Errors
/// The list cannot be read or is none.
pub fn possible_cpus() -> Result<u32> {
    let path = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(path).map_err(|e| Error::file("read", path, e))?;
    after_last(&text).ok_or_else(|| Error::malformed(path, format!("{text:?} lists no CPUs")))
}

/// One more than the last number of a list such as `0-3,8`.
fn after_last(list: &str) -> Option<u32> {
    list.trim().rsplit([',', '-']).next()?.parse::<u32>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_slot_for_the_highest_cpu() {
        for (list, cpus) in [("0\n", 1), ("0-3\n", 4), ("0-1,8-11\n", 12), ("0,2\n", 3)] {
            assert_eq!(after_last(list), Some(cpus), "{list}");
        }
        for list in ["", "none", "0-", "4294967295"] {
            assert_eq!(after_last(list), None, "{list}");
        }
    }
}
