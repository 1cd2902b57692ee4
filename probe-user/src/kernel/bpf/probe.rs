//! A program on the entry of one function: one copy of it, with maps of its own.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya_obj::generated::bpf_attach_type;
use probe_core::{
    error::Result,
    model::{loss::Loss, observation::ProgramRuns, target::Function, units::Bytes},
};
use probe_ebpf::ring::RING;

use super::{
    attachable::Attachable,
    function::FunctionTypes,
    object::{Instance, Object, Plan},
    place::Place,
};
use crate::{kernel::cpus, sys::bpf::Kind};

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
    program: Attachable,
    /// Bytes of its ring; zero where it has none.
    ring: u64,
}

impl Probes {
    /// Reads the object and the kernel's types.
    ///
    /// # Errors
    /// The kernel has no BTF or refuses ours; not root.
    pub fn new() -> Result<Self> {
        Ok(Self { object: Object::open()?, types: FunctionTypes::read()?, cpus: cpus::slots()? })
    }

    /// One more than the highest number that a CPU can have on this host: the numbers may have
    /// gaps.
    pub fn cpus(&self) -> u32 {
        self.cpus
    }

    /// Checks that programs can be loaded for all of `functions`, as far as types go.
    ///
    /// # Errors
    /// Some have no type; the error names all.
    pub fn check(&mut self, functions: &[Function]) -> Result<()> {
        self.types.check(functions)
    }

    /// Loads `program` for `function`, not yet attached, with the maps that it uses and their
    /// numbers of entries. `name` is what the kernel calls it.
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
        let ring = maps.iter().find(|(name, _)| *name == RING).map_or(0, |(_, bytes)| *bytes);
        let program = Attachable::new(function.name.clone(), Place::Function(FENTRY), instance);
        Ok(Probe { program, ring: ring.into() })
    }
}

impl Probe {
    /// The function that it is for.
    pub fn function(&self) -> &str {
        &self.program.subject
    }

    /// The program and its maps.
    pub(super) fn instance(&self) -> &Instance {
        self.program.instance()
    }

    /// One of its maps.
    ///
    /// # Errors
    /// It was loaded without.
    pub fn map(&self, name: &str) -> Result<BorrowedFd<'_>> {
        self.program.instance().map(name)
    }

    /// The program.
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.instance().program.as_fd()
    }

    /// Lets it run from now on.
    ///
    /// # Errors
    /// The function cannot be patched, or something else holds it.
    pub fn attach(&mut self) -> Result<()> {
        self.program.attach()
    }

    /// Ends it; its maps stay readable. Nothing to do where it is not attached.
    ///
    /// # Errors
    /// The program is still attached.
    pub fn detach(&mut self) -> Result<()> {
        self.program.detach()
    }

    /// Calls at which the program did not run, since it was loaded.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn missed(&self) -> Result<Loss> {
        self.program.missed()
    }

    /// What is attached where, for people.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn describe(&self) -> Result<String> {
        self.program.describe()
    }

    /// What the kernel says of the program's runs, see [`Attachable::runs`].
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn runs(&self) -> Result<Option<ProgramRuns>> {
        self.program.runs()
    }

    /// Kernel memory of the program and its maps, by the kernel's own account; that of a ring,
    /// which older kernels leave out of it, by its size.
    ///
    /// # Errors
    /// /proc/self/fdinfo cannot be read, or does not have the account.
    pub fn memory(&self) -> Result<Bytes> {
        let known = self.program.memory()?.0;
        Ok(Bytes(if known < self.ring { known + self.ring } else { known }))
    }
}
