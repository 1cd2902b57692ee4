//! The exact call counter of one function: one copy of `fentry_count` with a map of its own.
//!
//! Exact means: calls that were counted + hits that the kernel skipped (`recursion_misses`) = calls that were made
//! while the link was in place.

use std::{
    fs,
    mem::offset_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use aya_obj::generated::bpf_attach_type;
use probe_ebpf::fentry_count::{PROGRAM, SLOTS, Slot};

use super::{
    function::FunctionTypes,
    link::Link,
    object::{Instance, Object, Plan},
};
use crate::{
    error::{Error, Result},
    model::{loss::Loss, target::Function, units::Bytes},
    sys::{
        bpf::{self, Kind, ProgramInfo},
        mapped::MappedArray,
    },
};

const FENTRY: bpf_attach_type = bpf_attach_type::BPF_TRACE_FENTRY;
const WORD: usize = size_of::<u64>();
/// Words from one CPU's slot to the next.
const STRIDE: usize = size_of::<Slot>() / WORD;
/// The word of a slot that is the count.
const CALLS: usize = offset_of!(Slot, calls) / WORD;

/// Makes counters.
#[derive(Debug)]
pub struct Counters {
    object: Object,
    types: FunctionTypes,
    cpus: u32,
}

/// Counts the calls of one function while it is attached.
#[derive(Debug)]
pub struct Counter {
    function: String,
    // Before the instance: it detaches before the program and its map go.
    link: Option<Link>,
    slots: MappedArray,
    cpus: usize,
    instance: Instance,
}

impl Counters {
    /// Reads the object and the kernel's types.
    ///
    /// # Errors
    /// The kernel has no BTF or refuses ours; not root.
    pub fn new() -> Result<Self> {
        Ok(Self { object: Object::open()?, types: FunctionTypes::read()?, cpus: possible_cpus()? })
    }

    /// Loads a counter for `function`, not yet attached. `name` is the program's name in the kernel.
    ///
    /// # Errors
    /// The function has no type, or the verifier refuses the program on it.
    pub fn load(&mut self, function: &Function, name: &str) -> Result<Counter> {
        let instance = self.object.load(&Plan {
            program: PROGRAM,
            name,
            maps: &[(SLOTS, self.cpus)],
            partner: None,
            kind: Kind::Tracing { at: FENTRY, function: self.types.find(function)? },
            subject: &function.name,
        })?;
        let cpus = self.cpus as usize;
        let slots = MappedArray::new(instance.map(SLOTS)?, cpus * STRIDE)
            .map_err(|e| Error::call("mmap", format!("{SLOTS} for {}", function.name), e))?;
        Ok(Counter { function: function.name.clone(), link: None, slots, cpus, instance })
    }
}

impl Counter {
    /// The function that it counts.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// Starts counting.
    ///
    /// # Errors
    /// The function cannot be patched, or something else holds it.
    pub fn attach(&mut self) -> Result<()> {
        self.link = Some(Link::function(self.instance.program.as_fd(), FENTRY, &self.function)?);
        Ok(())
    }

    /// Stops counting; what was counted stays readable. Nothing to do where it is not attached.
    ///
    /// # Errors
    /// The program is still attached.
    pub fn detach(&mut self) -> Result<()> {
        self.link.take().map_or(Ok(()), Link::detach)
    }

    /// Calls counted since the counter was loaded, without a system call.
    pub fn calls(&self) -> u64 {
        (0..self.cpus).map(|cpu| self.slots.load(cpu * STRIDE + CALLS)).sum()
    }

    /// Words that [`Counter::calls`] reads.
    pub fn slots(&self) -> u64 {
        self.cpus as u64
    }

    /// Calls at which the program did not run, since it was loaded.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn missed(&self) -> Result<Loss> {
        Ok(self.info()?.recursion_misses.map_or(Loss::Unknown, Loss::Exact))
    }

    /// Calls that were made while the counter was attached: those it counted and those it missed.
    ///
    /// # Errors
    /// The kernel does not tell what was missed.
    pub fn made(&self) -> Result<u64> {
        let missed = self.missed()?.exact().ok_or_else(|| {
            Error::unsupported(
                format!("exact count of {}", self.function),
                "this kernel does not tell how often a BPF program was skipped",
                "Use Linux 5.12 or newer",
            )
        })?;
        Ok(self.calls() + missed)
    }

    /// What is attached where, for people.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn describe(&self) -> Result<String> {
        let ProgramInfo { id, verified_instructions, .. } = self.info()?;
        let verified = verified_instructions
            .map(|n| format!(", {n} instructions verified"))
            .unwrap_or_default();
        let link = match &self.link {
            Some(link) => format!("by link {}", link.id()),
            None => "not attached".into(),
        };
        Ok(format!("{}: fentry program {id}{verified}, {link}", self.function))
    }

    /// Kernel memory of the program and its map, by the kernel's own account.
    ///
    /// # Errors
    /// /proc/self/fdinfo cannot be read, or does not have the account.
    pub fn memory(&self) -> Result<Bytes> {
        let program = memlock(self.instance.program.as_fd())?;
        Ok(Bytes(program + memlock(self.instance.map(SLOTS)?)?))
    }

    fn info(&self) -> Result<ProgramInfo> {
        bpf::program_info(self.instance.program.as_fd())
            .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", &self.function, e))
    }
}

fn memlock(fd: BorrowedFd<'_>) -> Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let text = fs::read_to_string(&path).map_err(|e| Error::file("read", &path, e))?;
    text.lines()
        .find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok())
        .ok_or_else(|| Error::malformed(path, "it has no memlock line"))
}

/// One more than the highest number that a CPU can have on this host: the numbers may have gaps.
fn possible_cpus() -> Result<u32> {
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

    #[test]
    fn the_object_has_what_the_counter_asks_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        assert!(object.programs.contains_key(PROGRAM));
        let slots = &object.maps[SLOTS];
        assert_eq!(slots.value_size() as usize, size_of::<Slot>());
        assert_eq!(slots.map_flags(), aya_obj::generated::BPF_F_MMAPABLE);
        assert_eq!(object.license.as_c_str(), c"Dual MIT/GPL");
    }
}
