//! What is traced.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::item::ItemId;

/// A resolved target: functions and tracepoints that exist on this kernel, in the order in which
/// they were asked for.
///
/// What a method can see of it are its *items*: the functions, then the tracepoints, then the
/// frames of the guests' TAPs, which are there under every load. Records and series go by the
/// [`ItemId`]. Most methods see items of one kind only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// The functions.
    pub functions: Vec<Function>,
    /// The tracepoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracepoints: Vec<Tracepoint>,
    /// In a part of a campaign's target: how many functions were left out. Their ids stay theirs.
    #[serde(skip)]
    pub omitted: usize,
}

impl Target {
    /// Name of the last item: the frames that the guests' TAPs hand to the network.
    pub const FRAMES: &'static str = "frames";

    /// The first `functions` of its functions, and the rest as it is; all items keep their ids.
    #[must_use]
    pub fn first(&self, functions: usize) -> Self {
        let mut part = self.clone();
        part.functions.truncate(functions);
        let left = part.functions.len();
        part.omitted = self.first_tracepoint().0.saturating_sub(left);
        part
    }

    /// All items, with their names.
    pub fn items(&self) -> impl Iterator<Item = (ItemId, String)> + '_ {
        let functions = self.functions().map(|(item, function)| (item, function.name.clone()));
        let tracepoints = self.tracepoints().map(|(item, one)| (item, one.to_string()));
        functions.chain(tracepoints).chain([(self.frames(), Self::FRAMES.to_owned())])
    }

    /// The functions, with their ids.
    pub fn functions(&self) -> impl Iterator<Item = (ItemId, &Function)> {
        ItemId::FIRST.onward().zip(&self.functions)
    }

    /// The tracepoints, with their ids.
    pub fn tracepoints(&self) -> impl Iterator<Item = (ItemId, &Tracepoint)> {
        self.first_tracepoint().onward().zip(&self.tracepoints)
    }

    /// The item behind the functions: the first tracepoint, if there is one.
    pub fn first_tracepoint(&self) -> ItemId {
        ItemId(self.functions.len().saturating_add(self.omitted))
    }

    /// The frames.
    pub fn frames(&self) -> ItemId {
        ItemId(self.first_tracepoint().0.saturating_add(self.tracepoints.len()))
    }

    /// How many items the campaign's target has; the frames are always one.
    pub fn item_count(&self) -> usize {
        self.frames().0.saturating_add(1)
    }
}

/// A tracepoint, as named in tracefs.
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
    /// The module that holds it; null for the kernel itself.
    pub module: Option<String>,
    /// Where its code is, from /proc/kallsyms: `[start, end)`. Not kept in results.
    #[serde(skip)]
    pub addresses: Range,
}

impl Function {
    /// As tracefs lists it in `available_filter_functions`: `handle_tx [vhost_net]`.
    pub fn listed(&self) -> String {
        match &self.module {
            Some(module) => format!("{} [{module}]", self.name),
            None => self.name.clone(),
        }
    }
}

/// Kernel addresses, `[start, end)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// First address after the code.
    pub end: u64,
}

impl Range {
    /// Whether `address` lies inside.
    pub fn contains(self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_part_keep_their_ids() {
        let function =
            |name: &str| Function { name: name.into(), module: None, addresses: Range::default() };
        let whole = Target {
            functions: ["f", "g", "h"].map(function).into(),
            tracepoints: vec![Tracepoint { group: "net".into(), name: "x".into() }],
            ..Target::default()
        };
        let ids = |target: &Target| target.items().map(|(item, name)| (item.0, name)).collect();
        let all: Vec<(usize, String)> = ids(&whole);
        let part: Vec<(usize, String)> = ids(&whole.first(1));
        assert_eq!(part, [all[0].clone(), all[3].clone(), all[4].clone()]);
        assert_eq!(whole.first(2).first(1), whole.first(1));
        assert_eq!(whole.first(1).item_count(), all.len());
        assert_eq!(whole.first(4), whole);
    }
}
