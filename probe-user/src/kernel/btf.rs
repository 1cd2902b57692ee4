//! The kernel's type information, as far as it is needed to attach a program to a function: the id
//! of a FUNC.
//!
//! A module's BTF continues that of the kernel (`vmlinux`): its type ids and string offsets start
//! where the kernel's end, so the kernel's must be walked too. Source: Documentation/bpf/btf.rst,
//! include/uapi/linux/btf.h.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::sync::Arc;

const MAGIC: u16 = 0xeb9f;
const KIND_FUNC: u32 = 12;

/// Why bytes are not BTF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The first two bytes are another number, or in the other byte order.
    #[error("magic {0:#06x} instead of 0xeb9f")]
    Magic(u16),
    /// A section reaches beyond the data.
    #[error("its {0} ends beyond its {1} bytes")]
    Truncated(&'static str, usize),
    /// A type of unknown size, after which nothing can be found.
    #[error("type {id} is of kind {kind}, which this version does not support")]
    UnknownKind {
        /// The type.
        id: u32,
        /// Its kind.
        kind: u32,
    },
    /// More types, or longer strings, than 32 bits can count.
    #[error("its numbers overflow")]
    Overflow,
}

/// The functions of one BTF.
#[derive(Debug)]
pub struct Functions {
    base: Option<Arc<Self>>,
    /// Offset of the first own string.
    strings_start: u32,
    strings: Vec<u8>,
    /// Offset of the name, and id, of each FUNC.
    functions: Vec<(u32, u32)>,
    /// The first id after the last type.
    types_end: u32,
}

impl Functions {
    /// Parses a BTF; a module's needs the kernel's as its `base`.
    ///
    /// # Errors
    /// The bytes are not BTF.
    pub fn parse(data: &[u8], base: Option<Arc<Self>>) -> Result<Self, BtfError> {
        let sections = Sections::of(data)?;
        // Id 0 is void and string 0 is empty; a base already has both.
        let (first, strings_start) = match &base {
            Some(base) => (base.types_end, base.strings_end()?),
            None => (1, 0),
        };
        let mut functions = Vec::new();
        let mut types = sections.types;
        let mut id = first;
        while !types.is_empty() {
            // struct btf_type
            let ([name, info, _], rest) =
                words(types).ok_or(BtfError::Truncated("last type", data.len()))?;
            // Kernels before 7.0 leave bits 16 to 23 and 29 to 30 zero; newer ones may use them.
            let (kind, members) = ((info >> 24) & 0x7f, (info & 0x00ff_ffff) as usize);
            if kind == KIND_FUNC {
                functions.push((name, id));
            }
            let tail = tail(kind, members).ok_or(BtfError::UnknownKind { id, kind })?;
            types = rest.get(tail..).ok_or(BtfError::Truncated("last type", data.len()))?;
            id = id.checked_add(1).ok_or(BtfError::Overflow)?;
        }
        Ok(Self {
            base,
            strings_start,
            strings: sections.strings.to_vec(),
            functions,
            types_end: id,
        })
    }

    /// Type id of the FUNC `name`, only from this BTF.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.functions.iter().find(|(at, _)| self.string_is(*at, name)).map(|(_, id)| *id)
    }

    fn string_is(&self, at: u32, name: &str) -> bool {
        match at.checked_sub(self.strings_start) {
            // Strings that the kernel also has are only stored there.
            None => self.base.as_ref().is_some_and(|base| base.string_is(at, name)),
            Some(at) => self
                .strings
                .get(at as usize..)
                .and_then(|text| text.strip_prefix(name.as_bytes()))
                .is_some_and(|behind| behind.first() == Some(&0)),
        }
    }

    fn strings_end(&self) -> Result<u32, BtfError> {
        let length = u32::try_from(self.strings.len()).map_err(|_| BtfError::Overflow)?;
        self.strings_start.checked_add(length).ok_or(BtfError::Overflow)
    }
}

struct Sections<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Sections<'a> {
    fn of(data: &'a [u8]) -> Result<Self, BtfError> {
        let truncated = |what| BtfError::Truncated(what, data.len());
        // struct btf_header up to str_len, which every version has
        let (header, _) = words(data).ok_or(truncated("header"))?;
        let [first, length, types, types_length, strings, strings_length] = header;
        // Version and flags are in the upper half.
        let magic = first as u16;
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        let body = data.get(length as usize..).ok_or(truncated("header"))?;
        let section = |what, offset: u32, length: u32| {
            let start = offset as usize;
            let end = start.checked_add(length as usize).ok_or(truncated(what))?;
            body.get(start..end).ok_or(truncated(what))
        };
        Ok(Self {
            types: section("type section", types, types_length)?,
            strings: section("strings", strings, strings_length)?,
        })
    }
}

