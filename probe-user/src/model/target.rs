//! What is traced.

use serde::{Deserialize, Serialize};

/// A resolved target: functions that exist on this kernel, in the order in which they were asked for.
///
/// A function's place in `functions` is its index everywhere else: in a method's records, in a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The functions.
    pub functions: Vec<Function>,
}

/// One kernel function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name in /proc/kallsyms.
    pub name: String,
    /// The module that holds it; none for the kernel itself.
    pub module: Option<String>,
    /// Where its code stands, from /proc/kallsyms: `[start, end)`. Not kept in results.
    #[serde(skip)]
    pub addresses: Range,
}

/// Kernel addresses, `[start, end)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
}

impl Range {
    /// Whether `address` lies inside.
    pub fn contains(self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}
