//! The compiled programs to load: those built into this binary, or those of a file.

use std::{fs, path::Path, sync::Arc};

use aya_obj::{Map, Object, ParseError};
use sha2::{Digest as _, Sha256};

use probe_core::error::{Error, Result};

use super::log::{self, Log};

/// The compiled programs; by default the built-in ones.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// `None` for the built-in ones.
    object: Option<Arc<Object>>,
    /// The log of the programs; `None` if they do not log.
    log: Option<Arc<Log>>,
}

impl Programs {
    /// The programs of the file at `path`, and its SHA-256 in hexadecimal digits.
    ///
    /// # Errors
    /// It cannot be read, is not an object of this tracetoll's programs, or logs.
    pub fn of_file(path: &Path) -> Result<(Self, String)> {
        let (object, digest) = read(path, "--object", false)?;
        Ok((Self { object: Some(Arc::new(object)), log: None }, digest))
    }

    /// Like [`of_file`](Self::of_file), for programs that log; creates the ring to which they log.
    ///
    /// # Errors
    /// As there, but also if they do not log; the kernel rejects the ring; not root.
    pub fn that_log(path: &Path) -> Result<(Self, String)> {
        let (object, digest) = read(path, "--bpf-log", true)?;
        let log = object.maps.get(log::RING).cloned().map(Log::new).transpose()?;
        Ok((Self { object: Some(Arc::new(object)), log: log.map(Arc::new) }, digest))
    }

    /// The log of the programs; `None` if they do not log.
    pub fn log(&self) -> Option<&Arc<Log>> {
        self.log.as_ref()
    }

    /// A copy of the parsed object.
    pub(super) fn parsed(&self) -> std::result::Result<Object, ParseError> {
        match &self.object {
            Some(object) => Ok(Object::clone(object)),
            None => Object::parse(probe_ebpf::OBJECT),
        }
    }
}

/// The object of the file named by `flag`, whose programs must or must not log, and its SHA-256.
fn read(path: &Path, flag: &str, logs: bool) -> Result<(Object, String)> {
    let refused = |why| {
        Error::invalid(
            format!("{flag} {}", path.display()),
            why,
            "Compile one from the source of this tracetoll, or of one with the same programs",
        )
    };
    let read = fs::read(path).map_err(|e| Error::file("read", path, e))?;
    let object = checked(&read).map_err(refused)?;
    match (object.maps.contains_key(log::RING), logs) {
        (true, false) => Err(refused("its programs log: use --bpf-log".into())),
        (false, true) => Err(refused("its programs do not log: it lacks the feature `log`".into())),
        _ => {
            let digest = Sha256::digest(&read).iter().map(|byte| format!("{byte:02x}")).collect();
            Ok((object, digest))
        }
    }
}

/// Parses `bytes` at any address: ELF structures are read in place, so they must be aligned like
/// those.
fn parse(bytes: &[u8]) -> std::result::Result<Object, ParseError> {
    const ALIGNMENT: usize = 8;
    let mut room = vec![0; bytes.len() + ALIGNMENT];
    let start = room.as_ptr().align_offset(ALIGNMENT);
    let aligned = &mut room[start..start + bytes.len()];
    aligned.copy_from_slice(bytes);
    Object::parse(aligned)
}

/// Whether a map of this name holds a program's constants.
pub(super) fn is_constants(name: &str) -> bool {
    name.starts_with(".rodata")
}

/// Checks that the object has every built-in program, and every map with the same layout of
/// entries. It may also have what programs need to log.
fn checked(object: &[u8]) -> std::result::Result<Object, String> {
    let parse = |bytes| parse(bytes).map_err(|e| format!("it is not a BPF object: {e}"));
    let (theirs, ours) = (parse(object)?, parse(probe_ebpf::OBJECT)?);
    let programs = ours.programs.keys().filter(|name| !theirs.programs.contains_key(*name));
    let maps = ours
        .maps
        .iter()
        .filter(|(name, map)| theirs.maps.get(*name).map(layout) != Some(layout(map)));
    let logs = theirs.maps.contains_key(log::RING);
    let of_log = |name: &str| logs && (name == log::RING || is_constants(name));
    let strange = theirs.maps.keys().filter(|name| !ours.maps.contains_key(*name) && !of_log(name));
    let mut lacks: Vec<String> = programs
        .map(|name| format!("no program {name}"))
        .chain(maps.map(|(name, _)| format!("no map {name} like ours")))
        .chain(strange.map(|name| format!("an additional map {name}")))
        .collect();
    lacks.sort_unstable();
    if lacks.is_empty() { Ok(theirs) } else { Err(format!("it has {}", lacks.join(", "))) }
}

/// The properties on which user space relies: type of the map, bytes of a key and of a value.
fn layout(map: &Map) -> [u32; 3] {
    [map.map_type(), map.key_size(), map.value_size()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_object_passes_wherever_it_lies() {
        for shift in 0..8 {
            let unaligned = [&vec![0; shift], probe_ebpf::OBJECT].concat();
            checked(&unaligned[shift..]).unwrap();
        }
    }

    #[test]
    fn what_is_no_object_is_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |bytes: &[u8]| {
            let path = folder.path().join("x.o");
            fs::write(&path, bytes).unwrap();
            Programs::of_file(&path).unwrap_err().to_string()
        };
        let path = folder.path().join("built-in.o");
        fs::write(&path, probe_ebpf::OBJECT).unwrap();
        let silent = Programs::that_log(&path).unwrap_err().to_string();
        assert!(silent.starts_with("--bpf-log "), "{silent}");
        assert!(silent.contains("its programs do not log"), "{silent}");
        let text = refusal(b"#!/bin/sh\n");
        assert!(text.contains("x.o: it is not a BPF object: "), "{text}");
        assert!(text.contains("Compile one from the source"), "{text}");
        let half = refusal(&probe_ebpf::OBJECT[..probe_ebpf::OBJECT.len() / 2]);
        assert!(half.contains("it is not a BPF object"), "{half}");
        let absent = Programs::of_file(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(absent.contains("cannot read"), "{absent}");
    }

    #[test]
    fn a_renamed_program_is_missed() {
        let name = probe_ebpf::fentry_timestamp::PROGRAM.as_bytes();
        let mut bytes = probe_ebpf::OBJECT.to_vec();
        let places: Vec<usize> =
            (0..bytes.len() - name.len()).filter(|&at| bytes[at..].starts_with(name)).collect();
        places.into_iter().for_each(|at| bytes[at] = b'F');
        let why = checked(&bytes).unwrap_err();
        assert_eq!(why, "it has no program fentry_timestamp");
    }
}
