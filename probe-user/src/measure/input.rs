//! Reads the bytes of what a user names as a result.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use lzma_rust2::XzReader;
use probe_core::{
    error::{Error, Result},
    model::bounds::RESULT_BYTES,
};

use super::journal::{CAMPAIGN, JOURNAL};

/// Names of standard input. It is read from the open descriptor, not opened again, which fails for
/// a socket.
const STANDARD: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// All bytes of a file, a pipe, or standard input.
///
/// The system's error; it is larger than a result can be, or does not begin like one; standard
/// input is named a second time.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if !STANDARD.iter().any(|name| path.as_os_str() == *name) {
        return unpacked(path, File::open(path).map_err(|e| unreadable(path, e))?);
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(refused(
            path,
            "standard input is named twice, but can be read only once".into(),
            "Save it to a file, and name that twice",
        ));
    }
    unpacked(path, io::stdin().lock())
}

/// Like [`all`], also for what `xz` has packed, as published results are. The beginning of a pipe
/// can be read only once.
fn unpacked(path: &Path, mut from: impl Read) -> Result<Vec<u8>> {
    const PACKED: &[u8] = b"\xfd7zXZ\0";
    /// KiB of memory that the file may require, twice what `xz -9` needs.
    const MEMORY: u32 = 128 << 10;
    let mut first = Vec::new();
    let most = PACKED.len() as u64;
    from.by_ref().take(most).read_to_end(&mut first).map_err(|e| unreadable(path, e))?;
    let packed = first == PACKED;
    let whole = BufReader::new(io::Cursor::new(first).chain(from));
    match packed {
        true => all(path, XzReader::new_mem_limit(whole, true, MEMORY)),
        false => all(path, whole),
    }
}

/// Reads to the end, but only if it begins like JSON, after a few blanks at most, so that an
/// endless or huge file of another kind is not read completely.
fn all(path: &Path, from: impl Read) -> Result<Vec<u8>> {
    const FIRST: u64 = 4096;
    let mut bytes = Vec::new();
    let mut from = from.take(FIRST);
    from.read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
    match bytes.trim_ascii_start().first() {
        Some(b'{') => {}
        None if bytes.len() as u64 == FIRST => {
            let why = format!("it begins with {FIRST} blanks, so it is not a result");
            return Err(refused(path, why, "Name a result that tracetoll wrote"));
        }
        _ => return Ok(bytes),
    }
    from.set_limit(RESULT_BYTES.saturating_sub(FIRST).saturating_add(1));
    from.read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
    if bytes.len() as u64 > RESULT_BYTES {
        let why = format!("it has more than {} GiB, so it is not a result", RESULT_BYTES >> 30);
        return Err(refused(path, why, "Name a result that tracetoll wrote, or merge fewer"));
    }
    Ok(bytes)
}

fn refused(path: &Path, why: String, hint: &str) -> Error {
    Error::invalid(path.display().to_string(), why, hint)
}

/// The system's error, with what helps.
pub(super) fn unreadable(file: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "Ask its owner to make it readable (chmod a+rX), or name another result".into()
        }
        _ => format!(
            "Name a folder with {CAMPAIGN} or {JOURNAL}, or one of these files, as `tracetoll run \
             --out` makes them"
        ),
    };
    Error::file("read", file, error).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(from: impl Read) -> Result<Vec<u8>> {
        all(Path::new("-"), from)
    }

    #[test]
    fn what_is_no_result_is_not_read_to_its_end() {
        assert_eq!(read(io::repeat(0)).unwrap().len(), 4096);
        assert_eq!(read(&b" {\"a\":1}"[..]).unwrap().len(), 8);
        assert!(read(&b""[..]).unwrap().is_empty());
        let long = format!("{{{}", "x".repeat(10_000));
        assert_eq!(read(long.as_bytes()).unwrap().len(), 10_001);
    }

    #[test]
    fn endless_blanks_are_refused_at_once() {
        assert_eq!(
            read(io::repeat(b'\n')).unwrap_err().to_string(),
            "-: it begins with 4096 blanks, so it is not a result. Name a result that tracetoll \
             wrote"
        );
    }
}
