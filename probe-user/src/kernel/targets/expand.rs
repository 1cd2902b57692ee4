//! Patterns in a target: `tun:*` stands for every traceable function of a module,
//! `!tun:tun_net_init` removes one.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::collections::{BTreeMap, BTreeSet};

use probe_core::{
    error::{Error, Result},
    model::target::{Function, Tracepoint},
};

use super::PRESETS;
use crate::kernel::kallsyms::{Kallsyms, Symbol};

/// Replaces the patterns in `request` by their functions, sorted by name, and removes what is
/// excluded. `listed` is the text of `available_filter_functions`. A name that occurs twice in a
/// module is left out: no method could distinguish the two.
///
/// # Errors
/// A pattern names no module, or matches nothing; or an exclusion is not in the target.
pub fn expand(request: &str, symbols: &Kallsyms, listed: &str) -> Result<String> {
    let words: Vec<&str> = request.split(',').map(str::trim).collect();
    let (out, patterns): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.starts_with('!'));
    let listed: BTreeSet<&str> = listed.lines().collect();
    let mut expanded: Vec<String> = Vec::new();
    for word in patterns {
        if word.contains('*') {
            expanded.extend(functions(word, symbols, &listed)?);
        } else if let Some(preset) = PRESETS.iter().find(|preset| preset.name == word) {
            // Split into its parts, so that each can be excluded.
            let target = preset.resolve(symbols)?.target;
            let function = |f: &Function| qualified(f.module.as_deref(), &f.name);
            expanded.extend(target.functions.iter().map(function));
            let tracepoint = |one: &Tracepoint| format!("{}{one}", super::TRACEPOINT);
            expanded.extend(target.tracepoints.iter().map(tracepoint));
        } else {
            expanded.push(word.into());
        }
    }
    for word in out {
        take_out(&mut expanded, word)?;
    }
    Ok(expanded.join(","))
}

/// The traceable functions that match `MODULE:PATTERN`, as words.
fn functions(word: &str, symbols: &Kallsyms, listed: &BTreeSet<&str>) -> Result<Vec<String>> {
    let wrong = |why: String, hint: &str| Error::invalid(format!("target `{word}`"), why, hint);
    let Some((module, pattern)) = word.split_once(':').filter(|(module, _)| !module.contains('*'))
    else {
        let why = "a pattern needs a module".to_owned();
        return Err(wrong(why, "Name it, as in vhost_net:* or tun:tun_*"));
    };
    if !symbols.has_module(module) {
        let why = format!("module {module} is not loaded, or has no functions");
        return Err(wrong(why, &format!("Load it: modprobe {module}")));
    }
    let traceable =
        |symbol: &Symbol<'_>| listed.contains(format!("{} [{module}]", symbol.name).as_str());
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for symbol in symbols.of_module(module).filter(|s| matches(pattern, s.name)).filter(traceable) {
        let named = names.entry(symbol.name).or_default();
        *named = named.saturating_add(1);
    }
    let found: Vec<String> = names
        .into_iter()
        .filter(|(_, places)| *places == 1)
        .map(|(name, _)| qualified(Some(module), name))
        .collect();
    if found.is_empty() {
        let why = format!("no traceable function of {module} matches");
        return Err(wrong(why, "available_filter_functions in tracefs lists all"));
    }
    Ok(found)
}

fn qualified(module: Option<&str>, name: &str) -> String {
    module.map_or_else(|| name.to_owned(), |module| format!("{module}:{name}"))
}

/// Removes `!NAME` or `!MODULE:NAME`; both may be patterns: `!*.*` removes what the compiler split
/// off.
fn take_out(expanded: &mut Vec<String>, word: &str) -> Result<()> {
    let name = word.trim_start_matches('!');
    let is_it = |other: &String| {
        matches(name, other) || other.rsplit(':').next().is_some_and(|other| matches(name, other))
    };
    let before = expanded.len();
    expanded.retain(|other| !is_it(other));
    if expanded.len() < before {
        return Ok(());
    }
    let hint = "Exclude only what another word of the target includes";
    Err(Error::invalid(format!("target `{word}`"), "it is not in the target", hint))
}

/// Whether `name` matches `pattern`, in which each `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, behind)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| matches(behind, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "handle_tx [vhost_net]\nhandle_rx [vhost_net]\ntun_get_user \
                          [tun]\ntun_put_user [tun]\ntwice [tun]\n";

    fn symbols() -> Kallsyms {
        let names = [
            ("handle_tx", "vhost_net"),
            ("handle_rx", "vhost_net"),
            ("hidden", "vhost_net"),
            ("tun_put_user", "tun"),
            ("tun_get_user", "tun"),
            ("twice", "tun"),
            ("twice", "tun"),
        ];
        let line = |(at, (name, module)): (usize, (&str, &str))| {
            format!("ffffffffc00{at:05x} t {name}\t[{module}]\n")
        };
        Kallsyms::parse(names.into_iter().enumerate().map(line).collect()).unwrap()
    }

    fn expanded(request: &str) -> String {
        expand(request, &symbols(), LISTED).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn a_pattern_stands_for_what_can_be_traced_and_told_apart() {
        assert_eq!(expanded("vhost_net:*"), "vhost_net:handle_rx,vhost_net:handle_tx");
        assert_eq!(expanded("tun:*_user"), "tun:tun_get_user,tun:tun_put_user");
        assert_eq!(expanded("tun:t*n*put*"), "tun:tun_put_user");
    }

    #[test]
    fn presets_come_first_in_their_parts_and_words_stay() {
        assert_eq!(expanded("tun:*,!*put*"), "tun:tun_get_user");
        assert_eq!(
            expanded("vhost,tun:tun_get*,comm_write,!handle_rx"),
            "vhost_net:handle_tx,tracepoint:net:net_dev_xmit,tun:tun_get_user,comm_write"
        );
    }

    #[test]
    fn a_pattern_that_means_nothing_says_so() {
        assert!(expanded("*").contains("needs a module"));
        assert!(expanded("bridge:*").contains("modprobe bridge"));
        assert!(expanded("tun:x*").contains("no traceable function of tun"));
        assert!(expanded("tun:*,!handle_tx").contains("not in the target"));
    }
}
