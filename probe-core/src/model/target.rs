//! What is traced.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A resolved target: functions and tracepoints that exist on this kernel, in the order in which
/// they were asked for.
///
/// What a method can see of it are its *items*: the functions, then the tracepoints, then the
/// frames of the guests' TAPs, which are there under every load. An item's place in that order is
/// its index everywhere else: in a method's records, in a series. Most methods see items of one
/// kind only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// The functions.
    pub functions: Vec<Function>,
    /// The tracepoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracepoints: Vec<Tracepoint>,
}

impl Target {
    /// What the last item is called: the frames that the guests' TAPs hand to the network.
    pub const FRAMES: &'static str = "frames";

    /// Names of all items, by index.
    pub fn items(&self) -> impl Iterator<Item = String> + '_ {
        let functions = self.functions.iter().map(|function| function.name.clone());
        let tracepoints = self.tracepoints.iter().map(ToString::to_string);
        functions.chain(tracepoints).chain([Self::FRAMES.to_owned()])
    }

    /// How many items there are; the frames are always one.
    pub fn item_count(&self) -> usize {
        self.frames().saturating_add(1)
    }

    /// Index of the tracepoint at `place` in `tracepoints`.
    pub fn tracepoint(&self, place: usize) -> usize {
        self.functions.len().saturating_add(place)
    }

    /// Index of the frames.
    pub fn frames(&self) -> usize {
        self.functions.len().saturating_add(self.tracepoints.len())
    }
}

/// One tracepoint, as tracefs names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tracepoint {
    /// Its group (`TRACE_SYSTEM`): `net`.
    pub group: String,
    /// Its name: `net_dev_xmit`.
    pub name: String,
}

impl fmt::Display for Tracepoint {
    /// `net:net_dev_xmit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.group, self.name)
    }
}

/// One kernel function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
