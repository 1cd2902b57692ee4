//! A program on the entry of one function: one copy of it, with maps of its own.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use aya_obj::generated::bpf_attach_type;

use super::{
    function::FunctionTypes,
    link::Link,
    object::{Instance, Object, Plan},
};
use crate::{
    error::{Error, Result},
    model::{loss::Loss, target::Function, units::Bytes},
    sys::bpf::{self, Kind, ProgramInfo},
};

const FENTRY: bpf_attach_type = bpf_attach_type::BPF_TRACE_FENTRY;

/// Makes probes.
#[derive(Debug)]
pub struct Probes {
    object: Object,
    types: FunctionTypes,
    cpus: u32,
}

/// A program that is loaded for a function, and runs at its entry while it is attached.
#[derive(Debug)]
pub struct Probe {
    function: String,
    // Before the instance: it detaches before the program and its maps go.
    link: Option<Link>,
    instance: Instance,
    maps: Vec<String>,
}

impl Probes {
    /// Reads the object and the kernel's types.
    ///
    /// # Errors
    /// The kernel has no BTF or refuses ours; not root.
    pub fn new() -> Result<Self> {
        Ok(Self { object: Object::open()?, types: FunctionTypes::read()?, cpus: possible_cpus()? })
    }

    /// One more than the highest number that a CPU can have on this host: the numbers may have gaps.
    pub fn cpus(&self) -> u32 {
        self.cpus
    }

    /// Loads `program` for `function`, not yet attached, with the maps that it uses and their numbers of entries.
    /// `name` is what the kernel calls it.
    ///
    /// # Errors
    /// The function has no type, or the kernel refuses a map or the program.
    pub fn load(
        &mut self,
        program: &str,
        name: &str,
        maps: &[(&str, u32)],
        function: &Function,
    ) -> Result<Probe> {
        let instance = self.object.load(&Plan {
            program,
            name,
            maps,
            partner: None,
            kind: Kind::Tracing { at: FENTRY, function: self.types.find(function)? },
            subject: &function.name,
        })?;
        let maps = maps.iter().map(|(name, _)| (*name).to_owned()).collect();
        Ok(Probe { function: function.name.clone(), link: None, instance, maps })
    }
}

impl Probe {
    /// The function that it is for.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// One of its maps.
    ///
    /// # Errors
    /// It was loaded without.
    pub fn map(&self, name: &str) -> Result<BorrowedFd<'_>> {
        self.instance.map(name)
    }

    /// The program.
    pub fn program(&self) -> BorrowedFd<'_> {
        self.instance.program.as_fd()
    }

    /// Lets it run from now on.
    ///
    /// # Errors
    /// The function cannot be patched, or something else holds it.
    pub fn attach(&mut self) -> Result<()> {
        self.link = Some(Link::function(self.program(), FENTRY, &self.function)?);
        Ok(())
    }

    /// Ends it; its maps stay readable. Nothing to do where it is not attached.
    ///
    /// # Errors
    /// The program is still attached.
    pub fn detach(&mut self) -> Result<()> {
        self.link.take().map_or(Ok(()), Link::detach)
    }

    /// Calls at which the program did not run, since it was loaded.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn missed(&self) -> Result<Loss> {
        Ok(self.info()?.recursion_misses.map_or(Loss::Unknown, Loss::Exact))
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

    /// Kernel memory of the program and its maps, by the kernel's own account.
    ///
    /// # Errors
    /// /proc/self/fdinfo cannot be read, or does not have the account.
    pub fn memory(&self) -> Result<Bytes> {
        let maps = self.maps.iter().map(|name| memlock(self.map(name)?));
        let maps = maps.sum::<Result<u64>>()?;
        Ok(Bytes(memlock(self.program())? + maps))
    }

    fn info(&self) -> Result<ProgramInfo> {
        bpf::program_info(self.program())
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
}
