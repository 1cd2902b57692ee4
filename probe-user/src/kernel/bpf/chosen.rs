//! Which compiled programs this process loads: those that are built into it, or those of a file.

use std::{fs, path::Path, sync::OnceLock};

use aya_obj::{Map, Object};
use sha2::{Digest as _, Sha256};

use probe_core::error::{Error, Result};

/// One for the whole process: methods and reference counter load from the same object.
static CHOSEN: OnceLock<&'static [u8]> = OnceLock::new();

/// The object to load from.
pub(super) fn object() -> &'static [u8] {
    CHOSEN.get().copied().unwrap_or(probe_ebpf::OBJECT)
}

/// Loads from the file at `path` from now on; returns its SHA-256 in hexadecimal digits.
///
/// # Errors
/// It cannot be read, is no object of this tracetoll's programs, or comes after another.
pub fn choose(path: &Path) -> Result<String> {
    let refused = |why: String| {
        Error::invalid(
            format!("--object {}", path.display()),
            why,
            "Compile one from the source of this tracetoll, or of one with the same programs",
        )
    };
    let read = fs::read(path).map_err(|e| Error::file("read", path, e))?;
    let object = aligned(&read);
    check(object).map_err(refused)?;
    CHOSEN.set(object).map_err(|_| refused("another one is in use".into()))?;
    Ok(Sha256::digest(&read).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A copy for as long as the process lives: ELF structures are read in place, so it must be aligned
/// as they are.
fn aligned(bytes: &[u8]) -> &'static [u8] {
    const ALIGNMENT: usize = 8;
    let room = vec![0; bytes.len() + ALIGNMENT].leak();
    let start = room.as_ptr().align_offset(ALIGNMENT);
    let object = &mut room[start..start + bytes.len()];
    object.copy_from_slice(bytes);
    object
}

/// Whether `object` has each built-in program, and each map with entries of the same layout.
fn check(object: &[u8]) -> std::result::Result<(), String> {
    let parse = |bytes| Object::parse(bytes).map_err(|e| format!("it is no BPF object: {e}"));
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
    if lacks.is_empty() { Ok(()) } else { Err(format!("it has {}", lacks.join(", "))) }
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
            check(aligned(&unaligned[shift..])).unwrap();
        }
    }

    #[test]
    fn what_is_no_object_is_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |bytes: &[u8]| {
            let path = folder.path().join("x.o");
            fs::write(&path, bytes).unwrap();
            choose(&path).unwrap_err().to_string()
        };
        let text = refusal(b"#!/bin/sh\n");
        assert!(text.contains("x.o: it is no BPF object: "), "{text}");
        assert!(text.contains("Compile one from the source"), "{text}");
        let half = refusal(&probe_ebpf::OBJECT[..probe_ebpf::OBJECT.len() / 2]);
        assert!(half.contains("it is no BPF object"), "{half}");
        let absent = choose(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(absent.contains("cannot read"), "{absent}");
    }

    #[test]
    fn a_renamed_program_is_missed() {
        let name = probe_ebpf::fentry_timestamp::PROGRAM.as_bytes();
        let mut bytes = probe_ebpf::OBJECT.to_vec();
        let places: Vec<usize> =
            (0..bytes.len() - name.len()).filter(|&at| bytes[at..].starts_with(name)).collect();
        places.into_iter().for_each(|at| bytes[at] = b'F');
        let why = check(aligned(&bytes)).unwrap_err();
        assert_eq!(why, "it has no program fentry_timestamp");
    }
}
