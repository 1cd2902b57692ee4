//! Sets of CPUs, in the kernel's list format.

use std::{fmt, ops::Deref, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// CPU numbers, ascending, each once. As text `0-2,5`, the kernel's format (lib/vsprintf.c,
/// `bitmap_list_string`); in JSON an array of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<u32>")]
pub struct CpuList(Vec<u32>);

/// The error for text that is not a list of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` {why}; a list of CPUs looks like 2-5,8")]
pub struct NoCpuList {
    part: String,
    why: &'static str,
}

/// One more than the greatest CPU number: `CONFIG_NR_CPUS` is at most 8192 on every architecture.
const LIMIT: u32 = 8192;

impl CpuList {
    /// The CPUs of `self` that are not in `others`.
    #[must_use]
    pub fn without(&self, others: &[u32]) -> Self {
        Self(self.iter().copied().filter(|cpu| !others.contains(cpu)).collect())
    }

    /// The CPUs of `self` that are also in `others`.
    #[must_use]
    pub fn among(&self, others: &[u32]) -> Self {
        Self(self.iter().copied().filter(|cpu| others.contains(cpu)).collect())
    }
}

impl From<Vec<u32>> for CpuList {
    fn from(mut cpus: Vec<u32>) -> Self {
        cpus.sort_unstable();
        cpus.dedup();
        Self(cpus)
    }
}

impl Deref for CpuList {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for run in self.0.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
            match run {
                [first, .., last] => write!(f, "{separator}{first}-{last}")?,
                [one] => write!(f, "{separator}{one}")?,
                [] => {}
            }
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for CpuList {
    type Err = NoCpuList;

    /// Empty text is an error: nobody means an empty list.
    fn from_str(text: &str) -> Result<Self, NoCpuList> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let no = |why| NoCpuList { part: part.to_owned(), why };
            let number = |text: &str| {
                // `parse` accepts a sign, the kernel does not.
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse::<u32>().ok().filter(|_| digits);
                let number = number.ok_or_else(|| no("is neither a number nor a range"))?;
                if number < LIMIT { Ok(number) } else { Err(no("is beyond every kernel's CPUs")) }
            };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(no("ends before it starts"));
            }
            cpus.extend(first..=last);
        }
        Ok(cpus.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> Vec<u32> {
        text.parse::<CpuList>().unwrap().to_vec()
    }

    #[test]
    fn lists_are_numbers_and_ranges_in_any_order() {
        assert_eq!(list("0"), [0]);
        assert_eq!(list("0-2,5,8-9"), [0, 1, 2, 5, 8, 9]);
        assert_eq!(list("5,1-3,2"), [1, 2, 3, 5]);
        assert_eq!(list("8191"), [8191]);
    }

    #[test]
    fn what_is_no_list_is_quoted() {
        for (text, part) in [
            ("", "``"),
            ("0-", "`0-`"),
            ("1,,2", "``"),
            ("+1", "`+1`"),
            ("1, 2", "` 2`"),
            ("5-2", "`5-2`"),
            ("0-2:1/2", "`0-2:1/2`"),
            ("1,8192", "`8192`"),
            ("0-4294967295", "`0-4294967295`"),
        ] {
            let error = text.parse::<CpuList>().unwrap_err().to_string();
            assert!(error.starts_with(part) && error.ends_with("2-5,8"), "{text}: {error}");
        }
    }

    #[test]
    fn sets_are_cut_and_met() {
        let cpus: CpuList = "0-3".parse().unwrap();
        assert_eq!(cpus.without(&[2, 7]).to_string(), "0-1,3");
        assert_eq!(cpus.among(&[2, 7]).to_string(), "2");
    }

    #[test]
    fn json_is_an_array_of_numbers() {
        let cpus: CpuList = serde_json::from_str("[3,1,3]").unwrap();
        assert_eq!(serde_json::to_string(&cpus).unwrap(), "[1,3]");
    }

    proptest! {
        #[test]
        fn a_list_reads_back(cpus in prop::collection::vec(0..LIMIT, 1..50)) {
            let list = CpuList::from(cpus.clone());
            prop_assert_eq!(&list.to_string().parse::<CpuList>().unwrap(), &list);
            prop_assert!(cpus.iter().all(|cpu| list.contains(cpu)));
            prop_assert!(list.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn any_text_is_a_list_or_refused(text in "[0-9,+: -]{0,12}") {
            if let Ok(list) = text.parse::<CpuList>() {
                prop_assert!(!list.is_empty());
                prop_assert_eq!(&list.to_string().parse::<CpuList>().unwrap(), &list);
            }
        }
    }
}
