//! The kernel's symbol table, `/proc/kallsyms`, parsed once and before the load starts: reading it
//! keeps the kernel busy long enough to disturb a measurement.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::fs;

use probe_core::{
    error::{Error, Result},
    model::target::Range,
};

const KALLSYMS: &str = "/proc/kallsyms";

/// All functions of the running kernel and its modules.
#[derive(Debug)]
pub struct Kallsyms {
    text: String,
    functions: Vec<Entry>,
    /// Addresses of all symbols, including data, sorted: each symbol ends where the next one
    /// begins.
    starts: Vec<u64>,
}

/// Positions in the text rather than strings: there are about 100,000 functions.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: (u32, u32),
    module: Option<(u32, u32)>,
    start: u64,
}

/// One function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name; not unique.
    pub name: &'a str,
    /// The module that holds it; `None` for the kernel itself.
    pub module: Option<&'a str>,
    /// From its address to the next symbol's. The table has no sizes, so padding between functions
    /// belongs to the preceding one.
    pub addresses: Range,
}

impl Kallsyms {
    /// Reads and parses `/proc/kallsyms`.
    ///
    /// # Errors
    /// It cannot be read, its addresses are hidden, or a line is not a symbol.
    pub fn load() -> Result<Self> {
        let text = fs::read_to_string(KALLSYMS).map_err(|e| Error::file("read", KALLSYMS, e))?;
        Self::parse(text)
    }

    /// Parses a text in the format of `/proc/kallsyms`: `ADDRESS TYPE NAME[\t[MODULE]]`.
    ///
    /// # Errors
    /// All addresses are zero (`kptr_restrict`), or a line is not a symbol.
    pub fn parse(text: String) -> Result<Self> {
        let mut starts = Vec::new();
        let mut functions = Vec::new();
        for line in text.lines() {
            let symbol = parse_line(line).ok_or_else(|| {
                Error::malformed(KALLSYMS, format!("`{line}` is not `ADDRESS TYPE NAME`"))
            })?;
            starts.push(symbol.address);
            if matches!(symbol.kind, 't' | 'T' | 'w' | 'W') {
                let too_long = || Error::malformed(KALLSYMS, "it is longer than 4 GiB");
                let place = |part| place(&text, part).ok_or_else(too_long);
                functions.push(Entry {
                    name: place(symbol.name)?,
                    module: symbol.module.map(place).transpose()?,
                    start: symbol.address,
                });
            }
        }
        starts.sort_unstable();
        starts.dedup();
        if starts.last().is_none_or(|&last| last == 0) {
            return Err(Error::unsupported(
                KALLSYMS,
                "the kernel hides its addresses (all are zero)",
                "Run as root with CAP_SYSLOG, or: sysctl kernel.kptr_restrict=0",
            ));
        }
        Ok(Self { text, functions, starts })
    }

    /// All functions of this name, in the kernel and in every module.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Symbol<'a>> {
        self.functions
            .iter()
            .filter(move |entry| slice(&self.text, entry.name) == name)
            .map(|entry| self.symbol(entry))
    }

    /// All functions of this module.
    pub fn of_module<'a>(&'a self, module: &'a str) -> impl Iterator<Item = Symbol<'a>> {
        self.functions
            .iter()
            .filter(move |entry| entry.module.is_some_and(|m| slice(&self.text, m) == module))
            .map(|entry| self.symbol(entry))
    }

    /// A function that the compiler created instead of this one, named after it with a dot:
    /// `NAME.isra.0`, `NAME.constprop.0`, `NAME.part.0`. (`NAME.cold` exists in addition to it.)
    pub fn split_off(&self, name: &str, module: Option<&str>) -> Option<Symbol<'_>> {
        let split = |symbol: &Symbol<'_>| {
            let suffix = symbol.name.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            suffix.is_some_and(|suffix| suffix != "cold") && symbol.module == module
        };
        self.functions.iter().map(|entry| self.symbol(entry)).find(split)
    }

    /// Whether a module of this name is loaded and has functions.
    pub fn has_module(&self, module: &str) -> bool {
        self.functions.iter().any(|f| f.module.is_some_and(|m| slice(&self.text, m) == module))
    }

    /// The functions whose names are most similar to `name`, best first, without duplicates: what a
    /// user may have meant.
    pub fn nearest(&self, name: &str, count: usize) -> Vec<Symbol<'_>> {
        // More edits than a third of the name's length are not a typing error.
        let limit = (name.len() / 3).max(1);
        let mut near: Vec<_> = self
            .functions
            .iter()
            .map(|entry| self.symbol(entry))
            .filter(|s| s.name.len().abs_diff(name.len()) <= limit && !s.name.starts_with("__pfx_"))
            .map(|symbol| (strsim::osa_distance(symbol.name, name), symbol))
            .filter(|(distance, _)| *distance <= limit)
            .collect();
        // Modules before the kernel's own functions: targets are mostly in modules.
        near.sort_by_key(|(distance, s)| (*distance, s.module.is_none(), s.name));
        near.dedup_by_key(|(_, s)| (s.name, s.module));
        near.into_iter().take(count).map(|(_, symbol)| symbol).collect()
    }

    fn symbol(&self, entry: &Entry) -> Symbol<'_> {
        let next = self.starts.partition_point(|&other| other <= entry.start);
        let end = self.starts.get(next).copied().unwrap_or(u64::MAX);
        Symbol {
            name: slice(&self.text, entry.name),
            module: entry.module.map(|module| slice(&self.text, module)),
            addresses: Range { start: entry.start, end },
        }
    }
}

