//! The bytes of what a person names as a result.

#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::model::bounds::RESULT_BYTES;

/// Names of standard input. It is read as it was handed over, not opened anew, which a socket refuses.
const STANDARD: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// All bytes of a file, a pipe, or standard input.
///
/// # Errors
/// What the system refused; it is larger than a result can be; standard input is named a second time.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if !STANDARD.iter().any(|name| path.as_os_str() == *name) {
        return all(File::open(path)?);
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(io::Error::other("standard input is named twice, and gives its bytes once"));
    }
    all(io::stdin().lock())
}

/// To its end; but only where it begins as JSON does, so that an endless or huge file of something else is not read whole.
fn all(from: impl Read) -> io::Result<Vec<u8>> {
    const FIRST: u64 = 4096;
    let mut bytes = Vec::new();
    let mut from = from.take(FIRST);
    from.read_to_end(&mut bytes)?;
    if bytes.trim_ascii_start().first().is_some_and(|&first| first != b'{') {
        return Ok(bytes);
    }
    from.set_limit(RESULT_BYTES.saturating_sub(FIRST).saturating_add(1));
    from.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > RESULT_BYTES {
        let why = format!("it has more than {RESULT_BYTES} bytes, which no result has");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_result_is_not_read_to_its_end() {
        let zeros = all(io::repeat(0)).unwrap();
        assert_eq!(zeros.len(), 4096);
        assert_eq!(all(&b" {\"a\":1}"[..]).unwrap().len(), 8);
        assert!(all(&b""[..]).unwrap().is_empty());
        let long = format!("{{{}", "x".repeat(10_000));
        assert_eq!(all(long.as_bytes()).unwrap().len(), 10_001);
    }
}
