//! A method as named by a user: an id, and parameters that differ from their defaults.
//!
//! `ftrace-function`, `ftrace-function:clock=local`, `ftrace-function:clock=local:wake_ms=10`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::str::FromStr;

use probe_core::{
    error::{Error, Result},
    model::{
        bounds::{self, Bound},
        method::MethodId,
    },
};

/// The size of one perf ring's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerfRing {
    /// In KiB.
    pub kib: u32,
    /// In pages, a power of two.
    pub pages: usize,
}

/// The words that name one method. The method must take every given parameter: see
/// [`Options::finish`].
#[derive(Debug, Clone)]
pub struct Options {
    id: String,
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Options {
    /// Splits `ID:KEY=VALUE:…`.
    ///
    /// # Errors
    /// A part after the id is not `KEY=VALUE`, or a key is given twice.
    pub fn parse(word: &str) -> Result<Self> {
        let mut parts = word.split(':');
        let id = parts.next().unwrap_or_default().to_owned();
        let mut given: Vec<(String, String)> = Vec::new();
        for part in parts {
            let (key, value) =
                part.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
                    invalid(
                        word,
                        format!("`{part}` is not a parameter"),
                        "Write ID:KEY=VALUE, as in ftrace-function:clock=local".into(),
                    )
                })?;
            if given.iter().any(|(other, _)| other == key) {
                return Err(invalid(word, format!("{key} is given twice"), "Give it once".into()));
            }
            given.push((key.into(), value.into()));
        }
        Ok(Self { id, given, known: Vec::new() })
    }

    /// The id without parameters.
    pub fn base(&self) -> &str {
        &self.id
    }

    /// The id of the method that these words define: `base`, which may have more than the words did
    /// (the event that a profiler found), and the given parameters.
    pub fn id(&self, base: &str) -> MethodId {
        let parameters = self.given.iter().map(|(key, value)| format!(":{key}={value}"));
        MethodId(std::iter::once(base.to_owned()).chain(parameters).collect())
    }

    /// The value of `key`, or `default`.
    ///
    /// # Errors
    /// It does not have the default's type.
    pub fn take<T: FromStr>(&mut self, key: &'static str, default: T) -> Result<T> {
        self.known.push(key);
        let Some((_, value)) = self.given.iter().find(|(given, _)| given == key) else {
            return Ok(default);
        };
        value.parse().map_err(|_| {
            let what = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
            self.wrong(key, format!("`{value}` is not a {what}"))
        })
    }

    /// The value of `key`, a number within `bound`, or `default`.
    ///
    /// # Errors
    /// It is not such a number.
    pub fn number(&mut self, key: &'static str, default: u32, bound: &Bound<u32>) -> Result<u32> {
        self.known.push(key);
        let Some((_, value)) = self.given.iter().find(|(given, _)| given == key) else {
            return Ok(default);
        };
        bound.parse(value).map_err(|why| self.wrong(key, why))
    }

    /// The size of each CPU's perf ring, `buffer_kib_per_cpu`, or `default`: a power of two in
    /// pages (`perf_mmap`).
    ///
    /// # Errors
    /// A ring cannot have this size.
    pub fn perf_ring(&mut self, default: u32) -> Result<PerfRing> {
        const MOST: usize = bounds::BUFFER_KIB.most as usize;
        let kib = self.number("buffer_kib_per_cpu", default, &bounds::BUFFER_KIB)?;
        let page = rustix::param::page_size();
        let least = (page / 1024).max(1);
        if kib.is_power_of_two() && (least..=MOST).contains(&(kib as usize)) {
            return Ok(PerfRing { kib, pages: (kib as usize).checked_div(least).unwrap_or(1) });
        }
        Err(invalid(
            &format!("{}:buffer_kib_per_cpu", self.id),
            format!("invalid ring size of {kib} KiB"),
            format!("Give a power of two from {least} to {MOST}"),
        ))
    }

    /// The value of `key`, which must be one of `choices`; the first one is the default.
    ///
    /// # Errors
    /// It is none of them.
    pub fn choose(&mut self, key: &'static str, choices: &[&'static str]) -> Result<&'static str> {
        let default = choices.first().copied().unwrap_or_default();
        let value: String = self.take(key, default.to_owned())?;
        let found = choices.iter().find(|choice| **choice == value);
        found.copied().ok_or_else(|| {
            self.wrong(
                key,
                format!(
                    "`{value}` is not one of \
                                                    {}",
                    choices.join(", ")
                ),
            )
        })
    }

    /// Records a value that was found rather than given, so that the id includes it.
    pub fn found(&mut self, key: &'static str, value: &str) {
        if self.given.iter().all(|(given, _)| given != key) {
            self.given.push((key.into(), value.into()));
        }
    }

    /// Checks that every given parameter was taken.
    ///
    /// # Errors
    /// The method has no such parameter; the error names those that it has.
    pub fn finish(&self) -> Result<()> {
        let Some((key, _)) = self.given.iter().find(|(key, _)| !self.known.contains(&key.as_str()))
        else {
            return Ok(());
        };
        let hint = match self.known.as_slice() {
            [] => "It has no parameters".to_owned(),
            known => format!("It has {}", known.join(", ")),
        };
        Err(invalid(&self.id, format!("it has no parameter {key}"), hint))
    }

    fn wrong(&self, key: &str, why: String) -> Error {
        invalid(
            &format!("{}:{key}", self.id),
            why,
            "`tracetoll methods` names each method's parameters".into(),
        )
    }
}

