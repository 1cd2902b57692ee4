//! The compiled object, and instances of its programs.

use std::{
    collections::{BTreeMap, HashSet},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
};

use aya::maps::MapData;
use aya_obj::{Function, btf::Btf};
use probe_core::error::{Error, Hint, Result};
use probe_ebpf::ring::RING;

use super::{
    chosen::{Programs, is_constants},
    log::{self, Log},
    refusal::{RIGHTS, not_made},
};
use crate::sys::bpf::{self, ProgramType, Records, Refusal, SourceInfo, maps};

const SUBJECT: &str = "the object of kernel programs";

/// A map of a program, shared with its readers.
pub type Map = Arc<MapData>;

type Maps = BTreeMap<String, Map>;

/// The parsed object with its types loaded; it can be instantiated any number of times.
#[derive(Debug)]
pub struct Object {
    parsed: aya_obj::Object,
    btf: Option<OwnedFd>,
    /// The log of its programs; `None` if they do not log.
    log: Option<Arc<Log>>,
}

/// What to load.
#[derive(Debug, Clone, Copy)]
pub struct LoadPlan<'a> {
    /// Name of the program in the object.
    pub program: &'a str,
    /// The kernel's name for the program and its maps: at most 15 bytes.
    pub name: &'a str,
    /// The maps to create for it, with their numbers of entries.
    pub maps: &'a [(&'a str, u32)],
    /// A program whose maps it uses too.
    pub partner: Option<&'a LoadedProgram>,
    /// What it may attach to.
    pub kind: ProgramType<'a>,
    /// The same by name, for errors.
    pub subject: &'a str,
}

/// A loaded program with the maps that were created for it. A map is removed with its last user.
#[derive(Debug)]
pub struct LoadedProgram {
    /// The program.
    pub program: OwnedFd,
    maps: Maps,
    /// Bytes of its ring; zero if it has none.
    pub(super) ring: u32,
}

impl Object {
    /// Copies `programs`, and loads their types.
    ///
    /// # Errors
    /// The kernel rejects the types; not root.
    pub fn open(programs: &Programs) -> Result<Self> {
        let mut parsed = programs.parsed().map_err(malformed)?;
        let types = match aya::features().btf() {
            Some(features) => parsed.fixup_and_sanitize_btf(features).map_err(malformed)?,
            None => None,
        };
        let btf = types
            .map(|types: &Btf| bpf::load_btf(&types.to_bytes()))
            .transpose()
            .map_err(|refusal| refused("bpf(BPF_BTF_LOAD)", SUBJECT.into(), refusal))?;
        Ok(Self { parsed, btf, log: programs.log().cloned() })
    }

    /// Creates the maps and loads the program.
    ///
    /// # Errors
    /// The kernel refuses a map or the program (with the verifier's log); what was made by then is
    /// released.
    pub fn load(&self, plan: &LoadPlan<'_>) -> Result<LoadedProgram> {
        let mut object = self.only(plan.program)?;
        let maps = self.maps(plan)?;
        let shared = plan.partner.into_iter().flat_map(|other| &other.maps);
        let of_log = self.of_log()?;
        let used = maps.iter().chain(shared).chain(&of_log);
        let code = self.relocate(&mut object, plan.program, used)?;
        let functions = code.func_info.func_info_bytes();
        let lines = code.line_info.line_info_bytes();
        let source = self.btf.as_ref().map(|btf| SourceInfo {
            btf: btf.as_fd(),
            functions: Records { bytes: &functions, size: code.func_info_rec_size },
            lines: Records { bytes: &lines, size: code.line_info_rec_size },
        });
        let program = bpf::load_program(&bpf::Program {
            name: plan.name,
            instructions: &code.instructions,
            license: &object.license,
            kind: plan.kind,
            source,
        });
        let subject = || format!("{} for {}", plan.program, plan.subject);
        let program = program.map_err(|r| refused("bpf(BPF_PROG_LOAD)", subject(), r))?;
        self.log.as_ref().map_or(Ok(()), |log| log.read_through(program.as_fd()))?;
        let ring = plan.maps.iter().find(|(name, _)| *name == RING).map_or(0, |(_, bytes)| *bytes);
        Ok(LoadedProgram { program, maps, ring })
    }

