//! Timers: a program at a function's entry, one at its exit, and the histogram that the second
//! keeps.

use std::mem::offset_of;

use aya_obj::generated::bpf_attach_type;
use probe_core::{
    error::{Error, Result},
    model::{
        loss::Loss,
        observation::{Durations, ProgramRuns},
        target::Function,
        units::Bytes,
    },
};
use probe_ebpf::{
    fentry_count::{SLOTS, Slot},
    latency::{self, BUCKETS, DURATIONS, STARTS},
};

use super::{
    attachable::Attachable,
    function::FunctionTypes,
    object::{Object, Plan},
    percpu::PerCpu,
    place::Place,
};
use crate::{
    kernel::cpus,
    sys::bpf::{Kind, maps},
};

/// By which way the two programs run, and so what they tell calls apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The function's trampoline; by the frame in which it runs the function.
    Trampoline,
    /// A kprobe and a kretprobe; by the thread.
    Kprobes,
}

/// Makes timers.
#[derive(Debug)]
pub struct Timers {
    object: Object,
    way: Way,
    types: Option<FunctionTypes>,
    cpus: u32,
    /// Calls of one function that can be in flight at a time.
    max_keys: u32,
    /// What the kernel calls the programs.
    name: String,
}

/// Times the calls of one function while it is attached.
#[derive(Debug)]
pub struct Timer {
    enter: Attachable,
    leave: Attachable,
    calls: PerCpu,
    durations: PerCpu,
}

impl Timers {
    /// Reads the object and, for trampolines, the kernel's types.
    ///
    /// # Errors
    /// The kernel has no BTF or refuses ours; not root.
    pub fn new(way: Way, max_keys: u32, name: String) -> Result<Self> {
        let types = match way {
            Way::Trampoline => Some(FunctionTypes::read()?),
            Way::Kprobes => None,
        };
        Ok(Self { object: Object::open()?, way, types, cpus: cpus::slots()?, max_keys, name })
    }

    /// Checks that programs can be loaded for all of `functions`, as far as types go.
    ///
    /// # Errors
    /// Some have no type that they need; the error names all.
    pub fn check(&mut self, functions: &[Function]) -> Result<()> {
        self.types.as_mut().map_or(Ok(()), |types| types.check(functions))
    }

    /// Loads both programs for `function`, not yet attached.
    ///
    /// # Errors
    /// The kernel cannot probe it in this way, or refuses a program or a map.
    pub fn load(&mut self, function: &Function) -> Result<Timer> {
        let (programs, places) = match self.way {
            Way::Trampoline => {
                let at = [bpf_attach_type::BPF_TRACE_FENTRY, bpf_attach_type::BPF_TRACE_FEXIT];
                ([latency::FENTRY, latency::FEXIT], at.map(Place::Function))
            }
            Way::Kprobes => {
                let places = [Place::kprobe(function, false)?, Place::kprobe(function, true)?];
                ([latency::KPROBE, latency::KRETPROBE], places)
            }
        };
        let typed = self.types.as_mut().map(|types| types.find(function)).transpose()?;
        let kind = |place: &Place| match (place, typed) {
            (Place::Function(at), Some(function)) => Kind::Tracing { at: *at, function },
            _ => Kind::Kprobe,
        };
        let subject = &function.name;
        let enter = self.object.load(&Plan {
            program: programs[0],
            name: &self.name,
            maps: &[(SLOTS, self.cpus), (STARTS, self.max_keys)],
            partner: None,
            kind: kind(&places[0]),
            subject,
        })?;
        let leave = self.object.load(&Plan {
            program: programs[1],
            name: &self.name,
            maps: &[(DURATIONS, self.cpus)],
            partner: Some(&enter),
            kind: kind(&places[1]),
            subject,
        })?;
        let [entry, exit] = places;
        Ok(Timer {
            calls: PerCpu::new::<Slot>(&enter, SLOTS, 1, subject)?,
            durations: PerCpu::new::<latency::Durations>(&leave, DURATIONS, 1, subject)?,
            enter: Attachable::new(subject.clone(), entry, enter),
            leave: Attachable::new(subject.clone(), exit, leave),
        })
    }
}

impl Timer {
    /// Starts timing. The exit comes first, so that every call that is counted is timed.
    ///
    /// # Errors
    /// The function cannot be probed, or something else holds it.
    pub fn attach(&mut self) -> Result<()> {
        self.leave.attach()?;
        self.enter.attach()
    }

    /// Stops timing; what was found stays readable. Nothing to do where it is not attached.
    ///
    /// # Errors
    /// One of the programs is still attached.
    pub fn detach(&mut self) -> Result<()> {
        let entry = self.enter.detach();
        entry.and(self.leave.detach())
    }

    /// Calls that began, without a system call.
    pub fn calls(&self) -> u64 {
        self.calls.sum(0, offset_of!(Slot, calls))
    }

    /// Words that [`Timer::calls`] reads.
    pub fn words(&self) -> usize {
        self.calls.cpus()
    }

    /// How long those took that ended.
    pub fn durations(&self) -> Durations {
        let first = offset_of!(latency::Durations, log2_ns);
        let bucket = |bucket| self.durations.sum(0, first + bucket * size_of::<u64>());
        Durations { log2_ns: (0..BUCKETS).map(bucket).collect() }
    }

    /// Exits that found no time of their call's entry.
    pub fn untimed(&self) -> u64 {
        self.durations.sum(0, offset_of!(latency::Durations, untimed))
    }

    /// Exits that could not take their call's time out of the map of starts.
    pub fn kept(&self) -> u64 {
        self.durations.sum(0, offset_of!(latency::Durations, kept))
    }

    /// Starts in the map: after detach, of calls that were running then, and of those whose exit
    /// was missed.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn starts_left(&self) -> Result<u64> {
        maps::count_keys::<8>(self.enter.instance().map(STARTS)?)
            .map_err(|e| Error::call("bpf(BPF_MAP_GET_NEXT_KEY)", STARTS, e))
    }

    /// Calls that were not counted.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn missed(&self) -> Result<Loss> {
        self.enter.missed()
    }

    /// Exits of calls that were not timed, since the program did not run.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn missed_exits(&self) -> Result<Loss> {
        self.leave.missed()
    }

    /// What is attached where, for people.
    ///
    /// # Errors
    /// The kernel does not tell of its own programs.
    pub fn describe(&self) -> Result<[String; 2]> {
        Ok([self.enter.describe()?, self.leave.describe()?])
    }

    /// What the kernel says of both programs' runs, see [`Attachable::runs`].
    ///
    /// # Errors
    /// The kernel does not tell of its own programs.
    pub fn runs(&self) -> Result<[Option<ProgramRuns>; 2]> {
        Ok([self.enter.runs()?, self.leave.runs()?])
    }

    /// Kernel memory of the programs and their maps, by the kernel's own account.
    ///
    /// # Errors
    /// /proc/self/fdinfo cannot be read, or does not have the account.
    pub fn memory(&self) -> Result<Bytes> {
        // The exit's maps are its own and the entry's.
        Ok(Bytes(self.enter.program_memory()?.0 + self.leave.memory()?.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_what_the_timers_ask_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        for program in [latency::FENTRY, latency::FEXIT, latency::KPROBE, latency::KRETPROBE] {
            assert!(object.programs.contains_key(program), "{program}");
        }
        let durations = &object.maps[DURATIONS];
        assert_eq!(durations.value_size() as usize, size_of::<latency::Durations>());
        assert_eq!(object.maps[STARTS].key_size(), 8);
    }
}