fn invalid(word: &str, why: String, hint: String) -> Error {
    Error::invalid(format!("method `{word}`"), why, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_by_name_and_stay_in_the_id() {
        let mut options = Options::parse("ftrace-function:clock=local:wake_ms=10").unwrap();
        assert_eq!(options.base(), "ftrace-function");
        assert_eq!(options.choose("clock", &["mono", "local"]).unwrap(), "local");
        assert_eq!(options.number("wake_ms", 100, &bounds::WAKE_MS).unwrap(), 10);
        assert_eq!(options.number("buffer_kib", 64, &bounds::BUFFER_KIB).unwrap(), 64);
        options.finish().unwrap();
        assert_eq!(options.id("ftrace-function").0, "ftrace-function:clock=local:wake_ms=10");
    }

    #[test]
    fn what_no_method_takes_is_named() {
        let mut options = Options::parse("x:wake=1").unwrap();
        options.number("wake_ms", 100, &bounds::WAKE_MS).unwrap();
        let error = options.finish().unwrap_err().to_string();
        assert!(error.contains("no parameter wake") && error.contains("wake_ms"), "{error}");
    }

    #[test]
    fn a_perf_ring_is_a_power_of_two_of_pages() {
        let ring = |word: &str| Options::parse(word).unwrap().perf_ring(512);
        let page = rustix::param::page_size();
        assert_eq!(ring("x").unwrap(), PerfRing { kib: 512, pages: 512 * 1024 / page });
        let least = page as u32 / 1024;
        let smallest = PerfRing { kib: least, pages: 1 };
        assert_eq!(ring(&format!("x:buffer_kib_per_cpu={least}")).unwrap(), smallest);
        for kib in [6, 100, least / 2, 1 << 21, u32::MAX] {
            let error = ring(&format!("x:buffer_kib_per_cpu={kib}")).unwrap_err().to_string();
            assert!(error.contains("method `x:buffer_kib_per_cpu`"), "{error}");
            assert!(
                error.contains("a power of two from 4") || error.contains("1 to 1048576"),
                "{error}"
            );
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for word in ["x:clock", "x:=1", "x:a=1:a=2"] {
            assert!(Options::parse(word).is_err(), "{word}");
        }
        for value in ["0", "-1", "many", "", "60001", "4294967296"] {
            let mut options = Options::parse(&format!("x:n={value}")).unwrap();
            assert!(options.number("n", 1, &bounds::WAKE_MS).is_err(), "{value}");
        }
        assert!(Options::parse("x:clock=sundial").unwrap().choose("clock", &["mono"]).is_err());
    }
}
