//! Which compiled programs are loaded: those that are built into this binary, or those of a file.

use std::{fs, path::Path, sync::Arc};

use aya_obj::{Map, Object, ParseError};
use sha2::{Digest as _, Sha256};

use probe_core::error::{Error, Result};

/// The compiled programs; by default the built-in ones.
#[derive(Debug, Clone, Default)]
pub struct Programs(Option<Arc<Object>>);

impl Programs {
    /// Those of the file at `path`, and its SHA-256 in hexadecimal digits.
    ///
    /// # Errors
    /// It cannot be read, or is no object of this tracetoll's programs.
    pub fn of_file(path: &Path) -> Result<(Self, String)> {
        let read = fs::read(path).map_err(|e| Error::file("read", path, e))?;
        let object = checked(&read).map_err(|why| {
            Error::invalid(
                format!("--object {}", path.display()),
                why,
                "Compile one from the source of this tracetoll, or of one with the same programs",
            )
        })?;
        let digest = Sha256::digest(&read).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((Self(Some(Arc::new(object))), digest))
    }

    /// A copy of the parsed object.
    pub(super) fn parsed(&self) -> std::result::Result<Object, ParseError> {
        match &self.0 {
            Some(object) => Ok(Object::clone(object)),
            None => Object::parse(probe_ebpf::OBJECT),
        }
    }
}

/// Parses `bytes`, wherever they lie: ELF structures are read in place, so they must be aligned as
/// those are.
fn parse(bytes: &[u8]) -> std::result::Result<Object, ParseError> {
    const ALIGNMENT: usize = 8;
    let mut room = vec![0; bytes.len() + ALIGNMENT];
    let start = room.as_ptr().align_offset(ALIGNMENT);
    let aligned = &mut room[start..start + bytes.len()];
    aligned.copy_from_slice(bytes);
    Object::parse(aligned)
}

/// The object, which must have each built-in program, and each map with entries of the same layout.
fn checked(object: &[u8]) -> std::result::Result<Object, String> {
    let parse = |bytes| parse(bytes).map_err(|e| format!("it is no BPF object: {e}"));
    let (theirs, ours) = (parse(object)?, parse(probe_ebpf::OBJECT)?);
    let programs = ours.programs.keys().filter(|name| !theirs.programs.contains_key(*name));
    let maps = ours
        .maps
        .iter()
        .filter(|(name, map)| theirs.maps.get(*name).map(layout) != Some(layout(map)));
    let strange = theirs.maps.keys().filter(|name| !ours.maps.contains_key(*name));
    let mut lacks: Vec<String> = programs
        .map(|name| format!("no program {name}"))
        .chain(maps.map(|(name, _)| format!("no map {name} as ours")))
        .chain(strange.map(|name| format!("a map {name} that ours has not")))
        .collect();
    lacks.sort_unstable();
    if lacks.is_empty() { Ok(theirs) } else { Err(format!("it has {}", lacks.join(", "))) }
}

/// What user space relies on: kind of map, bytes of a key and of a value.
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
        let text = refusal(b"#!/bin/sh\n");
        assert!(text.contains("x.o: it is no BPF object: "), "{text}");
        assert!(text.contains("Compile one from the source"), "{text}");
        let half = refusal(&probe_ebpf::OBJECT[..probe_ebpf::OBJECT.len() / 2]);
        assert!(half.contains("it is no BPF object"), "{half}");
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