    /// A copy of the object with one of its programs, and the functions that it can call.
    fn only(&self, program: &str) -> Result<aya_obj::Object> {
        let mut object = self.parsed.clone();
        let others: HashSet<_> = object
            .programs
            .extract_if(|name, _| name != program)
            .map(|(_, other)| other.function_key())
            .collect();
        if object.programs.is_empty() {
            return Err(malformed(format!("it has no program {program}")));
        }
        object.functions.retain(|key, _| !others.contains(key));
        Ok(object)
    }

    /// The program's instructions with its maps inserted, followed by the functions that it calls.
    fn relocate<'m>(
        &self,
        object: &mut aya_obj::Object,
        program: &str,
        maps: impl Iterator<Item = (&'m String, &'m Map)>,
    ) -> Result<Function> {
        let code: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
        let maps = maps.map(|(name, map)| {
            (name.as_str(), map.fd().as_fd().as_raw_fd(), &self.parsed.maps[name])
        });
        object.relocate_maps(maps, &code).map_err(malformed)?;
        object.relocate_calls(&code).map_err(malformed)?;
        object.sanitize_functions(aya::features());
        let key = object.programs[program].function_key();
        let code = object.functions.remove(&key);
        code.ok_or_else(|| malformed(format!("{program} has no instructions")))
    }

    fn maps(&self, plan: &LoadPlan<'_>) -> Result<Maps> {
        let make = |&(name, entries): &(&str, u32)| {
            let map = self.parsed.maps.get(name);
            let mut map = map.cloned().ok_or_else(|| malformed(format!("it has no map {name}")))?;
            map.set_max_entries(entries);
            let btf = self.btf.as_ref().map(AsFd::as_fd);
            let data = MapData::create(map, plan.name, btf)
                .map_err(|e| not_made(format!("{name} for {}", plan.subject), e))?;
            Ok((name.to_owned(), Arc::new(data)))
        };
        plan.maps.iter().map(make).collect()
    }

    /// What programs that log need in addition to the plan's maps: the ring of all of them, and
    /// constants. The program keeps them, so the instance does not own them.
    fn of_log(&self) -> Result<Maps> {
        let Some(log) = &self.log else { return Ok(Maps::new()) };
        let constants = self.parsed.maps.iter().filter(|(name, _)| is_constants(name));
        let filled = constants.map(|(name, map)| {
            let data = MapData::create(map.clone(), "constants", None)
                .map_err(|e| not_made(name.clone(), e))?;
            maps::update(data.fd().as_fd(), &0_u32.to_ne_bytes(), map.data())
                .map_err(|e| Error::call("bpf(BPF_MAP_UPDATE_ELEM)", name, e))?;
            Ok((name.clone(), Arc::new(data)))
        });
        filled.chain([Ok((log::RING.to_owned(), log.ring()))]).collect()
    }
}

impl LoadedProgram {
    /// The maps that were made for it.
    pub(super) fn maps(&self) -> impl Iterator<Item = &Map> {
        self.maps.values()
    }

    /// The map `name` of the plan.
    ///
    /// # Errors
    /// The plan had no such map.
    pub fn map(&self, name: &str) -> Result<&Map> {
        self.maps.get(name).ok_or_else(|| malformed(format!("no map {name} was created")))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(malformed)`")]
fn malformed(why: impl ToString) -> Error {
    Error::malformed(SUBJECT, why.to_string())
}

fn refused(call: &'static str, subject: String, refusal: Refusal) -> Error {
    let Refusal { error: source, log } = refusal;
    let hint = match source.raw_os_error() {
        Some(libc::EPERM) => Hint::new(RIGHTS),
        _ => Hint::NONE,
    };
    Error::Refused { call, subject, source, log, hint }
}
