//! Loads programs, each for one place in the kernel: a copy of the program with its own maps.

use aya_obj::generated::bpf_attach_type::{self, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT};
use probe_core::{
    error::Result,
    model::target::{Function, Tracepoint},
};

use super::{
    attach_point::AttachPoint,
    chosen::Programs,
    function::FunctionTypes,
    object::{LoadPlan, Object},
    probe::Probe,
};
use crate::{kernel::cpus, sys::bpf::ProgramType};

/// The part of a target that a program is for, and how the program runs there.
#[derive(Debug, Clone, Copy)]
pub enum Spot<'a> {
    /// The entry of a function, by its trampoline.
    Fentry(&'a Function),
    /// The exit of a function, by its trampoline.
    Fexit(&'a Function),
    /// The entry of a function, by a kprobe.
    Kprobe(&'a Function),
    /// The exit of a function, by a kretprobe.
    Kretprobe(&'a Function),
    /// The entries of all these functions, by one fprobe.
    KprobeMulti(&'a [Function]),
    /// A tracepoint, before its record is made.
    RawTracepoint(&'a Tracepoint),
    /// A tracepoint, with its record.
    Tracepoint(&'a Tracepoint),
}

impl<'a> Spot<'a> {
    /// Its name in errors and in descriptions.
    pub fn subject(self) -> String {
        match self {
            Self::Fentry(f) | Self::Fexit(f) | Self::Kprobe(f) | Self::Kretprobe(f) => {
                f.name.clone()
            }
            Self::KprobeMulti(functions) => {
                functions.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ")
            }
            Self::RawTracepoint(tracepoint) | Self::Tracepoint(tracepoint) => {
                tracepoint.to_string()
            }
        }
    }

    /// Number of items of the target.
    pub fn items(self) -> usize {
        if let Self::KprobeMulti(functions) = self { functions.len() } else { 1 }
    }

    /// The function whose trampoline it uses.
    fn trampoline(self) -> Option<(bpf_attach_type, &'a Function)> {
        match self {
            Self::Fentry(function) => Some((BPF_TRACE_FENTRY, function)),
            Self::Fexit(function) => Some((BPF_TRACE_FEXIT, function)),
            _ => None,
        }
    }
}

/// Makes probes.
#[derive(Debug)]
pub struct Loader {
    object: Object,
    /// Read when a trampoline needs them.
    types: Option<FunctionTypes>,
    cpus: u32,
    name: String,
}

impl Loader {
    /// Prepares `programs` for loading; the kernel will call all of them (the start of) `name`.
    ///
    /// # Errors
    /// The kernel rejects their types; not root.
    pub fn new(programs: &Programs, name: &str) -> Result<Self> {
        // The kernel rejects longer names of maps.
        let name = name.get(..name.floor_char_boundary(15)).unwrap_or(name).to_owned();
        Ok(Self { object: Object::open(programs)?, types: None, cpus: cpus::slots()?, name })
    }

    /// One more than the greatest CPU number of this host; the numbers may have gaps.
    pub fn cpus(&self) -> u32 {
        self.cpus
    }

    /// Checks that programs can be loaded for all these `spots`, as far as types are concerned.
    ///
    /// # Errors
    /// The kernel has no BTF, or some have no type; the error names all of these.
    pub fn check(&mut self, spots: &[Spot<'_>]) -> Result<()> {
        let functions: Vec<_> =
            spots.iter().filter_map(|spot| Some(spot.trampoline()?.1)).collect();
        if functions.is_empty() {
            return Ok(());
        }
        types(&mut self.types)?.check(&functions)
    }

    /// Loads `program` for `spot`, not yet attached, with its maps and their numbers of entries.
    ///
    /// # Errors
    /// The function has no type, or the kernel has no such place, or rejects a map or the program.
    pub fn load(&mut self, program: &str, maps: &[(&str, u32)], spot: Spot<'_>) -> Result<Probe> {
        self.load_beside(None, program, maps, spot)
    }

    /// The same for a program that also uses the maps of `partner`.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn load_beside(
        &mut self,
        partner: Option<&Probe>,
        program: &str,
        maps: &[(&str, u32)],
        spot: Spot<'_>,
    ) -> Result<Probe> {
        let Self { object, types: known, cpus, name } = self;
        let (kind, place) = match spot {
            Spot::Fentry(function) | Spot::Fexit(function) => {
                let at = spot.trampoline().map_or(BPF_TRACE_FENTRY, |(at, _)| at);
                let function = types(known)?.find(function)?;
                (ProgramType::Tracing { at, function }, AttachPoint::Function(at))
            }
            Spot::Kprobe(function) => (ProgramType::Kprobe, AttachPoint::kprobe(function, false)?),
            Spot::Kretprobe(function) => {
                (ProgramType::Kprobe, AttachPoint::kprobe(function, true)?)
            }
            Spot::KprobeMulti(functions) => {
                // The first slot of each function.
                let cookies =
                    (0..functions.len() as u64).map(|item| item * u64::from(*cpus)).collect();
                (ProgramType::KprobeMulti, AttachPoint::kprobe_multi(functions, cookies)?)
            }
            Spot::RawTracepoint(tracepoint) => {
                (ProgramType::RawTracepoint, AttachPoint::RawTracepoint(tracepoint.name.clone()))
            }
            Spot::Tracepoint(tracepoint) => {
                (ProgramType::Tracepoint, AttachPoint::tracepoint(tracepoint)?)
            }
        };
        let subject = spot.subject();
        let partner = partner.map(Probe::instance);
        let plan = LoadPlan { program, name, maps, partner, kind, subject: &subject };
        let instance = object.load(&plan)?;
        Ok(Probe::new(subject, place, instance))
    }
}

fn types(known: &mut Option<FunctionTypes>) -> Result<&mut FunctionTypes> {
    let types = match known.take() {
        Some(types) => types,
        None => FunctionTypes::read()?,
    };
    Ok(known.insert(types))
}
