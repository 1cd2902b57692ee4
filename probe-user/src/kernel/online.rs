//! Which CPUs are online.

use std::fs;

use crate::error::{Error, Result};

const ONLINE: &str = "/sys/devices/system/cpu/online";

/// Numbers of the CPUs that are online now.
///
/// # Errors
/// The list cannot be read or is not one.
pub fn cpus() -> Result<Vec<u32>> {
    let text = fs::read_to_string(ONLINE).map_err(|e| Error::file("read", ONLINE, e))?;
    parse(text.trim()).ok_or_else(|| Error::malformed(ONLINE, format!("`{}`", text.trim())))
}

/// Parses the kernel's list format, `0-3,7` (lib/bitmap-str.c).
fn parse(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_single_numbers_and_ranges() {
        assert_eq!(parse("0"), Some(vec![0]));
        assert_eq!(parse("0-2,5,8-9"), Some(vec![0, 1, 2, 5, 8, 9]));
        assert_eq!(parse(""), None);
        assert_eq!(parse("0-"), None);
    }
}