struct Line<'a> {
    address: u64,
    kind: char,
    name: &'a str,
    module: Option<&'a str>,
}

fn parse_line(line: &str) -> Option<Line<'_>> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?.chars().next()?;
    let name = words.next()?;
    let module = match words.next() {
        Some(word) => Some(word.strip_prefix('[')?.strip_suffix(']')?),
        None => None,
    };
    Some(Line { address, kind, name, module })
}

/// Position of `part` in `text`, of which it is a slice: start and end. `None` beyond 4 GiB.
fn place(text: &str, part: &str) -> Option<(u32, u32)> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    Some((u32::try_from(start).ok()?, u32::try_from(end).ok()?))
}

/// The text at a [`place`].
fn slice(text: &str, (start, end): (u32, u32)) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
ffffffff81000000 T _text
ffffffff81000000 T _stext
ffffffff81000040 t helper
ffffffff81000080 t __pfx_handle_rx
ffffffff81000100 D some_data
ffffffffc0100000 t helper\t[vhost_net]
ffffffffc0100010 t handle_tx\t[vhost_net]
ffffffffc0100090 t handle_rx\t[vhost_net]
ffffffffc0200000 t tun_get_user\t[tun]
";

    #[test]
    fn a_function_ends_at_the_next_symbol_of_any_kind() {
        let symbols = Kallsyms::parse(TEXT.into()).unwrap();
        let range = |name| symbols.named(name).map(|s| s.addresses).collect::<Vec<_>>();
        assert_eq!(
            range("handle_tx"),
            [Range { start: 0xffff_ffff_c010_0010, end: 0xffff_ffff_c010_0090 }]
        );
        // Two names for one address: neither range is empty.
        let text = Range { start: 0xffff_ffff_8100_0000, end: 0xffff_ffff_8100_0040 };
        assert_eq!((range("_text"), range("_stext")), (vec![text], vec![text]));
        assert_eq!(
            range("__pfx_handle_rx"),
            [Range { start: 0xffff_ffff_8100_0080, end: 0xffff_ffff_8100_0100 }]
        );
        assert_eq!(range("some_data"), []);
    }

    #[test]
    fn names_that_occur_twice_are_both_found() {
        let symbols = Kallsyms::parse(TEXT.into()).unwrap();
        let modules: Vec<_> = symbols.named("helper").map(|s| s.module).collect();
        assert_eq!(modules, [None, Some("vhost_net")]);
        assert!(symbols.has_module("tun") && !symbols.has_module("kvm"));
    }

    #[test]
    fn the_nearest_names_are_offered() {
        let symbols = Kallsyms::parse(TEXT.into()).unwrap();
        let names = |name| symbols.nearest(name, 3).iter().map(|s| s.name).collect::<Vec<_>>();
        assert_eq!(names("handel_tx"), ["handle_tx", "handle_rx"]);
        assert_eq!(names("no_such_thing"), [""; 0]);
    }

    #[test]
    fn hidden_addresses_are_named_as_such() {
        let hidden = "0000000000000000 T _text\n0000000000000000 t handle_tx\t[vhost_net]\n";
        let error = Kallsyms::parse(hidden.into()).unwrap_err().to_string();
        assert!(error.contains("kptr_restrict"), "{error}");
        assert!(Kallsyms::parse(String::new()).is_err());
    }

    #[test]
    fn a_broken_line_is_quoted() {
        let error = Kallsyms::parse("zz T x\n".into()).unwrap_err().to_string();
        assert!(error.contains("`zz T x`"), "{error}");
        assert!(Kallsyms::parse("1 T x [open\n".into()).is_err());
    }
}
