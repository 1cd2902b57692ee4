//! A map of slots, one for each CPU number: arrays of words that programs write and user space
//! reads in place, and sets before the programs run.

use std::os::fd::BorrowedFd;

use probe_core::error::{Error, Result};

use super::{percpu::PerCpu, probe::Probe};
use crate::sys::bpf::maps;

/// The slots of one map, of so many bytes each.
#[derive(Debug)]
pub struct Slots {
    values: PerCpu,
    bytes: usize,
}

impl Slots {
    /// Maps the slots of the probe's map `name`, which holds one `T` for each CPU number.
    ///
    /// # Errors
    /// The probe has no such map, or the kernel refuses to map it.
    pub fn of<T>(probe: &Probe, name: &str) -> Result<Self> {
        let values = PerCpu::new::<T>(probe.instance(), name, 1, probe.function())?;
        Ok(Self { values, bytes: size_of::<T>() })
    }

    /// The field at `offset` bytes of one CPU's slot, without a system call.
    pub fn load(&self, cpu: usize, offset: usize) -> u64 {
        self.values.load(0, cpu, offset)
    }

    /// Its sum over all CPUs.
    pub fn sum(&self, offset: usize) -> u64 {
        self.values.sum(0, offset)
    }

    /// CPU numbers that there are slots for.
    pub fn cpus(&self) -> usize {
        self.values.cpus()
    }

    /// Sets whole slots of `map`, which these are of, to the words that `slot` gives for each CPU,
    /// and zero behind them. Only while its program is not attached.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn fill<const N: usize>(
        &self,
        map: BorrowedFd<'_>,
        slot: impl Fn(usize) -> [u64; N],
    ) -> Result<()> {
        for cpu in 0..self.cpus() {
            let key = u32::try_from(cpu).unwrap_or(u32::MAX).to_ne_bytes();
            let mut value: Vec<u8> = slot(cpu).iter().flat_map(|word| word.to_ne_bytes()).collect();
            value.resize(self.bytes, 0);
            maps::update(map, &key, &value)
                .map_err(|e| Error::call("bpf(BPF_MAP_UPDATE_ELEM)", format!("CPU {cpu}"), e))?;
        }
        Ok(())
    }
}
