//! A method's row in its family's list.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use probe_core::error::Result;

use super::{Method, options::Options};

/// Creates a method from the words that name it.
pub type Make = fn(&mut Options) -> Result<Box<dyn Method>>;

/// One method, or a kind of methods that differ by a number in their id.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The id; `HZ` and `N` are placeholders for numbers: `perf-sample-HZ`.
    pub id: &'static str,
    /// The id that represents the kind in groups: `perf-sample-999`. `None` if no group contains
    /// it.
    pub grouped: Option<&'static str>,
    /// Creates it.
    pub make: Make,
}

impl Entry {
    /// A method without a number in its id.
    pub const fn plain(id: &'static str, make: Make) -> Self {
        Self { id, grouped: Some(id), make }
    }

    /// A kind of methods: `pattern` has a placeholder for the number; `example` is the one in
    /// groups.
    pub const fn kind(pattern: &'static str, example: &'static str, make: Make) -> Self {
        Self { id: pattern, grouped: Some(example), make }
    }

    /// Whether `id` names this method, or one of this kind.
    pub fn names(&self, id: &str) -> bool {
        number_in(self.id, id).is_some() || self.id == id
    }
}

/// The number in `id` at the place of `HZ` or `N` in `pattern`.
pub fn number_in(pattern: &str, id: &str) -> Option<u32> {
    let (before, behind) = pattern.split_once("HZ").or_else(|| pattern.split_once('N'))?;
    let digits = id.strip_prefix(before)?.strip_suffix(behind)?;
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_ids_are_plain() {
        assert_eq!(number_in("perf-sample-HZ-callchain", "perf-sample-99-callchain"), Some(99));
        for id in [
            "perf-sample--callchain",
            "perf-sample-0-callchain",
            "perf-sample-+9-callchain",
            "perf-sample-9",
        ] {
            assert_eq!(number_in("perf-sample-HZ-callchain", id), None, "{id}");
        }
    }
}