/// Bytes after a type's head: the kind's own structure, once or once per member.
fn tail(kind: u32, members: usize) -> Option<usize> {
    let (fixed, each) = match kind {
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=11 | KIND_FUNC | 16 | 18 => (0, 0),
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => (4, 0),
        // ARRAY
        3 => (12, 0),
        // STRUCT, UNION, DATASEC, ENUM64
        4 | 5 | 15 | 19 => (0, 12),
        // ENUM, FUNC_PROTO
        6 | 13 => (0, 8),
        _ => return None,
    };
    members.checked_mul(each)?.checked_add(fixed)
}

/// The first little-endian words of `bytes`, and the rest.
fn words<const N: usize>(bytes: &[u8]) -> Option<([u32; N], &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<[u32; N]>())?;
    let (words, _) = head.as_chunks();
    Some((words.first_chunk()?.map(u32::from_le_bytes), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(types: u32, strings: u32) -> Vec<u8> {
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes
    }

    /// A type's head, followed by as many bytes as its kind has.
    fn item(name: u32, kind: u32, members: u32, behind: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            [name, kind << 24 | members, 0].into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.resize(bytes.len() + behind, 0xff);
        bytes
    }

    fn btf(types: &[Vec<u8>], strings: &[u8]) -> Vec<u8> {
        let types = types.concat();
        let mut bytes = header(types.len().try_into().unwrap(), strings.len().try_into().unwrap());
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    /// One type of each kind, then the function `schedule`, as number 20.
    fn kernel() -> Vec<u8> {
        let sizes = [4, 0, 12, 24, 24, 16, 0, 0, 0, 0, 0, 0, 16, 4, 24, 0, 4, 0, 24];
        let mut types: Vec<_> =
            (1..).zip(sizes).map(|(kind, behind)| item(0, kind, 2, behind)).collect();
        types.push(item(1, KIND_FUNC, 1, 0));
        btf(&types, b"\0schedule\0handle_tx\0")
    }

    fn module() -> Vec<u8> {
        // The kernel has 20 bytes of strings, with `handle_tx`; `handle_rx` is the module's own.
        let types = [item(0, 1, 0, 4), item(10, KIND_FUNC, 0, 0), item(20, KIND_FUNC, 0, 0)];
        btf(&types, b"handle_rx\0")
    }

    #[test]
    fn a_modules_ids_and_strings_go_on_where_the_kernels_end() {
        let kernel = Arc::new(Functions::parse(&kernel(), None).unwrap());
        assert_eq!(kernel.id("schedule"), Some(20));
        let module = Functions::parse(&module(), Some(Arc::clone(&kernel))).unwrap();
        assert_eq!(module.id("handle_tx"), Some(22));
        assert_eq!(module.id("handle_rx"), Some(23));
        for absent in ["handle_", "handle_rxx", "schedule", ""] {
            assert_eq!(module.id(absent), None, "{absent}");
        }
    }

    #[test]
    fn each_malformation_has_its_name() {
        let parse = |bytes: &[u8]| Functions::parse(bytes, None).unwrap_err();
        assert_eq!(parse(b"\x9f\xeb"), BtfError::Truncated("header", 2));
        assert_eq!(parse(&[0; 24]), BtfError::Magic(0));
        assert_eq!(parse(&header(12, 0)), BtfError::Truncated("type section", 24));
        assert_eq!(parse(&header(0, 1)), BtfError::Truncated("strings", 24));
        let cut = btf(&[item(0, 4, 3, 24)], b"\0");
        assert_eq!(parse(&cut), BtfError::Truncated("last type", cut.len()));
        let newer = btf(&[item(0, 2, 0, 0), item(0, 77, 0, 0)], b"\0");
        assert_eq!(parse(&newer), BtfError::UnknownKind { id: 2, kind: 77 });
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: usize, value: u32) {
            let _ = Functions::parse(&bytes, None).map(|functions| functions.id("x"));
            // A real one with one changed word gets further.
            let mut changed = kernel();
            let at = at % (changed.len() - 4);
            changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let base = Functions::parse(&changed, None).ok().map(Arc::new);
            let _ = Functions::parse(&module(), base).map(|functions| functions.id("handle_tx"));
        }
    }
}
